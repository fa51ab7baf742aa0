/* SPDX-License-Identifier: MIT */
/* A segment as an event shows it: in the log, on the wire, or as the model has it. */
#ifndef SHMD_TESTS_SIMULATION_SHOWN_H
#define SHMD_TESTS_SIMULATION_SHOWN_H

#include "daemon/core/event_log.h"
#include "tests/simulation/model.h"

/* Each number that is shown, its word, and whether the model knows it. A word that is absent is 0.
 */
#define SHOWN_NUMBERS(X)                                                                           \
    X(serial, "serial", true)                                                                      \
    X(replaces, "replaces", true)                                                                  \
    X(shmid, "shmid", true)                                                                        \
    X(key, "key", true)                                                                            \
    X(size, "size", true)                                                                          \
    X(uid, "uid", true)                                                                            \
    X(gid, "gid", true)                                                                            \
    X(nattch, "nattch", true)                                                                      \
    X(last_pid, "last_pid", false)                                                                 \
    X(huge_page_size, "huge_page_size", true)                                                      \
    X(created_at_ms, "created_at_ms", false)                                                       \
    X(attached_at_ms, "attached_at_ms", false)                                                     \
    X(detached_at_ms, "detached_at_ms", false)                                                     \
    X(changed_at_ms, "changed_at_ms", false)                                                       \
    X(expires_at_ms, "expires_at_ms", true)

#define SHOWN_FLAGS(X)                                                                             \
    X(locked, "locked")                                                                            \
    X(noreserve, "noreserve")                                                                      \
    X(managed, "managed")

struct shown {
    char name[NAME_BYTES], former_name[NAME_BYTES];
#define X(member, word, is_known) int64_t member;
    SHOWN_NUMBERS(X)
#undef X
#define X(member, word) bool member;
    SHOWN_FLAGS(X)
#undef X
    uint32_t mode;
    int64_t creator_uid, creator_gid, creator_pid;
    enum segment_state state;
    enum lifetime lifetime; /* of a managed one */
    int64_t holders_least, holders_most;
    uint64_t labels; /* a sum over all */
};

/* A change that is told by the end of the turn. */
struct due {
    enum event_kind kind;
    bool is_sure;
    bool is_told; /* or will not be any more */
    int64_t at_ms;
    struct shown shows;
};

void shown_in_log(const struct segment_event *event, struct shown *ret);
void shown_on_wire(const json_t *segment, struct shown *ret);
/* RET, which the model has shown, is not the daemon's any more, and KERNEL is all that is known. */
void shown_as_foreign(const struct sysv_stat *kernel, struct shown *ret);
void shown_by_model(const struct model *m, const struct model_segment *s, struct shown *ret);

/* The word of a member in which B differs from A; NULL: none. With IS_WHOLE those that the model
 * does not know count, too. */
const char *shown_difference(const struct shown *a, const struct shown *b, bool is_whole);

#endif
