/*
 * Which segments are orphans, and whether one may be removed. A segment is an orphan when its
 * creator is dead, no process has it attached, and no shmd manages it. In doubt it is none.
 *
 * Anything may change between the list and the removal, so the removal begins by asking again: the
 * daemon first, the kernel last. A segment that is no longer the one that was listed is kept.
 */
#ifndef SHMD_CLIENT_CLI_ORPHANS_H
#define SHMD_CLIENT_CLI_ORPHANS_H

#include "client/cli/kernel_segments.h"

enum orphan_verdict {
    ORPHAN,
    ORPHAN_REMOVED,
    KEPT_ATTACHED,
    KEPT_CREATOR_LIVES,
    KEPT_CREATOR_UNKNOWN, /* it is of another pid namespace */
    KEPT_MANAGED,         /* by the daemon that was asked */
    KEPT_GUARDED,         /* a daemon that may be stopped could manage it */
    KEPT_LOST,            /* the daemon that was asked made it, and has no record of it */
    KEPT_UNASKED,         /* a daemon that runs, and was not asked, could manage it */
    KEPT_GONE,            /* another process removed it */
    KEPT_CHANGED,         /* its id denotes another segment, or it has another owner */
    KEPT_UNANSWERED,      /* the daemon, asked once more, did not answer */
    KEPT_NOT_PERMITTED,
    KEPT_FAILED, /* the kernel refused for another reason */
};

/* The reason for people; and the one word for programs. */
const char *orphan_reason(enum orphan_verdict verdict);
const char *orphan_word(enum orphan_verdict verdict);

enum { GUARDED_UIDS_MAX = 64 };

struct running_daemon {
    int32_t pid;
    uint32_t uid;
};

/* What is known of the daemons of this machine. */
struct orphan_knowledge {
    bool asked;   /* a daemon answered that sees the same segments */
    int *foreign; /* owned, sorted: the ids that are not that daemon's, as it says */
    size_t n_foreign;
    uint32_t daemon_uid;   /* of the one that was asked */
    bool daemon_uid_alone; /* all that user's segments are a daemon's: it is the user shmd */
    /* The uids of daemons that were not asked: theirs is what they created or were given. */
    uint32_t guarded[GUARDED_UIDS_MAX];
    size_t n_guarded;
    struct running_daemon unasked[GUARDED_UIDS_MAX]; /* those of them that are seen to run */
    size_t n_unasked;
    bool guards_all; /* there are more of them than can be told apart */
};

void orphan_guard(struct orphan_knowledge *k, uint32_t uid);
void orphan_guard_running(struct orphan_knowledge *k, struct running_daemon daemon);
/* The pid of a daemon that runs, was not asked, and could manage it; 0: none. */
int32_t orphan_unasked(const struct orphan_knowledge *k, const struct kernel_segment *s);
/* It was made by the daemon that was asked, or handed to it, and yet is not in its care: that has
 * lost its records. */
bool orphan_is_lost(const struct orphan_knowledge *k, const struct kernel_segment *s);
bool orphan_is_guarded(const struct orphan_knowledge *k, const struct kernel_segment *s);
void orphan_knowledge_deinit(struct orphan_knowledge *k);

/* ORPHAN, or why it is none. */
enum orphan_verdict orphan_judge(const struct kernel_segment *s, enum process_state creator,
                                 const struct orphan_knowledge *k);

/* Since when nobody has done anything with it, in Unix seconds. */
int64_t orphan_idle_since(const struct kernel_segment *s);

/* What a removal asks, and does. */
struct orphan_ops {
    /* 1: it is not the daemon's, or there is no daemon to ask; 0: it is; a negative errno. */
    int (*is_foreign)(void *context, int shmid);
    int (*stat)(void *context, int shmid, struct kernel_segment *ret);
    enum process_state (*look)(void *context, int32_t pid);
    int (*remove)(void *context, int shmid);
};

/* Removes what is still the orphan LISTED. RET_ERROR: the errno of KEPT_UNANSWERED and KEPT_FAILED,
 * negative. */
enum orphan_verdict orphan_remove(const struct orphan_ops *ops, void *context,
                                  const struct kernel_segment *listed,
                                  const struct orphan_knowledge *k, int *ret_error);

#endif
