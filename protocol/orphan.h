/* SPDX-License-Identifier: MIT */
/*
 * The rule that says when a segment which is not the daemon's is orphaned, and how far it can be
 * given up. The daemon (`list`, `stat`) and shmdctl (`list`, `gc`, `doctor`) both decide by it, so
 * they never contradict each other. Nothing here asks the system.
 */
#ifndef SHMD_PROTOCOL_ORPHAN_H
#define SHMD_PROTOCOL_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>

enum process_state {
    PROCESS_ALIVE, /* or another process has its pid by now */
    PROCESS_DEAD,
    PROCESS_UNKNOWN, /* it is in a pid namespace that is not ours */
};

/*
 * The state of process PID. IS_GONE: the kernel says that there is no such process. PROC_STAT: the
 * text of /proc/PID/stat; "" when it cannot be read. A zombie is dead: it holds no memory and never
 * runs again. A process whose first thread has ended is not dead while other threads run.
 */
enum process_state process_state_of(int32_t pid, bool is_gone, const char *proc_stat);

struct orphan_facts {
    enum process_state creator;
    int32_t cpid, lpid; /* as this pid namespace shows them; 0: of another one, or nobody yet */
    uint64_t nattch;
    int64_t atime; /* 0: nobody has attached it yet */
};

enum orphan_class {
    ORPHAN_ATTACHED,      /* no orphan: somebody has it attached */
    ORPHAN_CREATOR_LIVES, /* no orphan */
    ORPHAN_UNDECIDED,     /* nobody has it attached; whether its creator lives cannot be told */
    ORPHAN_LEAKED,        /* the creator is dead, and nobody has used it after its creator */
    ORPHAN_LEFT,          /* the creator is dead, but others have attached it */
};

enum orphan_class orphan_classify(const struct orphan_facts *facts);

/* The wire's `orphaned`: the creator is dead and nobody has it attached. */
bool orphan_is_orphaned(const struct orphan_facts *facts);

/* Somebody but its creator has attached it, as far as the kernel still knows. */
bool orphan_is_used_by_others(const struct orphan_facts *facts);

#endif
