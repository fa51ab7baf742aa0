/* SPDX-License-Identifier: MIT */
/*
 * Cuts a stream of bytes into complete JSON values without decoding them: it keeps no bytes, only
 * where it is, so each byte is looked at once however the stream is chopped. It knows brackets,
 * strings and the shape of a top-level scalar; whether a slice is JSON is the decoder's business.
 *
 * What it refuses has no end that could be known: brackets that do not match, a raw control
 * character in a string, a byte that begins no value. If all of it stands on one line, the next
 * line is the next place to begin at (a forgotten quote costs one line, not the rest of the
 * connection). If it went on over a line's end there is no such place: a line inside of it could be
 * taken for a request.
 */
#ifndef SHMD_PROTOCOL_SCANNER_H
#define SHMD_PROTOCOL_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/brackets.h"
#include "protocol/errors.h"
#include "protocol/other_framing.h"

enum scan_status {
    SCAN_MORE,      /* all bytes were taken and no value is complete */
    SCAN_VALUE,     /* a value is complete */
    SCAN_BAD,       /* the byte after those taken cannot be JSON there */
    SCAN_FOREIGN,   /* the bytes taken are another protocol's or framing's */
    SCAN_TOO_LARGE, /* the value is longer than the limit */
    SCAN_NO_MEMORY, /* for brackets that are very deep; the value is lost */
};

enum scan_state {
    SCAN_BETWEEN,   /* outside of any value */
    SCAN_CONTAINER, /* inside { or [, not in a string */
    SCAN_STRING,    /* inside a string, in a container or at the top */
    SCAN_ESCAPE,    /* after the backslash in a string */
    SCAN_SCALAR, /* inside a top-level number or word: its end is the next byte that is not of it */
    SCAN_MARK, /* in or after a byte order mark: it spoils the value behind it, and is part of it */
    SCAN_OTHER,  /* in what may be the beginning of another framing */
    SCAN_RESYNC, /* after an error: everything up to LF or NUL is thrown away */
};

struct scanner {
    uint32_t limit;  /* of a value, in bytes */
    uint32_t length; /* bytes taken of the unfinished value */
    struct brackets brackets;
    framing_set framings; /* that SCAN_OTHER may turn out to be */
    uint8_t state;        /* enum scan_state */
    bool spans_lines;     /* the unfinished value has gone on over a LF */
};

/* LIMIT fits 32 bits: what no session needs is not kept for each. */
void scanner_init(struct scanner *s, size_t limit);
void scanner_deinit(struct scanner *s);

/*
 * Looks at DATA, which starts where the last call stopped. RET_TAKEN: the bytes looked at. After
 * SCAN_VALUE the value is the last scanner_length() bytes taken (some of them in earlier calls)
 * and the scanner is between values. A top-level scalar is complete only when a byte behind it,
 * which is not taken, or scanner_finish() says so. After another status than those two and
 * SCAN_MORE, nothing may be scanned before scanner_resync().
 */
enum scan_status scanner_scan(struct scanner *s, const char *data, size_t len, size_t *ret_taken);

/* What to answer for STATUS, which is none of SCAN_MORE and SCAN_VALUE; BYTE is the one that
 * SCAN_BAD stopped at. */
void scanner_failure(const struct scanner *s, enum scan_status status, char byte,
                     struct failure *ret);

/* The length of the value that was completed last. */
size_t scanner_length(const struct scanner *s);

/* Whether the unfinished value, or the one that was refused, has gone on over a line's end. */
bool scanner_spans_lines(const struct scanner *s);

/* There are no more bytes: SCAN_VALUE for a scalar, SCAN_BAD in the midst of a value, SCAN_MORE
 * when there is none. */
enum scan_status scanner_finish(struct scanner *s);

/* Throws bytes away up to the next LF or NUL. */
void scanner_resync(struct scanner *s);

/* Whether bytes of a value were taken that is not complete. */
bool scanner_unfinished(const struct scanner *s);

/* Whether the next value may begin at the next byte: none is unfinished, none is thrown away. */
static inline bool scanner_is_between(const struct scanner *s)
{
    return s->state == SCAN_BETWEEN;
}

#endif
