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
    X(max_segments, 0, 0, INT64_MAX)            /* of all; 0: what kernel.shmmni allows */         \
    X(max_bytes, 0, 0, INT64_MAX)               /* of all; 0: no limit of ours */                  \
    X(max_segments_per_uid, 1024, 0, INT64_MAX) /* 0: no limit of ours, in all four */             \
    X(max_bytes_per_uid, 0, 0, INT64_MAX)                                                          \
    X(max_connections, 4096, 1, 1000000)                                                           \
    X(max_connections_per_uid, 1024, 1, 1000000)                                                   \
    X(max_message_bytes, 65536, 1024, 16777216)                                                    \
    X(max_holders_per_segment, 256, 1, 1000000)                                                    \
    X(max_waiters, 1024, 1, 1000000)                                                               \
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
