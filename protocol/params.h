/* SPDX-License-Identifier: MIT */
/*
 * The parameters of each method as a C struct, and the table that says what the wire may hold for
 * it: name, type, range, required. The table decodes, refuses what it does not list, encodes for
 * the client, and is what the documents are checked against.
 *
 * Strings are borrowed from the decoded message and live as long as it does.
 */
#ifndef SHMD_PROTOCOL_PARAMS_H
#define SHMD_PROTOCOL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"
#include "protocol/limits.h"
#include "protocol/methods.h"

struct json_t;
struct plain;
struct writer;

struct opt_int {
    bool given;
    int64_t value;
};

struct opt_bool {
    bool given;
    bool value;
};

struct label {
    const char *key;
    const char *value;
};

struct labels {
    bool given;
    size_t count;
    struct label items[SEGMENT_LABELS_MAX];
};

/* Exactly one of name, shmid, key; or serial, alone or as a guard beside one of them. */
struct target {
    const char *name;
    struct opt_int shmid;
    struct opt_int key; /* -2^31 .. 2^32-1, as sent: two spellings of one 32-bit key */
    struct opt_int serial;
};

struct create_params {
    const char *name;
    struct opt_int key;  /* 0: IPC_PRIVATE */
    struct opt_int size; /* bytes; always given */
    struct opt_int mode; /* 0 .. 0777 */
    struct opt_bool exclusive;
    struct opt_bool replace; /* a new segment takes the place of the one that has the name */
    struct opt_bool hold;    /* absent: true; of an existing segment: the caller becomes a holder */
    struct opt_int uid;
    struct opt_int gid;
    struct opt_int lifetime; /* enum lifetime */
    struct opt_int ttl_ms;
    struct opt_int idle_ttl_ms;
    struct opt_bool ready;
    struct labels labels;
    struct opt_int huge_page_size; /* bytes; 0: ordinary pages */
    struct opt_bool noreserve;
    struct opt_bool locked;
    struct opt_bool any_owner;
};

/* stat, ready, hold, release, disown */
struct target_params {
    struct target target;
    struct opt_int owner; /* stat and hold: the uid whose segment it must be */
};

struct set_params {
    struct target target;
    struct opt_int mode;
    struct opt_int uid;
    struct opt_int gid;
    const char *new_name;
    struct labels labels; /* given: they replace the old ones */
    struct opt_int lifetime;
    struct opt_int ttl_ms;      /* 0: none */
    struct opt_int idle_ttl_ms; /* 0: none */
    struct opt_bool locked;
};

struct remove_params {
    struct target target;
    struct opt_bool only_if_unattached;
};

struct list_params {
    const char *prefix;
    struct opt_int uid;
    struct opt_int lifetime; /* enum lifetime */
    struct opt_int state;    /* enum segment_state */
    struct labels labels;
    struct opt_int scope; /* enum list_scope */
    struct opt_int limit;
    const char *cursor;
};

struct wait_params {
    const char *name;
    struct opt_int timeout_ms; /* absent: for ever; 0: only look */
    struct opt_bool hold;      /* absent: false; the caller becomes a holder with the answer */
    struct opt_int owner;      /* the uid whose segment it must be */
};

/* Exactly one of shmid and key; `name` is the segment's new one. */
struct adopt_params {
    struct opt_int shmid;
    struct opt_int key;
    const char *name;
    struct opt_int lifetime; /* enum lifetime */
    struct opt_int ttl_ms;
    struct labels labels;
};

struct subscribe_params {
    const char *prefix;
    struct opt_int kinds; /* a bit for each enum event_kind; absent: all */
    struct opt_int after; /* the event_serial that was seen last */
};

union params {
    struct create_params create;
    struct target_params target; /* stat, ready, hold, release, disown */
    struct set_params set;
    struct remove_params remove;
    struct list_params list;
    struct wait_params wait;
    struct adopt_params adopt;
    struct subscribe_params subscribe;
};

enum field_type {
    FIELD_INT,    /* struct opt_int, min..max */
    FIELD_BOOL,   /* struct opt_bool */
    FIELD_WORD,   /* struct opt_int, an index into words */
    FIELD_WORDS,  /* struct opt_int, a bit for each word of an array */
    FIELD_MODE,   /* struct opt_int, three or four octal digits in a string */
    FIELD_NAME,   /* const char *, a segment's name */
    FIELD_PREFIX, /* const char *, the beginning of a name; may be empty */
    FIELD_CURSOR, /* const char *, min..max bytes */
    FIELD_LABELS, /* struct labels */
};

struct field {
    const char *name;
    enum field_type type;
    bool required;
    size_t offset; /* in the method's struct */
    int64_t min, max;
    const char *const *words;
};

struct field_table {
    const struct field *fields;
    size_t count;
    bool has_target; /* a struct target stands first in the struct */
    /* What no single field can tell: 0 or -EINVAL. */
    int (*check)(const union params *params, struct failure *ret_failure);
};

const struct field_table *params_table(enum method method);

/*
 * Decodes PARAMS (NULL: absent; null and [] mean the same) for METHOD. 0, or -EINVAL with
 * RET_FAILURE telling which parameter and why; RET is then undefined.
 */
int params_decode(enum method method, const struct json_t *params, union params *ret,
                  struct failure *ret_failure) __attribute__((warn_unused_result));
/* The same from a plain request. */
int params_decode_plain(enum method method, const struct plain *request, union params *ret,
                        struct failure *ret_failure) __attribute__((warn_unused_result));

/*
 * The other way, for a client: appends PARAMS as one object, leaving out what is not given. It does
 * not check ranges: the daemon does, and says what is wrong.
 */
void params_encode(struct writer *w, enum method method, const union params *params);

/* The rules of names, prefixes and labels: NULL when VALUE is good, else the reason. */
const char *params_check_name(const char *value);
const char *params_check_label_key(const char *value);

#endif
