/* SPDX-License-Identifier: MIT */
/*
 * The limits an administrator sets: name (also the configuration key and the wire's name), default,
 * least and greatest value. One table for the configuration, `info` and the manual.
 *
 * The least max_message_bytes lets every name be used: `set` from one of 255 bytes to another takes
 * some 600, and so does any request where every / of one is escaped.
 */
#ifndef SHMD_CORE_LIMITS_H
#define SHMD_CORE_LIMITS_H

#include <stdint.h>

#define LIMITS(X)                                                                                  \
    /* Of all uids together. */                                                                    \
    X(max_segments, 0, 0, INT64_MAX) /* 0: what kernel.shmmni allows */                            \
    X(max_bytes, 0, 0, INT64_MAX)    /* 0: no limit of ours */                                     \
    X(max_connections, 4096, 1, 1000000)                                                           \
    X(max_waiters, 4096, 1, 1000000)                                                               \
    X(max_processes, 0, 0, 1000000)      /* 0: what RLIMIT_NOFILE leaves */                        \
    X(max_locked_bytes, 0, 0, INT64_MAX) /* 0: RLIMIT_MEMLOCK */                                   \
    X(max_anchored_bytes, 35184372088832, 1, INT64_MAX)                                            \
    /* Of each uid. */                                                                             \
    X(max_segments_per_uid, 1024, 0, INT64_MAX) /* 0: no limit of ours */                          \
    X(max_bytes_per_uid, 0, 0, INT64_MAX)       /* 0: the machine's memory and swap */             \
    X(max_connections_per_uid, 512, 1, 1000000)                                                    \
    X(max_waiters_per_uid, 256, 1, 1000000)                                                        \
    X(max_processes_per_uid, 256, 1, 1000000)                                                      \
    X(max_subscriptions_per_uid, 64, 1, 1000000)                                                   \
    X(max_buffer_bytes_per_uid, 8388608, 65536, INT64_MAX)                                         \
    X(max_locked_bytes_per_uid, 0, 0, INT64_MAX) /* 0: a quarter of RLIMIT_MEMLOCK */              \
    X(max_anchored_bytes_per_uid, 1099511627776, 1, INT64_MAX)                                     \
    /* Of each message, segment or connection. */                                                  \
    X(max_message_bytes, 65536, 1024, 16777216)                                                    \
    X(max_holders_per_segment, 256, 1, 1000000)                                                    \
    X(output_high_water, 1048576, 1024, 1073741824)                                                \
    X(subscriber_cap, 4194304, 1024, 1073741824)

struct limits {
#define X(name, def, min, max) uint64_t name;
    LIMITS(X)
#undef X
};

/* How many there are. */
enum {
#define X(name, def, min, max) LIMIT_##name,
    LIMITS(X)
#undef X
        LIMITS_COUNT
};

#define LIMITS_DEFAULT                                                                             \
    {                                                                                              \
        LIMITS(LIMITS_DEFAULT_MEMBER)                                                              \
    }
#define LIMITS_DEFAULT_MEMBER(name, def, min, max) .name = (def),

#endif
