/* SPDX-License-Identifier: MIT */
/*
 * The record of one managed segment: what the kernel does not keep. Mode, owner, nattch and times
 * are not here - they are read from the kernel whenever they are needed, for others change them.
 */
#ifndef SHMD_CORE_SEGMENT_H
#define SHMD_CORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/caller.h"
#include "daemon/core/deadlines.h"
#include "daemon/core/quota.h"
#include "daemon/core/ties.h"
#include "daemon/sys/sysv.h"
#include "protocol/params.h"
#include "protocol/terms.h"

struct segment {
    uint64_t serial;
    char *name;   /* owned; NULL when unnamed */
    uint32_t key; /* 0: none */
    /* The identity that the kernel must still show: a shmid alone is reused. */
    int32_t shmid;
    int32_t cpid;
    uint32_t cuid;
    uint64_t size;
    struct stored_creator creator;
    enum segment_state state;
    enum lifetime lifetime;
    bool noreserve;
    bool adopted;    /* another process made it and handed it over */
    bool has_unseen; /* it has had ties to processes that no other daemon can find again */
    uint64_t huge_page_size;
    int64_t created_at_ms; /* wall clock */
    int64_t expires_at_ms; /* boot clock; 0: never */
    int64_t idle_ttl_ms;   /* how long it stays while nobody has attached it; 0: for ever */
    int64_t idle_since_ms; /* boot clock: nobody was seen to have it attached since. Stored, with
                              what was seen then, while there is idle_ttl_ms */
    uint64_t replaces;     /* the serial of the segment whose place it takes at `ready`; 0: none */
    char *other_name;      /* owned. While it is being removed: what it was called. While it waits
                              to replace another: the name that it takes. Else NULL */
    struct label *labels;  /* owned, one block with the strings behind the array */
    size_t n_labels;

    /* The rest is not stored. */
    int64_t ttl_ms; /* the last that this daemon was asked to give it; 0: none, or not known */
    struct account *account; /* that it is charged to: segment_charge.h; NULL: none */
    bool is_left_behind;     /* a former daemon had such ties: their processes may live on */
    bool is_unnumbered;      /* cpid is another pid namespace's, until the kernel is looked at */
    bool is_lock_charged, is_anchor_charged;
    bool is_noted;          /* that its record has changed (ledger.h) */
    bool is_noted_whole;    /* not only how long nobody has had it attached */
    bool is_unnoted;        /* the ledger had no memory to note what has become of it */
    struct ties ties;       /* newest first */
    uint32_t n_holders;     /* ties of that role */
    void *anchor;           /* the daemon's own attachment; no answer counts it */
    int64_t anchored_at_s;  /* the kernel's time of it; 0: there never was one */
    int64_t let_go_at_s;    /* the kernel's time when it went; 0: it never did */
    struct deadline expiry; /* of expires_at_ms and idle_ttl_ms, whichever comes first */
    struct deadline anchor_check;
    int64_t anchor_until_ms; /* boot clock: when an anchor is let go though nobody has attached */
    struct {
        uint32_t uid, gid, mode;
        int32_t last_pid;
        uint64_t nattch; /* without the anchor */
        int64_t attached_at_s, detached_at_s;
    } seen; /* in the kernel, when it was looked at last; the last four by use.h alone */
    SLIST_ENTRY(segment) of_dead;
};

/* An empty record; NULL when out of memory. */
struct segment *segment_new(void);

/* The record of STORED: NULL when out of memory. */
struct segment *segment_new_stored(const struct stored_segment *stored);

/* What is stored of SEGMENT; it borrows its texts. */
struct stored_segment segment_stored(const struct segment *segment);

void segment_free(struct segment *segment);

/* Copies labels: 0 or -ENOMEM. */
int segment_copy_labels(const struct label *labels, size_t count, struct label **ret) MUST_CHECK;

/* Whether all labels of WANTED are on the segment. */
bool segment_has_labels(const struct segment *segment, const struct labels *wanted);

/* How often SEGMENT is attached, as KERNEL has it, without the daemon's own anchor. */
static inline uint64_t segment_attachments(const struct segment *segment,
                                           const struct sysv_stat *kernel)
{
    return kernel->nattch - (segment->anchor && kernel->nattch > 0 ? 1 : 0);
}

/* Whether segments of LIFETIME have holders, and live as long as one of them does. */
static inline bool lifetime_has_holders(enum lifetime lifetime)
{
    return lifetime == LIFETIME_PROCESS || lifetime == LIFETIME_CONNECTION;
}

#endif
