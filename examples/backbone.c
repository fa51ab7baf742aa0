/* SPDX-License-Identifier: MIT */
/*
 * A backbone of several processes on libshmd: a producer hands jobs out, workers do them.
 *
 *   seq 1000 | backbone producer jobs     one job a line; prints their results in the same order
 *   backbone worker jobs                  as many as you like, before the producer or after it
 *
 * A result is the 64-bit FNV-1a hash of the line. Kill any of them at any time: a job whose worker
 * died is done by another, and without the producer the workers end. The daemon is asked to begin
 * with and then has no part in it: the segment goes when the last of the processes has gone,
 * however that went. The exit statuses are below; README.md has the same in Python.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <shmd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_INITIALISER_DIED = 10, /* as shmdctl has it */
    EXIT_ABANDONED = 12,        /* a worker's: the producer has died */
};

struct options {
    const char *name;
    long pause_ms;
};

static int fail(const char *what, int r)
{
    fprintf(stderr, "backbone: %s: %s\n", what, shmd_strerror(r));
    return EXIT_FAILED;
}

/* What a call on SHMD returned, and what to do about it. */
static int refused(const struct shmd *shmd, int r)
{
    char text[512];
    shmd_failure_text(shmd, text, sizeof(text));
    fprintf(stderr, "backbone: %s\n", text);
    return r == SHMD_ERROR_INITIALISER_DIED ? EXIT_INITIALISER_DIED : EXIT_FAILED;
}

/* Time in which something would be done, for tests and for looking on. */
static void pause_for(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* --- the producer */

struct progress {
    uint64_t put, collected, tries;
};

static int collect_next(struct ring *ring, struct progress *p)
{
    uint64_t result;
    uint32_t tries;
    int r = ring_collect(ring, p->collected, &result, &tries);
    if (r != 0)
        return fail("a job", r);
    printf("%016" PRIx64 "\n", result);
    p->collected++;
    p->tries += tries;
    return 0;
}

static int put_line(struct ring *ring, struct progress *p, const char *line, size_t length)
{
    int status = 0;
    /* What is done already, and what must be, to have a slot free. */
    while (status == 0 && p->collected < p->put &&
           (p->put - p->collected == RING_SLOTS || ring_is_done(ring, p->collected)))
        status = collect_next(ring, p);
    if (status != 0)
        return status;
    int r = ring_put(ring, p->put, line, length);
    if (r != 0)
        return fail("a line cannot be a job", r);
    p->put++;
    return 0;
}

static int feed(struct ring *ring)
{
    struct progress p = {0};
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int status = 0;
    while (status == 0 && (length = getline(&line, &room, stdin)) > 0)
        status = put_line(ring, &p, line, (size_t)length - (line[length - 1] == '\n'));
    free(line);
    while (status == 0 && p.collected < p.put)
        status = collect_next(ring, &p);
    if (status == 0 && (ferror(stdin) || fflush(stdout) != 0))
        status = fail("standard input or output", -errno);
    if (status != 0)
        return status;
    ring_finish(ring);
    fprintf(stderr, "producer %d: %" PRIu64 " jobs, %" PRIu64 " tries\n", (int)getpid(),
            p.collected, p.tries);
    return 0;
}

/* The segment as others will find it. As long as it is not ready they wait; if this process dies
 * before, shmd removes it and tells them. */
static int prepare(struct shmd *shmd, const struct options *o, struct ring **ret_ring)
{
    struct shmd_segment *segment;
    void *memory;
    int r = shmd_create(shmd,
                        &(struct shmd_create_options){
                            .name = o->name,
                            .size = sizeof(struct ring),
                            .exclusive = true,
                            .not_ready = true,
                            .lifetime = SHMD_LIFETIME_PROCESS, /* its creator is the first holder */
                        },
                        &segment, NULL);
    if (r != 0)
        return refused(shmd, r);
    r = shmd_attach(shmd, segment, 0, &memory);
    int status = r != 0 ? refused(shmd, r) : 0;
    if (status == 0) {
        pause_for(o->pause_ms);
        r = ring_init(memory, ret_ring);
        if (r != 0)
            status = fail("the ring", r);
    }
    if (status == 0) {
        r = shmd_ready(shmd, SHMD_SERIAL(segment->serial), NULL);
        if (r != 0)
            status = refused(shmd, r);
    }
    shmd_segment_free(segment);
    return status;
}

static int producer(struct shmd *shmd, const struct options *o)
{
    struct ring *ring;
    int status = prepare(shmd, o, &ring);
    return status != 0 ? status : feed(ring);
}

/* --- a worker */

static uint64_t do_job(const struct ring_slot *slot)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (uint32_t i = 0; i < slot->length; i++)
        hash = (hash ^ (unsigned char)slot->text[i]) * 0x100000001b3;
    return hash;
}

