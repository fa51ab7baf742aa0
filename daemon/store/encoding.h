/* SPDX-License-Identifier: MIT */
/*
 * Records as bytes. All numbers are little-endian.
 *
 *     4  length of the payload
 *     1  type
 *     1  1: the change goes on with the next record; 0: this is its last one
 *     2  0
 *        payload
 *     8  sum
 *
 * A daemon that does not know a type takes the file for a damaged one: it sets it aside and begins
 * without records, and the segments stay. So does 0.1.0 with any record of a segment that has an
 * idle time, and thus with those that `idle` is about: they need no other format.
 *
 * The sums are chained: each is SipHash-2-4 of the record, with a key made of the file's seed and
 * the sum of the record before. A record that was changed, lost, moved or copied from another file
 * breaks the chain.
 */
#ifndef SHMD_STORE_ENCODING_H
#define SHMD_STORE_ENCODING_H

#include "daemon/store/store.h"

enum {
    RECORD_OVERHEAD = 16,
    RECORD_PAYLOAD_MAX = 8192,
    RECORD_TIE_SIZE = RECORD_OVERHEAD + 64,
    RECORD_UNTIE_SIZE = RECORD_OVERHEAD + 32,
    RECORD_GONE_SIZE = RECORD_OVERHEAD + 8,
    RECORD_COUNTERS_SIZE = RECORD_OVERHEAD + 16,
    RECORD_DAEMON_SIZE = RECORD_OVERHEAD + 16,
    RECORD_IDLE_SIZE = RECORD_OVERHEAD + 36,
};

/* Encoded records, one behind the other. All zeros: empty. */
struct record_buffer {
    uint8_t *bytes;
    size_t len, capacity;
};

void record_buffer_deinit(struct record_buffer *buffer);

/* Adds RECORD, whose sum is still to be set: 0 or -ENOMEM. */
int record_encode(struct record_buffer *buffer, const struct store_record *record,
                  bool goes_on) MUST_CHECK;

/* Sets the sums of the records in BYTES, which begin behind one with *SUM; moves *SUM on. */
void records_seal(uint8_t *bytes, size_t len, const uint64_t seed[static 2], uint64_t *sum);

/* A record among bytes. */
struct record_frame {
    size_t size; /* of it all */
    uint8_t type;
    bool goes_on;
    const uint8_t *payload;
    size_t payload_len;
    uint64_t sum; /* as it stands there */
    bool has_right_sum;
};

enum record_found {
    RECORD_FOUND,
    RECORD_CUT_OFF, /* the bytes end before it does */
    RECORD_BAD,     /* what stands there cannot be one */
};

/* The record that BYTES begin with, behind one with sum PREVIOUS. */
enum record_found record_find(const uint8_t *bytes, size_t len, const uint64_t seed[static 2],
                              uint64_t previous, struct record_frame *ret);
/* The same without a look at its sum. */
enum record_found record_find_unsummed(const uint8_t *bytes, size_t len, struct record_frame *ret);

/* A record with room for what it points to; its texts point into the bytes that it was read from.
 */
struct decoded_record {
    struct store_record record;
    struct stored_segment segment;
    struct label labels[SEGMENT_LABELS_MAX];
};

/* 0, or -EBADMSG with RET_WHY (static) when it is not as record_encode() would have written it. */
int record_decode(const struct record_frame *frame, struct decoded_record *ret,
                  const char **ret_why) MUST_CHECK;

/* "segment", "tie", ...; NULL when there is no such type. */
const char *record_type_word(unsigned type);

#endif
