/* SPDX-License-Identifier: MIT */
/* What the benchmark says to shmd, and what it needs of the answers. */
#ifndef SHMD_BENCH_CALLS_H
#define SHMD_BENCH_CALLS_H

#include <stddef.h>
#include <stdint.h>

struct bench;
struct server;

/* 86 bytes with the line's end: the yardstick's request. */
#define USUAL_NAME "bench/the-usual-segment1"
#define STAT_REQUEST                                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stat\",\"params\":{\"name\":\"" USUAL_NAME "\"}}"  \
    "\n"

enum {
    RAW_REQUEST = 86,
    RAW_REPLY = 250,
    ANSWER_MAX = 2 << 20, /* a page of a list, for one */
};

/* Sends the text and receives one line, which must be a result and not an error; terminated. Valid
 * until the next call. */
const char *call(int fd, const char *request);

/* A member's number in an answer; the first of that name. */
int64_t answer_number(const char *answer, const char *key);

struct made {
    int64_t serial;
    int shmid;
};

enum { WITH_KEY = 1, WITH_END = 2 };

/* A request for the segment NUMBER, named by segment_name(), with the key of segment_key() and an
 * end in an hour as WITH says. Returns its length. */
size_t write_create(char *out, size_t room, int number, unsigned with);
/* Makes the segments numbered FIRST and on, N of them. */
void make_segments(int fd, int first, int n, unsigned with, struct made *ret);
void segment_name(char out[static 24], int number);
int segment_key(int number);

enum lookup { BY_NAME, BY_SHMID, BY_KEY, BY_SERIAL, LOOKUP_KINDS };

/* A request for a stat of the segment NUMBER; by shmid and serial that is MADE. Returns its length.
 */
size_t write_lookup(char *out, size_t room, enum lookup kind, int number, const struct made *made);

/* All pages; their segments are counted only if RET_SEEN is asked for, as that is no part of the
 * list. */
void list_all(int fd, size_t *ret_seen);

/* How long a stat of the usual segment takes, one after the other, until there are N samples or the
 * time is over; three there are in any case. Returns how many. */
size_t sample_stats(int fd, double *ns, size_t n, int64_t for_ns);

#endif
