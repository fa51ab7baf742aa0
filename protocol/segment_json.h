/* SPDX-License-Identifier: MIT */
/*
 * The segment object of the wire: daemon's record -> JSON, and back for the client.
 */
#ifndef SHMD_PROTOCOL_SEGMENT_JSON_H
#define SHMD_PROTOCOL_SEGMENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"
#include "protocol/params.h"
#include "protocol/terms.h"
#include "protocol/writer.h"

/* Times are Unix milliseconds, 0 for what has not happened; sizes are bytes. Strings and labels
 * are borrowed. */
struct wire_holder {
    int32_t pid;
    uint32_t uid;
    const char *comm;
    int64_t since_at_ms;
};

struct wire_segment {
    uint64_t serial;         /* 0 when not managed */
    const char *name;        /* NULL when unnamed */
    const char *former_name; /* of a segment that is being removed: what it was called; or NULL */
    uint64_t replaces;       /* the serial of the segment whose name it takes at `ready`; or 0 */
    uint64_t size;
    uint64_t nattch;
    int32_t shmid;
    uint32_t key;
    uint32_t mode; /* 0 .. 0777 */
    uint32_t uid, gid;
    int32_t last_pid;
    struct {
        uint32_t uid, gid;
        int32_t pid;
        char comm_now[COMM_MAX]; /* counts when `comm` is NULL: of a segment that is not managed */
        const char *comm;        /* NULL when unknown */
    } creator;
    /* What was read may have a word that is not known here: then it is ..._COUNT. */
    enum segment_state state;
    enum lifetime lifetime; /* only of a managed segment */
    uint32_t holders;
    uint32_t drift; /* how it differs from what is declared: a bit for each enum drift; of what was
                       read, bit DRIFT_COUNT for a word that is not known here */
    const struct wire_holder *holder_list; /* NULL: not told; only stat tells */
    /* Who waits until it is ready; only stat of one that is initialising tells, and not all of
     * them. What is read leaves it out: it is for people. */
    const struct wire_holder *waiter_list; /* NULL: not told */
    uint32_t waiters, n_waiters_told;
    uint64_t huge_page_size; /* 0: ordinary pages */
    int64_t created_at_ms, attached_at_ms, detached_at_ms, changed_at_ms, expires_at_ms;
    const struct label *labels;
    size_t n_labels;
    uint64_t rss, swap;
    bool has_memory;   /* rss and swap are known; only stat tells them */
    bool has_lifetime; /* of what was read: a segment that is not managed may have none */
    bool locked, noreserve;
    bool managed, declared;
    bool orphaned, used_by_others; /* only of a segment that is not managed */
};

void segment_json_write(struct writer *w, const struct wire_segment *segment);

/* How many holders OBJECT lists: the room that reading them takes. */
size_t segment_json_holders(const struct json_t *object);

/*
 * Reads the object OBJECT of a reply. 0, or -EBADMSG when it is not a segment. RET's strings
 * point into OBJECT; its labels are put into LABELS and its holders into HOLDERS, which must live
 * as long as RET. HOLDERS has segment_json_holders() elements; NULL: they are not wanted. Members
 * that are unknown are passed over: a newer daemon may send more.
 */
int segment_json_read(const struct json_t *object, struct labels *labels,
                      struct wire_holder *holders, struct wire_segment *ret)
    __attribute__((warn_unused_result));

#endif
