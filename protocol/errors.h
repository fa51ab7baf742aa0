/* SPDX-License-Identifier: MIT */
/*
 * The only table of errors: it drives every dialect, the client library's enum, the command's
 * texts and the manual. A row is
 *
 *   X(identifier, wire name, JSON-RPC code, errno that is most like it, sentence)
 *
 * The sentence says what to do; `failure_set_message()` replaces it where more is known. The
 * first five are JSON-RPC's own (no wire name): they tell of the envelope, not of segments.
 */
#ifndef SHMD_PROTOCOL_ERRORS_H
#define SHMD_PROTOCOL_ERRORS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_ERRORS(X)                                                                         \
    X(PARSE, NULL, -32700, EBADMSG, "not JSON: send one JSON value per request")                   \
    X(INVALID_REQUEST, NULL, -32600, EBADMSG, "not a JSON-RPC 2.0 request")                        \
    X(INTERNAL, NULL, -32603, ENOMEM, "the daemon is out of memory; try again")                    \
    X(METHOD_NOT_FOUND, "org.varlink.service.MethodNotFound", -32601, ENOSYS,                      \
      "no such method: PROTOCOL.md lists them")                                                    \
    X(INVALID_PARAMETER, "org.varlink.service.InvalidParameter", -32602, EINVAL,                   \
      "a parameter has a wrong value")                                                             \
    X(NO_SUCH_SEGMENT, "io.shmd.NoSuchSegment", 1, ENOENT,                                         \
      "no such segment: list shows what there is")                                                 \
    X(SEGMENT_EXISTS, "io.shmd.SegmentExists", 2, EEXIST,                                          \
      "the segment exists already: use it, remove it, or choose another name or key")              \
    X(PERMISSION_DENIED, "org.varlink.service.PermissionDenied", 3, EACCES,                        \
      "permission denied: ask the segment's owner or an admin")                                    \
    X(SIZE_MISMATCH, "io.shmd.SizeMismatch", 4, EINVAL,                                            \
      "the segment exists and is smaller than asked for: ask for less, or replace or remove it")   \
    X(LIMIT_REACHED, "io.shmd.LimitReached", 5, ENOSPC,                                            \
      "a limit of the kernel is reached: see `limit` and `hint`")                                  \
    X(QUOTA_EXCEEDED, "io.shmd.QuotaExceeded", 6, EDQUOT,                                          \
      "a quota is used up: remove segments, or raise the configuration key in `quota`")            \
    X(SEGMENT_BUSY, "io.shmd.SegmentBusy", 7, EBUSY,                                               \
      "the segment is attached: detach it first, or leave out only_if_unattached")                 \
    X(STALE_SEGMENT, "io.shmd.StaleSegment", 8, EIDRM,                                             \
      "that segment is gone and its id or name denotes another: look it up again")                 \
    X(INITIALISER_DIED, "io.shmd.InitialiserDied", 9, EOWNERDEAD,                                  \
      "the process that was filling the segment died: create it anew")                             \
    X(TIMED_OUT, "io.shmd.TimedOut", 10, ETIMEDOUT, "the time ran out: wait again, or longer")     \
    X(KEY_IN_USE, "io.shmd.KeyInUse", 11, EEXIST,                                                  \
      "a segment that shmd does not manage has this key: choose another, or adopt it")             \
    X(NOT_HOLDABLE, "io.shmd.NotHoldable", 12, EINVAL,                                             \
      "the segment has no holders: only those of lifetime process or connection have, until they " \
      "are removed")                                                                               \
    X(STORE_FAILURE, "io.shmd.StoreFailure", 13, EIO,                                              \
      "the daemon could not record the change, so nothing was done: see `reason`")                 \
    X(SHUTTING_DOWN, "io.shmd.ShuttingDown", 14, ESHUTDOWN,                                        \
      "the daemon is shutting down: connect again in a moment")                                    \
    X(NOT_SUPPORTED, "io.shmd.NotSupported", 15, EOPNOTSUPP, "not supported here: see `what`")     \
    X(INVALID_CONFIGURATION, "io.shmd.InvalidConfiguration", 16, EINVAL,                           \
      "the configuration has errors, so nothing was changed: correct them and reload again")       \
    X(EXPECTED_MORE, "org.varlink.service.ExpectedMore", -32600, EBADMSG,                          \
      "this method streams: call it with more")

enum protocol_error {
#define X(id, name, code, err, message) PROTOCOL_ERROR_##id,
    PROTOCOL_ERRORS(X)
#undef X
        PROTOCOL_ERROR_COUNT
};

struct error_row {
    const char *name; /* NULL for the envelope's own errors */
    int code;
    int errnum;
    const char *message;
};

/* The row of ERROR; static. */
const struct error_row *error_row(enum protocol_error error);

/* The error of that wire name (or, NAME being NULL, of that code), or -1. */
int error_find(const char *name, int64_t code);

/* What is wrong in one of the administrator's files. */
struct config_error {
    const char *file;
    unsigned line;   /* from 1 on; 0: it is in no single line */
    const char *key; /* "": it is about no single key */
    const char *message;
};

/* A parameter of an error: a name from PROTOCOL.md's table and a string or an integer. */
struct failure_param {
    const char *name;
    const char *string; /* NULL: the integer counts */
    int64_t integer;
};

#define FAILURE_PARAMS_MAX 6

/*
 * An error with its parameters and its sentence. Strings are borrowed and must outlive it, but
 * for `text`, which holds what failure_set_message() and failure_invalid_parameter() made.
 */
struct failure {
    enum protocol_error error;
    const char *message; /* NULL: the table's sentence */
    size_t n_params;
    struct failure_param params[FAILURE_PARAMS_MAX];
    /* The parameter `errors`, borrowed; NULL: the error has none. */
    const struct config_error *config_errors;
    size_t n_config_errors;
    unsigned line; /* of a text that is not JSON: where it stops being JSON. It is not sent. */
    size_t text_used;
    char text[768];
};

void failure_init(struct failure *f, enum protocol_error error);
void failure_add_string(struct failure *f, const char *name, const char *value);
void failure_add_int(struct failure *f, const char *name, int64_t value);
/* Cut at the room left, at a character's border. */
void failure_set_message(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* InvalidParameter naming PARAMETER (borrowed), with a reason and a sentence made of both. */
void failure_invalid_parameter(struct failure *f, const char *parameter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *failure_message(const struct failure *f);

#endif
