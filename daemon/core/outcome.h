/* SPDX-License-Identifier: MIT */
/*
 * Named results of the core. A function that can end in one returns int: 0, a negative errno, or
 * one of these, which the caller must handle; the details say what the answer needs to know.
 */
#ifndef SHMD_CORE_OUTCOME_H
#define SHMD_CORE_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_error;
struct name_rule;

enum outcome {
    OUTCOME_NO_SUCH_SEGMENT = 1,
    OUTCOME_NOT_MANAGED, /* it exists and is not ours to change */
    OUTCOME_SEGMENT_EXISTS,
    OUTCOME_PERMISSION_DENIED,
    OUTCOME_SIZE_MISMATCH,
    OUTCOME_LIMIT_REACHED,
    OUTCOME_QUOTA_EXCEEDED,
    OUTCOME_SEGMENT_BUSY,
    OUTCOME_STALE_SEGMENT,
    OUTCOME_KEY_IN_USE,
    OUTCOME_INITIALISER_DIED,
    OUTCOME_TIMED_OUT,
    OUTCOME_NOT_HOLDABLE,
    OUTCOME_STORE_FAILURE,
    OUTCOME_SHUTTING_DOWN,
    OUTCOME_NOT_SUPPORTED,
    OUTCOME_INVALID_PARAMETER,
    OUTCOME_INVALID_CONFIGURATION,
    OUTCOME_WAITING, /* no result yet: it comes by the waiter */
};

/* `used` and `max` that are not known. */
#define OUTCOME_UNKNOWN UINT64_MAX

struct outcome_detail {
    const char
        *what; /* static: the limit, the quota, what is needed, not supported, the parameter */
    const char *hint; /* what would mend it, the reason; static or the store's */
    uint64_t used, max;
    bool is_total; /* the quota is of all uids together */
    uint64_t serial;
    int32_t shmid;
    uint32_t key;
    uint64_t size, requested;
    const char *unit;    /* of a limit: what used, max and requested count; NULL: segments */
    uint64_t unit_bytes; /* how many bytes such a one has */
    uint64_t nattch;
    int64_t timeout_ms;
    const struct name_rule *rule; /* that reserves the name; borrowed from the configuration */
    bool has_uid;
    uint32_t uid;                             /* whose the segment is */
    const struct config_error *config_errors; /* borrowed from who reads the configuration */
    size_t n_config_errors;
};

/* The reason of outcome_not_owner() where the caller named the owner that he expects. */
#define OUTCOME_HINT_NOT_OWNER                                                                     \
    "choose another name, or give that uid as `owner` if you trust that user"

/* NEEDS is what the caller would have to be, or to be allowed. */
static inline int outcome_denied(struct outcome_detail *detail, const char *needs, const char *hint)
{
    *detail = (struct outcome_detail){.what = needs, .hint = hint};
    return OUTCOME_PERMISSION_DENIED;
}

/* The segment is UID's, and the caller did not say that it may be. */
static inline int outcome_not_owner(struct outcome_detail *detail, const char *needs, uint32_t uid,
                                    const char *hint)
{
    *detail = (struct outcome_detail){.what = needs, .hint = hint, .has_uid = true, .uid = uid};
    return OUTCOME_PERMISSION_DENIED;
}

static inline int outcome_not_supported(struct outcome_detail *detail, const char *what)
{
    *detail = (struct outcome_detail){.what = what};
    return OUTCOME_NOT_SUPPORTED;
}

/* The name is reserved by RULE for others. */
static inline int outcome_reserved_name(struct outcome_detail *detail, const struct name_rule *rule)
{
    *detail = (struct outcome_detail){.what = "reserved name", .rule = rule};
    return OUTCOME_PERMISSION_DENIED;
}

/* PARAMETER NULL: the one that says which segment is meant. */
static inline int outcome_invalid(struct outcome_detail *detail, const char *parameter,
                                  const char *reason)
{
    *detail = (struct outcome_detail){.what = parameter, .hint = reason};
    return OUTCOME_INVALID_PARAMETER;
}

/* The segment only waits for its last detach: what is asked for would have no effect. */
static inline int outcome_being_removed(struct outcome_detail *detail, const char *parameter)
{
    return outcome_invalid(detail, parameter,
                           "the segment is being removed: it goes at the last detach");
}

#endif
