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
#include "daemon/core/quota.h"
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
    struct {
        uint32_t uid, gid;
        int32_t pid;
        char comm[COMM_MAX];
        bool was_admin;
    } creator;
    enum segment_state state;
    enum lifetime lifetime;
    bool noreserve;
    bool declared;
    uint64_t huge_page_size;
    int64_t created_at_ms;
    struct label *labels; /* owned, one block with the strings behind the array */
    size_t n_labels;
    struct charge charge;
    struct segment *next_dropped;
};

/* An empty record; NULL when out of memory. */
struct segment *segment_new(void);
void segment_free(struct segment *segment);

/* A copy of NAME in RET; 0 or -ENOMEM. */
int segment_copy_labels(const struct labels *labels, struct label **ret, size_t *ret_count)
    MUST_CHECK;

/* Whether all labels of WANTED are on the segment. */
bool segment_has_labels(const struct segment *segment, const struct labels *wanted);

#endif
