/* SPDX-License-Identifier: MIT */
/*
 * Which segments nobody needs any more, and whether one may be removed. The rule itself is in
 * protocol/orphan.h; here comes to it what the daemons of this machine say. On any doubt a segment
 * is kept.
 *
 * Between the list and the removal everything may change, so each removal begins by asking again:
 * the daemon first, the kernel last. What is no longer the segment that was listed is left alone.
 */
#ifndef SHMD_CLIENT_CLI_ORPHANS_H
#define SHMD_CLIENT_CLI_ORPHANS_H

#include "client/cli/kernel_segments.h"
#include "client/shmd.h"
#include "protocol/orphan.h"

/* How long nothing must have happened to a segment, unless --older-than says otherwise. */
#define GC_OLDER_THAN_MS (INT64_C(10) * 60 * 1000)

enum gc_class {
    GC_LEAKED,    /* creator dead, and nobody has used it after its creator */
    GC_LEFT,      /* the same, but others have: perhaps a cache that is meant to stay */
    GC_UNDECIDED, /* whether the creator lives cannot be told from here */
    GC_LOST,      /* may be the daemon's, from before its records began, or was disowned */
    GC_GUARDED,   /* may be the segment of another daemon, which was not asked */
    GC_ATTACHED,
    GC_CREATOR_LIVES,
    GC_MANAGED, /* by the daemon that was asked */
    GC_CLASSES,
};

/* How many are listed: the classes up to here. */
#define GC_CLASSES_LISTED GC_ATTACHED

enum gc_result {
    GC_KEPT,     /* nobody tried to remove it, or its class did not allow it */
    GC_REMOVED,  /* it is gone */
    GC_REMOVING, /* it goes when the last process that has it attached detaches it */
    GC_GONE,     /* somebody else removed it */
    GC_CHANGED,  /* its id denotes another segment, or somebody used or changed it */
    GC_UNANSWERED,
    GC_NOT_PERMITTED,
    GC_FAILED,  /* the kernel refused for another reason */
    GC_REFUSED, /* the daemon's own, and the daemon did not remove it */
    GC_RESULTS,
};

/* For programs. */
const char *gc_class_word(enum gc_class class);
const char *gc_result_word(enum gc_result result);
/* For people: why it is of that class; what became of it ("" for GC_KEPT). */
const char *gc_class_reason(enum gc_class class);
const char *gc_result_reason(enum gc_result result);

/* --- what is known of daemons */

/* What the daemon says of a segment that it does not manage. Its pid namespace may be another. */
struct foreign_segment {
    int shmid;
    enum process_state creator;
    int32_t cpid, lpid;
};

/* A daemon that was not asked, or does not run now: it may have made whatever is of this uid. */
struct guard {
    uint32_t uid;
    bool serves; /* there is a process behind the socket */
    char path[108];
};

struct orphan_knowledge {
    bool asked;                      /* a daemon answered that sees the same segments */
    struct foreign_segment *foreign; /* owned, by shmid: what that daemon does not manage */
    size_t n_foreign;
    uint32_t daemon_uid;         /* of the one that was asked */
    int64_t records_since_at_ms; /* its own; 0: not told, so any segment may be older */
    struct guard *guards;        /* owned; one for each uid */
    size_t n_guards;
};

/* 0 or -ENOMEM. A guard that serves takes the place of one of the same uid that does not. */
int orphan_guard(struct orphan_knowledge *k, const struct guard *guard) MUST_CHECK;
/* The guard that may have made the segment; NULL: none. */
const struct guard *orphan_guard_of(const struct orphan_knowledge *k,
                                    const struct kernel_segment *s);
void orphan_knowledge_deinit(struct orphan_knowledge *k);

/* SEGMENT, which the daemon does not manage, as it says. */
struct foreign_segment foreign_segment_of(const struct shmd_segment *segment);

/* --- decisions */

/* CREATOR: the state of process S->cpid as it is seen from here. */
enum gc_class orphan_judge(const struct kernel_segment *s, enum process_state creator,
                           const struct orphan_knowledge *k);

/* The class of a segment that the daemon lists as foreign, for the column ORPHANED. */
enum orphan_class orphan_class_of_listed(const struct shmd_segment *segment);

/* Since when nobody has done anything with it, in Unix seconds. */
int64_t orphan_idle_since(const struct kernel_segment *s);

/* What a removal asks, and does. */
struct orphan_ops {
    /* 1: it is not the daemon's, and RET is set; or no daemon is to be asked, and RET's shmid is
     * -1. 0: it is the daemon's. Or a negative errno. */
    int (*is_foreign)(void *context, int shmid, struct foreign_segment *ret);
    int (*stat)(void *context, int shmid, struct kernel_segment *ret);
    enum process_state (*look)(void *context, int32_t pid);
    int (*remove)(void *context, int shmid);
};

struct gc_outcome {
    enum gc_class class; /* as it is now */
    enum gc_result result;
    int error; /* of GC_UNANSWERED and GC_FAILED: a negative errno */
};

/* Removes what is still the segment LISTED and of the class CLASS. BY_DECISION: somebody named it,
 * so it may be of any class, used and attached, but it must be the same segment. */
struct gc_outcome orphan_remove(const struct orphan_ops *ops, void *context,
                                const struct kernel_segment *listed, enum gc_class class,
                                const struct orphan_knowledge *k, bool by_decision);

#endif
