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

/* Makes the segments numbered FIRST and on, N of them, named by segment_name(), with keys by
 * segment_key() if WITH_KEYS. */
void make_segments(int fd, int first, int n, int with_keys, struct made *ret);
void segment_name(char out[static 24], int number);
int segment_key(int number);

#endif
