/* SPDX-License-Identifier: MIT */
#include "protocol/orphan.h"

#include <stdlib.h>
#include <string.h>

/* Field N of /proc/PID/stat, N > 2; NULL: it is not there. The second field is the process's name
 * in parentheses and may hold anything, so fields are counted from its last parenthesis. */
static const char *stat_field(const char *text, int n)
{
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < n; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at;
}

enum { FIELD_STATE = 3, FIELD_THREADS = 20 };

static bool is_zombie(const char *proc_stat)
{
    const char *state = stat_field(proc_stat, FIELD_STATE);
    const char *threads = stat_field(proc_stat, FIELD_THREADS);
    if (!state || (*state != 'Z' && *state != 'X'))
        return false;
    /* A process whose first thread has ended shows Z too, but it counts its other threads. */
    return threads && strtol(threads, NULL, 10) <= 1;
}

enum process_state process_state_of(int32_t pid, bool is_gone, const char *proc_stat)
{
    if (pid <= 0)
        return PROCESS_UNKNOWN;
    return is_gone || is_zombie(proc_stat) ? PROCESS_DEAD : PROCESS_ALIVE;
}

bool orphan_is_used_by_others(const struct orphan_facts *f)
{
    if (f->lpid != 0)
        return f->lpid != f->cpid;
    /* Somebody has attached it, but not a process that this pid namespace shows. */
    return f->atime != 0 && f->cpid != 0;
}

enum orphan_class orphan_classify(const struct orphan_facts *f)
{
    if (f->nattch > 0)
        return ORPHAN_ATTACHED;
    switch (f->creator) {
    case PROCESS_ALIVE: return ORPHAN_CREATOR_LIVES;
    case PROCESS_UNKNOWN: return ORPHAN_UNDECIDED;
    case PROCESS_DEAD: break;
    }
    return orphan_is_used_by_others(f) ? ORPHAN_LEFT : ORPHAN_LEAKED;
}

bool orphan_is_orphaned(const struct orphan_facts *f)
{
    enum orphan_class class = orphan_classify(f);
    return class == ORPHAN_LEAKED || class == ORPHAN_LEFT;
}
