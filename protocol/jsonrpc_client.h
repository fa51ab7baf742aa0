/* SPDX-License-Identifier: MIT */
/*
 * The client's side of JSON-RPC: request -> bytes, reply or event -> typed struct. No I/O; the
 * client itself never sees the JSON library.
 */
#ifndef SHMD_PROTOCOL_JSONRPC_CLIENT_H
#define SHMD_PROTOCOL_JSONRPC_CLIENT_H

#include "protocol/json_slice.h"
#include "protocol/reply.h"

struct json_t;
struct plain_answer;

/* One request with its LF. */
void jsonrpc_client_request(struct writer *w, int64_t id, enum method method,
                            const union params *params);
/* The same with a method's name and parameters as text (NULL: none). 0, or -EINVAL when PARAMS is
 * not one JSON value: it would break out of its request. */
int jsonrpc_client_request_text(struct writer *w, int64_t id, const char *method,
                                const char *params) __attribute__((warn_unused_result));

enum client_message_kind {
    CLIENT_RESULT,
    CLIENT_FAILURE,
    CLIENT_EVENT,
};

struct client_message {
    struct json_t *root;        /* owned; NULL when `plain` is there */
    struct plain_answer *plain; /* owned: a result that was read without a tree; or NULL */
    enum client_message_kind kind;
    bool has_id; /* false: an event, or an error that belongs to no request in particular */
    int64_t id;
    const struct json_t *body; /* the result, the error, or the event; NULL in a plain answer */
    struct json_slice text;    /* the body as it was typed: a part of the line */
};

/* Decodes one line. 0 and a message to be freed, -EBADMSG when it is not a reply or an event of
 * ours, or -ENOMEM. */
int jsonrpc_client_decode(const char *line, size_t len, struct client_message *ret)
    __attribute__((warn_unused_result));
/* The same by way of a tree, whatever the line is. */
int jsonrpc_client_decode_tree(const char *line, size_t len, struct client_message *ret)
    __attribute__((warn_unused_result));
void jsonrpc_client_free(struct client_message *m);

/* What follows reads a message's body. Strings point into the message. Each returns 0, -EBADMSG
 * when the body is not of that kind, or -ENOMEM. */

struct client_failure {
    int error; /* enum protocol_error, or -1: one that this library does not know */
    const char *name;
    const char *message;
    char *params; /* owned: an object without the name, as JSON text */
};

int jsonrpc_client_failure(const struct client_message *m, struct client_failure *ret)
    __attribute__((warn_unused_result));

/* A segment with the room for what it points to. */
struct client_segment {
    struct wire_segment wire;
    struct labels labels;
    struct wire_holder *holders; /* owned */
};

void client_segment_free(struct client_segment *s);

int jsonrpc_client_segment(const struct client_message *m, struct client_segment *ret)
    __attribute__((warn_unused_result));
/* Of the result of create. */
int jsonrpc_client_created(const struct client_message *m, bool *ret)
    __attribute__((warn_unused_result));

/* The result of list: how many segments, the cursor (NULL: the last page), and each of them. */
int jsonrpc_client_list(const struct client_message *m, size_t *ret_count, const char **ret_cursor)
    __attribute__((warn_unused_result));
int jsonrpc_client_list_item(const struct client_message *m, size_t index,
                             struct client_segment *ret) __attribute__((warn_unused_result));

enum { CLIENT_LIMITS_MAX = 64, CLIENT_PAGE_SIZES_MAX = 16 };

/* More limits or page sizes than there is room for are left out: a newer daemon may have them. */
struct client_info {
    struct info info;
    int64_t protocol;
    struct info_limit limits[CLIENT_LIMITS_MAX];
    uint64_t huge_page_sizes[CLIENT_PAGE_SIZES_MAX];
};

int jsonrpc_client_info(const struct client_message *m, struct client_info *ret)
    __attribute__((warn_unused_result));
int jsonrpc_client_subscribed(const struct client_message *m, uint64_t *ret_event_serial)
    __attribute__((warn_unused_result));
int jsonrpc_client_metrics(const struct client_message *m, const char **ret_text)
    __attribute__((warn_unused_result));

/* Of a CLIENT_EVENT. RET->segment points to RET_SEGMENT, which is to be freed; a gap has none, nor
 * may an event whose kind is not known here (EVENT_KINDS; a reason then is REASON_COUNT). */
int jsonrpc_client_event(const struct client_message *m, struct wire_event *ret,
                         struct client_segment *ret_segment) __attribute__((warn_unused_result));

#endif
