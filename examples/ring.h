/* SPDX-License-Identifier: MIT */
/*
 * A ring of jobs in shared memory: one producer, any number of workers, each of which may be killed
 * at any instant without a loss or a jam for the others. It knows nothing of shmd.
 *
 * A slot goes EMPTY -> FULL (producer) -> DONE (a worker) -> EMPTY (producer), and everything in it
 * but `state`, which anybody may look at, is read and written under its lock. A worker keeps the
 * lock for as long as it works on the job, so the lock is the ownership. It is a robust mutex: when
 * its owner dies, however it dies, the kernel itself marks it, and the next who tries it has the
 * slot. No pid is looked at, so none can be mistaken for another's. Each step ends in the one store
 * that makes it count, the one to `state`; a worker that died before it has done nothing, and the
 * job is done again from the beginning.
 *
 * The producer has a lock of that kind for life: while nobody can take it, the producer lives.
 *
 * Sleeping is by futex. Who dies cannot wake others, so nobody sleeps longer than RING_TICK_MS
 * without looking again: that bounds how late a death is noticed, and nothing else depends on it.
 *
 * Limits. The processes trust one another with the memory, and have the same C library with the
 * same word size, whose pthread_mutex_t this is. Ownership is a thread's: it ends when the thread
 * does, and at exec(). A process that is stopped (SIGSTOP) is not dead, and keeps its job.
 */
#ifndef RING_H
#define RING_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC                                                                                 \
    0x676e6972646d6873ULL /* "shmdring" as a little-endian machine has it in memory */

enum {
    RING_VERSION = 1, /* of the layout; backbone.py knows it too */
    RING_SLOTS = 64,
    RING_TEXT_BYTES = 160,
    RING_TICK_MS = 100,
};

union ring_lock {
    pthread_mutex_t mutex;
    unsigned char room[64]; /* the same place for all that follows wherever this is compiled */
};

enum ring_state {
    RING_EMPTY = 0,
    RING_FULL = 1,
    RING_DONE = 2,
};

struct ring_slot {
    union ring_lock lock;
    _Atomic uint32_t state; /* enum ring_state; a futex: the producer waits for DONE */
    uint32_t length;        /* of `text` */
    uint64_t number;        /* of the job, from 0 */
    uint64_t result;        /* once DONE */
    uint32_t tries;         /* how often a worker began it: more than once where workers died */
    uint32_t reserved;
    char text[RING_TEXT_BYTES];
};

struct ring {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;
    uint32_t slot_bytes;
    _Atomic uint32_t finished; /* 1: no more jobs, and all are done */
    _Atomic uint32_t work;     /* a futex: changes when there is a job, or `finished` */
    uint32_t reserved[9];
    union ring_lock producer; /* from 64 */
    struct ring_slot slot[RING_SLOTS];
};

static_assert(sizeof(union ring_lock) == 64, "a mutex has outgrown its room");
static_assert(offsetof(struct ring, producer) == 64 && offsetof(struct ring, slot) == 128,
              "the layout");
static_assert(offsetof(struct ring_slot, text) == 96 && sizeof(struct ring_slot) == 256,
              "the layout");

/* --- the producer */

/* Makes a ring of MEMORY, all zero and sizeof(struct ring) long, and the calling thread its
 * producer. 0 or a negative errno. */
int ring_init(void *memory, struct ring **ret_ring);

/* Job NUMBER, of at most RING_TEXT_BYTES, into its slot, NUMBER % RING_SLOTS, which must be EMPTY.
 */
int ring_put(struct ring *ring, uint64_t number, const char *text, size_t length);

bool ring_is_done(const struct ring *ring, uint64_t number);

/* Waits until job NUMBER is DONE, and empties its slot. */
int ring_collect(struct ring *ring, uint64_t number, uint64_t *ret_result, uint32_t *ret_tries);

/* All jobs were collected: tells the workers that there will be no more. */
void ring_finish(struct ring *ring);

/* --- a worker */

/* Checks that MEMORY, of SIZE bytes, is a ring of this version. 0 or -EPROTO. */
int ring_open(void *memory, size_t size, struct ring **ret_ring);

enum ring_outcome {
    RING_JOB = 1,
    RING_FINISHED = 2,
    RING_ABANDONED = 3, /* the producer has died */
};

/* Waits for a job, which is then the calling thread's: RET_SLOT, until ring_done(). CURSOR is where
 * this worker looks first; it begins at 0 and only speeds the search. An enum ring_outcome, or a
 * negative errno. */
int ring_next(struct ring *ring, unsigned *cursor, struct ring_slot **ret_slot);

/* The job's RESULT. */
void ring_done(struct ring_slot *slot, uint64_t result);

#endif
