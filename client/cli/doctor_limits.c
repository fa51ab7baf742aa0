/* SPDX-License-Identifier: MIT */
#include "client/cli/doctor_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/doctor_say.h"

static bool is_per_uid(const char *quota)
{
    const char *end = strstr(quota, "_per_uid");
    return end && !end[8];
}

void check_quota(const struct doctor_facts *m, struct finding *f)
{
    const struct quota_use *fullest = NULL;
    if (!m->daemon.is_known) {
        not_checked(f);
        return;
    }
    for (size_t i = 0; i < m->daemon.n_quotas; i++) {
        const struct quota_use *q = &m->daemon.quotas[i];
        if (!fullest || percent(q->used, q->max) > percent(fullest->used, fullest->max))
            fullest = q;
    }
    if (!fullest) {
        found(f, SEVERITY_OK, "the daemon sets you no quota");
        return;
    }
    unsigned full = percent(fullest->used, fullest->max);
    found(f, by_percent(full) == SEVERITY_OK ? SEVERITY_OK : SEVERITY_WARNING,
          "%s %" PRIu64 " of %" PRIu64 " (%s), %u %%",
          is_per_uid(fullest->name) ? "you use" : "all users together use", fullest->used,
          fullest->max, fullest->name, full);
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "when it is used up the daemon refuses more with QuotaExceeded");
    if (strncmp(fullest->name, "max_segments", 12) == 0 ||
        strncmp(fullest->name, "max_bytes", 9) == 0)
        mend(f, "remove segments that you do not need (shmdctl %slist), or %sraise %s in shmd.conf",
             m->options, as_root_of_system(m), fullest->name);
    else
        mend(f, "give back what you do not need, or %sraise %s in shmd.conf", as_root_of_system(m),
             fullest->name);
}

/* A limit that the wire cannot say is none: those of a kernel by default. */
static bool is_limit(uint64_t limit)
{
    return limit <= INT64_MAX;
}

void check_shmmni(const struct doctor_facts *m, struct finding *f)
{
    unsigned full = percent(m->limits.segments, m->limits.shmmni);
    found(f, by_percent(full), "%" PRIu64 " of %" PRIu64 " segments (kernel.shmmni), %u %%",
          m->limits.segments, m->limits.shmmni, full);
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "when it is full every new segment is refused with ENOSPC, \"No space left on device\"");
    mend(f,
         "remove segments that nobody needs (shmdctl %sgc), or %ssysctl -w kernel.shmmni=%" PRIu64
         "; keep it in /etc/sysctl.d/shmd.conf",
         m->options, as_root(m), m->limits.shmmni * 2);
}

void check_shmall(const struct doctor_facts *m, struct finding *f)
{
    if (!is_limit(m->limits.shmall)) {
        found(f, SEVERITY_OK, "%" PRIu64 " pages are in use; kernel.shmall is none",
              m->limits.pages);
        return;
    }
    unsigned full = percent(m->limits.pages, m->limits.shmall);
    found(f, by_percent(full), "%" PRIu64 " of %" PRIu64 " pages (kernel.shmall), %u %%",
          m->limits.pages, m->limits.shmall, full);
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "a segment that does not fit into the rest is refused with ENOSPC, \"No space left on "
           "device\"");
    mend(f,
         "remove segments that nobody needs (shmdctl %sgc), or %ssysctl -w kernel.shmall=%" PRIu64
         "; keep it in /etc/sysctl.d/shmd.conf",
         m->options, as_root(m), m->limits.shmall * 2);
}

void check_shmmax(const struct doctor_facts *m, struct finding *f)
{
    enum { SMALLEST_PART = 10 }; /* of the machine's memory */
    uint64_t largest = 0, shmmax = m->limits.shmmax;
    for (size_t i = 0; i < m->segments.count; i++)
        if (m->segments.rows[i].size > largest)
            largest = m->segments.rows[i].size;
    if (!is_limit(shmmax)) {
        found(f, SEVERITY_OK, "the largest segment is %s; kernel.shmmax is none", SIZE(largest));
        return;
    }
    unsigned full = percent(largest, shmmax);
    bool is_narrow = m->memory > 0 && shmmax < m->memory / SMALLEST_PART;
    found(f, by_percent(full), "the largest segment is %s of %s (kernel.shmmax), %u %%%s%s%s",
          SIZE(largest), SIZE(shmmax), full, is_narrow ? "; this machine has " : "",
          is_narrow ? SIZE(m->memory) : "", is_narrow ? " of memory" : "");
    /* It is there, after all: only what is larger still would fail. */
    if (f->severity == SEVERITY_ERROR || is_narrow)
        f->severity = SEVERITY_WARNING;
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "a larger one is refused with EINVAL, \"Invalid argument\"");
    mend(f, "%ssysctl -w kernel.shmmax=%" PRIu64 "; keep it in /etc/sysctl.d/shmd.conf", as_root(m),
         is_narrow && m->memory > shmmax * 2 ? m->memory : shmmax * 2);
}

/* --- the other two kinds of System V IPC: the same programs use them, and fail as they do here */

void check_semaphores(const struct doctor_facts *m, struct finding *f)
{
    const struct sysv_use *sets = &m->semaphore_sets, *all = &m->semaphores;
    if (!sets->is_known || !all->is_known) {
        found(f, SEVERITY_INFO, "not checked: /proc/sysvipc/sem or kernel.sem cannot be read");
        return;
    }
    unsigned sets_full = percent(sets->used, sets->max), full = percent(all->used, all->max);
    found(f, by_percent(sets_full > full ? sets_full : full),
          "%" PRIu64 " of %" PRIu64 " sets and %" PRIu64 " of %" PRIu64
          " semaphores (kernel.sem), %u %%",
          sets->used, sets->max, all->used, all->max, sets_full > full ? sets_full : full);
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "when it is full semget is refused with ENOSPC, \"No space left on device\"");
    mend(f,
         "ipcs -s lists the sets and ipcrm -s ID removes one that nobody needs; or %sraise "
         "kernel.sem by sysctl: its second and fourth numbers are these two limits",
         as_root(m));
}

void check_queues(const struct doctor_facts *m, struct finding *f)
{
    const struct sysv_use *q = &m->queues;
    if (!q->is_known) {
        found(f, SEVERITY_INFO, "not checked: /proc/sysvipc/msg or kernel.msgmni cannot be read");
        return;
    }
    unsigned full = percent(q->used, q->max);
    found(f, by_percent(full), "%" PRIu64 " of %" PRIu64 " message queues (kernel.msgmni), %u %%",
          q->used, q->max, full);
    if (f->severity == SEVERITY_OK)
        return;
    why(f, "when it is full msgget is refused with ENOSPC, \"No space left on device\"");
    mend(f,
         "ipcs -q lists the queues and ipcrm -q ID removes one that nobody needs; or %ssysctl "
         "-w kernel.msgmni=%" PRIu64,
         as_root(m), q->max * 2);
}
