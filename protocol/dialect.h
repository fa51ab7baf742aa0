/* SPDX-License-Identifier: MIT */
/*
 * A dialect is one envelope around the same calls and replies: the table of functions that a
 * session uses once it knows what its peer speaks. A new dialect is one more pair of files.
 */
#ifndef SHMD_PROTOCOL_DIALECT_H
#define SHMD_PROTOCOL_DIALECT_H

#include "protocol/message.h"
#include "protocol/methods.h"
#include "protocol/params.h"
#include "protocol/reply.h"
#include "protocol/value.h"
#include "protocol/writer.h"

/* A call out of its envelope. Pointers are borrowed from the message. */
struct call {
    struct value id; /* the dialect's: what the answer must carry */
    bool answered;   /* false: a notification, never answered */
    bool failed;     /* `failure` is the answer; method and params do not count */
    enum method method;
    union params params;
    struct failure failure;
};

struct dialect {
    /* Whether a message that decoded is one at all: 0, or -EINVAL with the failure to send. */
    int (*check)(const struct message *m, struct failure *ret_failure);
    /* Call INDEX of a message. */
    void (*call)(const struct message *m, size_t index, struct call *ret);
    /* Takes the plain call at the start of TEXT, by which the call's pointers are borrowed then,
     * and returns the bytes taken; 0, and TEXT is as it was: it is to be scanned and decoded. */
    size_t (*take_plain)(char *text, size_t len, struct call *ret);
    /* Whether one of its calls is of METHOD. */
    bool (*calls)(const struct message *m, enum method method);
    /* The id of CALL as text, for an answer after the message is gone. */
    void (*id)(struct writer *w, const struct call *call);
    /* The id of the request in TEXT, which was not decoded: VALUE_RAW and a part of TEXT, or
     * VALUE_NONE when it cannot be told. TEXT may be anything. */
    struct value (*find_id)(const char *text, size_t len);
    /* Answers a call; CALL NULL: a failure that belongs to none. A member of a batch is written
     * between batch_begin and batch_end. */
    void (*reply)(struct writer *w, const struct call *call, const struct reply *reply,
                  bool in_batch);
    /* A message of its own to a subscriber. */
    void (*event)(struct writer *w, const struct wire_event *event);
    void (*batch_begin)(struct writer *w);
    void (*batch_end)(struct writer *w);
};

#endif
