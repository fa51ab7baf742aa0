/* SPDX-License-Identifier: MIT */
/*
 * See ring.h. What always holds here: a thread that is killed between any two instructions leaves
 * the ring as it was before its step, or as it is after it.
 */
#include "ring.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Neither is FUTEX_PRIVATE: the word is another process's as well. Both may fail as they like: who
 * waits looks again. */
static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    struct timespec tick = {.tv_nsec = RING_TICK_MS * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &tick, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int waiters)
{
    syscall(SYS_futex, word, FUTEX_WAKE, waiters, NULL, NULL, 0);
}

/* What pthread_mutex_lock() or _trylock() returned: an owner that died left everything in order. It
 * is always said so, for glibc's trylock takes a mutex that is given back without and never returns
 * it. */
static int taken(union ring_lock *lock, int r)
{
    return -(r == EOWNERDEAD ? pthread_mutex_consistent(&lock->mutex) : r);
}

static int lock_take(union ring_lock *lock)
{
    return taken(lock, pthread_mutex_lock(&lock->mutex));
}

/* 0, or -EBUSY when somebody alive has it. */
static int lock_try(union ring_lock *lock)
{
    return taken(lock, pthread_mutex_trylock(&lock->mutex));
}

static void lock_give(union ring_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

static int lock_init(union ring_lock *lock)
{
    pthread_mutexattr_t attributes;
    int r = pthread_mutexattr_init(&attributes);
    if (r != 0)
        return -r;
    r = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (r == 0)
        r = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (r == 0)
        r = pthread_mutex_init(&lock->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -r;
}

/* --- the producer */

static struct ring_slot *slot_of(struct ring *ring, uint64_t number)
{
    return &ring->slot[number % RING_SLOTS];
}

int ring_init(void *memory, struct ring **ret_ring)
{
    struct ring *ring = memory;
    ring->version = RING_VERSION;
    ring->slots = RING_SLOTS;
    ring->slot_bytes = sizeof(struct ring_slot);
    int r = lock_init(&ring->producer);
    for (int i = 0; r == 0 && i < RING_SLOTS; i++)
        r = lock_init(&ring->slot[i].lock);
    if (r == 0)
        r = lock_take(&ring->producer);
    if (r != 0)
        return r;
    ring->magic = RING_MAGIC;
    *ret_ring = ring;
    return 0;
}

int ring_put(struct ring *ring, uint64_t number, const char *text, size_t length)
{
    if (length > RING_TEXT_BYTES)
        return -EMSGSIZE;
    struct ring_slot *slot = slot_of(ring, number);
    int r = lock_take(&slot->lock);
    if (r != 0)
        return r;
    memcpy(slot->text, text, length);
    slot->length = (uint32_t)length;
    slot->number = number;
    slot->tries = 0;
    atomic_store(&slot->state, RING_FULL);
    lock_give(&slot->lock);
    atomic_fetch_add(&ring->work, 1);
    futex_wake(&ring->work, 1);
    return 0;
}

bool ring_is_done(const struct ring *ring, uint64_t number)
{
    return atomic_load(&ring->slot[number % RING_SLOTS].state) == RING_DONE;
}

int ring_collect(struct ring *ring, uint64_t number, uint64_t *ret_result, uint32_t *ret_tries)
{
    struct ring_slot *slot = slot_of(ring, number);
    while (!ring_is_done(ring, number))
        futex_wait(&slot->state, RING_FULL);
    int r = lock_take(&slot->lock);
    if (r != 0)
        return r;
    *ret_result = slot->result;
    *ret_tries = slot->tries;
    atomic_store(&slot->state, RING_EMPTY);
    lock_give(&slot->lock);
    return 0;
}

void ring_finish(struct ring *ring)
{
    atomic_store(&ring->finished, 1);
    atomic_fetch_add(&ring->work, 1);
    futex_wake(&ring->work, INT_MAX);
}

/* --- a worker */

int ring_open(void *memory, size_t size, struct ring **ret_ring)
{
    struct ring *ring = memory;
    if (size < sizeof(*ring) || ring->magic != RING_MAGIC || ring->version != RING_VERSION ||
        ring->slots != RING_SLOTS || ring->slot_bytes != sizeof(struct ring_slot))
        return -EPROTO;
    *ret_ring = ring;
    return 0;
}

static bool producer_lives(struct ring *ring)
{
    int r = lock_try(&ring->producer);
    if (r == 0)
        lock_give(&ring->producer);
    return r == -EBUSY;
}

/* 0, or -EBUSY when all that there is to do is being done. */
static int take_job(struct ring *ring, unsigned *cursor, struct ring_slot **ret_slot)
{
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        struct ring_slot *slot = slot_of(ring, *cursor + i);
        if (atomic_load(&slot->state) != RING_FULL)
            continue;
        int r = lock_try(&slot->lock);
        if (r == -EBUSY)
            continue;
        if (r != 0)
            return r;
        /* It was locked a moment later than looked at. */
        if (atomic_load(&slot->state) == RING_FULL) {
            slot->tries++;
            *cursor += i + 1;
            *ret_slot = slot;
            return 0;
        }
        lock_give(&slot->lock);
    }
    return -EBUSY;
}

int ring_next(struct ring *ring, unsigned *cursor, struct ring_slot **ret_slot)
{
    for (;;) {
        uint32_t seen = atomic_load(&ring->work);
        /* In this order: it finishes first and dies then. */
        bool lives = producer_lives(ring);
        if (atomic_load(&ring->finished))
            return RING_FINISHED;
        if (!lives)
            return RING_ABANDONED;
        int r = take_job(ring, cursor, ret_slot);
        if (r != -EBUSY)
            return r == 0 ? RING_JOB : r;
        futex_wait(&ring->work, seen);
    }
}

void ring_done(struct ring_slot *slot, uint64_t result)
{
    slot->result = result;
    atomic_store(&slot->state, RING_DONE);
    lock_give(&slot->lock);
    futex_wake(&slot->state, 1);
}