static int work(struct ring *ring, long pause_ms)
{
    unsigned cursor = 0;
    uint64_t jobs = 0;
    struct ring_slot *slot;
    int r;
    while ((r = ring_next(ring, &cursor, &slot)) == RING_JOB) {
        pause_for(pause_ms);
        ring_done(slot, do_job(slot));
        jobs++;
    }
    if (r < 0)
        return fail("the ring", r);
    printf("worker %d: %" PRIu64 " jobs\n", (int)getpid(), jobs);
    if (r == RING_FINISHED)
        return 0;
    fprintf(stderr, "backbone: the producer has died\n");
    return EXIT_ABANDONED;
}

/* Waits for the segment and makes this process a holder: it stays, whatever happens to others. */
static int join(struct shmd *shmd, const char *name, struct ring **ret_ring)
{
    struct shmd_segment *segment;
    void *memory;
    int status = 0;
    int r = shmd_wait(shmd, name, -1, &segment);
    if (r != 0)
        return refused(shmd, r);
    /* By its serial: under the name there may be another by now. */
    r = shmd_hold(shmd, SHMD_SERIAL(segment->serial), NULL);
    if (r == 0)
        r = shmd_attach(shmd, segment, 0, &memory);
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT || r == SHMD_ERROR_STALE_SEGMENT) {
        fprintf(stderr, "backbone: the producer died before this worker began\n");
        status = EXIT_ABANDONED;
    } else if (r != 0) {
        status = refused(shmd, r);
    } else {
        r = ring_open(memory, (size_t)segment->size, ret_ring);
        if (r != 0)
            status = fail("the segment is not a ring of this version", r);
    }
    shmd_segment_free(segment);
    return status;
}

static int worker(struct shmd *shmd, const struct options *o)
{
    struct ring *ring;
    int status = join(shmd, o->name, &ring);
    return status != 0 ? status : work(ring, o->pause_ms);
}

/* --- the command line */

static int usage(void)
{
    fputs("usage: backbone producer|worker NAME [--pause MS]\n"
          "--pause: of the producer, before the segment is ready; of a worker, in every job\n",
          stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"pause", required_argument, NULL, 'p'}, {0}};
    struct options o = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end;
        if (option != 'p' || (o.pause_ms = strtol(optarg, &end, 10)) < 0 || *end)
            return usage();
    }
    if (argc - optind != 2)
        return usage();
    o.name = argv[optind + 1];
    int (*role)(struct shmd *, const struct options *) =
        strcmp(argv[optind], "producer") == 0 ? producer
        : strcmp(argv[optind], "worker") == 0 ? worker
                                              : NULL;
    if (!role)
        return usage();

    struct shmd *shmd;
    int r = shmd_connect(NULL, -1, &shmd);
    if (r != 0) {
        char text[512];
        shmd_unreachable_text(NULL, r, text, sizeof(text));
        fprintf(stderr, "backbone: cannot reach the daemon: %s\n", text);
        return EXIT_FAILED;
    }
    int status = role(shmd, &o);
    shmd_disconnect(shmd);
    return status;
}
