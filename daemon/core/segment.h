/*
 * The record of one managed segment: what the kernel does not keep. Mode, owner, nattch and times
 * are not here - they are read from the kernel whenever they are needed, for others change them.
 */
#ifndef SHMD_CORE_SEGMENT_H
#define SHMD_CORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/caller.h"
#include "daemon/core/deadlines.h"
#include "daemon/core/quota.h"
#include "daemon/sys/sysv.h"
#include "protocol/params.h"
#include "protocol/terms.h"

struct tie;
struct undo;

struct segment {
    uint64_t serial;
    char *name;   /* owned; NULL when unnamed */
    uint32_t key; /* 0: none */
    /* The identity that the kernel must still show: a shmid alone is reused. */
    int32_t shmid;
    int32_t cpid;
    uint32_t cuid;
    uint64_t size;
    struct {
        uint32_t uid, gid;
        int32_t pid;
        char comm[COMM_MAX];
        bool was_admin;
    } creator;
    enum segment_state state;
    enum lifetime lifetime;
    bool noreserve;
    bool declared; /* a configuration file asks for it; not stored */
    bool adopted;  /* made by somebody else, who handed it over */
    uint64_t huge_page_size;
    int64_t created_at_ms; /* wall clock */
    int64_t expires_at_ms; /* boot clock; 0: never */
    struct label *labels;  /* owned, one block with the strings behind the array */
    size_t n_labels;

    /* The rest is not stored. */
    struct charge charge;
    struct tie *ties;
    uint32_t n_holders; /* ties of that role that count */
    bool is_dirty;      /* stands in the turn's list of changes */
    struct undo *undo;  /* how to take this turn's changes back; NULL: there are none, or facts */
    void *anchor;       /* our own attachment; not counted for anybody */
    int64_t anchored_at_s; /* wall clock: it was not made later; 0: never */
    struct deadline expiry;
    struct deadline anchor_check;
    int64_t anchor_until_ms; /* boot clock: when an anchor nobody came to is let go */
    struct {
        uint32_t uid, gid, mode;
        uint64_t nattch; /* at the last sweep, without the anchor */
    } seen;              /* in the kernel, when it was looked at last */
    struct segment *next_dropped;
};

/* An empty record; NULL when out of memory. */
struct segment *segment_new(void);
void segment_free(struct segment *segment);

/* Copies labels: 0 or -ENOMEM. */
int segment_copy_labels(const struct label *labels, size_t count, struct label **ret) MUST_CHECK;

/* Whether all labels of WANTED are on the segment. */
bool segment_has_labels(const struct segment *segment, const struct labels *wanted);

#endif
