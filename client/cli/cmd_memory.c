/* SPDX-License-Identifier: MIT */
/*
 * read and write: the segment's memory itself, to and from the standard streams, straight from
 * where it lies. Nothing outside of the segment, or of what --offset and --length name, is ever
 * touched. How large the segment is, the kernel says: the daemon's word is not taken for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/advice.h"
#include "client/cli/cli.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/plain_text.h"
#include "client/cli/progress.h"

enum { CHUNK = 1024 * 1024 };

/* --- the part of the segment that is meant */

struct window {
    char *address; /* attached */
    uint64_t offset, length;
};

/* SIZE: the segment's. */
static int check_bounds(const struct cli *cli, uint64_t size, struct window *w)
{
    const struct options *o = &cli->options;
    if (o->offset > size)
        return cli_error(EXIT_USAGE, "--offset %" PRIu64 " is past the segment's %" PRIu64 " bytes",
                         o->offset, size);
    w->offset = o->offset;
    w->length = size - o->offset;
    if (!cli_given(cli, OPT(LENGTH)))
        return 0;
    if (o->length > w->length)
        return cli_error(EXIT_USAGE,
                         "--length %" PRIu64 " is too long: the segment has %" PRIu64
                         " bytes, %" PRIu64 " of them from offset %" PRIu64 " on",
                         o->length, size, w->length, o->offset);
    w->length = o->length;
    return 0;
}

/* Whoever fills it may read what it has written so far; all others cannot tell which part that is.
 */
static void note_initialising(const struct cli *cli, const struct shmd_segment *segment)
{
    char word[512] = "";
    if (segment->state != SHMD_STATE_INITIALISING)
        return;
    if (segment->name)
        shell_word(segment->name, word, sizeof(word));
    if (*word)
        cli_note(cli, "%s is not ready: what is not filled yet reads as zeros; to wait: %s wait %s",
                 segment->name, advice_program(cli), word);
    else
        cli_note(cli, "the segment is not ready: what is not filled yet reads as zeros");
}

static int window_open(struct cli *cli, unsigned flags, struct window *ret)
{
    struct window w = {0};
    struct shmd_segment *segment;
    void *address;
    uint64_t size = 0;
    int status = cli_stat(cli, IDS_USED, &segment);
    if (status != 0)
        return status;
    if (flags & SHMD_ATTACH_READONLY)
        note_initialising(cli, segment);
    int shmid = segment->shmid, r = shmd_attach(cli_ask(cli), segment, flags, &address);
    shmd_segment_free(segment);
    if (r != 0)
        return cli_failure(cli, r);
    w.address = address;
    /* While it is attached its id is no other segment's. */
    r = kernel_segment_size(shmid, &size);
    if (r < 0)
        status =
            cli_error(EXIT_REFUSED, "cannot tell the size of segment %d: %s", shmid, strerror(-r));
    else
        status = check_bounds(cli, size, &w);
    if (status != 0)
        (void)shmd_detach(w.address);
    else
        *ret = w;
    return status;
}

static void window_close(struct window *w)
{
    (void)shmd_detach(w->address);
}

static size_t next_chunk(uint64_t done, uint64_t length)
{
    return length - done < CHUNK ? (size_t)(length - done) : CHUNK;
}

/* --- the commands */

static int copy_out(const struct window *w)
{
    struct progress progress = progress_begin(w->length);
    uint64_t done = 0;
    while (done < w->length) {
        ssize_t n =
            write(STDOUT_FILENO, w->address + w->offset + done, next_chunk(done, w->length));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            progress_end(&progress);
            if (error == EPIPE)
                return cli_output_failure(error);
            return cli_error(EXIT_REFUSED,
                             "cannot write to standard output: %s, after %" PRIu64 " bytes",
                             strerror(error), done);
        }
        done += (uint64_t)n;
        progress_tell(&progress, done);
    }
    progress_end(&progress);
    return EXIT_OK;
}

int cmd_read(struct cli *cli)
{
    struct window w = {0};
    int status = window_open(cli, SHMD_ATTACH_READONLY, &w);
    if (status != 0)
        return status;
    status = copy_out(&w);
    window_close(&w);
    return status;
}

/* --- interruption: write says how far it came, and then ends by the signal */

static const int interruptions[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t interrupted_by;

static void note_interruption(int number)
{
    interrupted_by = number;
}

/* From now on these signals are taken only where RET_MASK is in force. One that is ignored stays
 * so. */
static void catch_interruptions(sigset_t *ret_mask)
{
    struct sigaction before;
    sigset_t block;
    sigemptyset(&block);
    for (size_t i = 0; i < COUNT(interruptions); i++) {
        const struct sigaction action = {.sa_handler = note_interruption};
        if (sigaction(interruptions[i], NULL, &before) < 0 || before.sa_handler == SIG_IGN)
            continue;
        sigaddset(&block, interruptions[i]);
        (void)sigaction(interruptions[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &block, ret_mask);
}

/* Ends the process as the signal would have. */
static void end_by_interruption(const sigset_t *mask)
{
    signal(interrupted_by, SIG_DFL);
    raise(interrupted_by);
    sigprocmask(SIG_SETMASK, mask, NULL);
}

/* Waits for input, during which MASK lets signals in: 0; -EINTR: one of them came. */
static int wait_for_input(const sigset_t *mask)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (ppoll(&input, 1, NULL, mask) < 0) {
        if (errno != EINTR)
            return 0; /* read() tells what is wrong */
        if (interrupted_by)
            return -EINTR;
    }
    return 0;
}

/* Between two reads: every byte that was read has been counted. */
static ssize_t read_some(void *into, size_t size, const sigset_t *mask)
{
    ssize_t n;
    do {
        if (wait_for_input(mask) < 0) {
            errno = EINTR;
            return -1;
        }
        n = read(STDIN_FILENO, into, size);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n;
}

/* Whether standard input has more than there was room for. */
static bool input_is_left(const sigset_t *mask)
{
    char byte;
    return read_some(&byte, 1, mask) > 0;
}

/* How many bytes will come: as --length says, or as a file has left. 0: that is not known. */
static uint64_t expected_input(const struct window *w, bool length_given)
{
    struct stat st;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    if (length_given)
        return w->length;
    if (at < 0 || fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= at)
        return 0;
    uint64_t left = (uint64_t)(st.st_size - at);
    return left < w->length ? left : w->length;
}

/* Up to the end of input or of the window: RET_DONE bytes, or an exit status. */
static int copy_in(const struct window *w, bool length_given, const sigset_t *mask,
                   uint64_t *ret_done)
{
    struct progress progress = progress_begin(expected_input(w, length_given));
    uint64_t done = 0;
    ssize_t n = 1;
    while (n > 0 && done < w->length) {
        n = read_some(w->address + w->offset + done, next_chunk(done, w->length), mask);
        done += n > 0 ? (uint64_t)n : 0;
        progress_tell(&progress, done);
    }
    int error = errno;
    progress_end(&progress);
    if (n < 0 && interrupted_by) {
        (void)cli_error(EXIT_OK,
                        "interrupted after %" PRIu64 " of %" PRIu64
                        " bytes were written from offset %" PRIu64 " on",
                        done, w->length, w->offset);
        end_by_interruption(mask);
        return EXIT_REFUSED;
    }
    if (n < 0)
        return cli_error(EXIT_REFUSED,
                         "cannot read standard input: %s, after %" PRIu64 " bytes were written",
                         strerror(error), done);
    *ret_done = done;
    return EXIT_OK;
}

int cmd_write(struct cli *cli)
{
    struct window w = {0};
    sigset_t mask;
    bool length_given = cli_given(cli, OPT(LENGTH));
    uint64_t done = 0;
    int status = window_open(cli, 0, &w);
    if (status != 0)
        return status;
    catch_interruptions(&mask);
    status = copy_in(&w, length_given, &mask, &done);
    if (status == EXIT_OK && length_given && done < w.length)
        status =
            cli_error(EXIT_REFUSED,
                      "the input ended after %" PRIu64 " of %" PRIu64 " bytes; those were written",
                      done, w.length);
    else if (status == EXIT_OK && !length_given && done == w.length && input_is_left(&mask))
        status = cli_error(EXIT_REFUSED,
                           "the input is longer than the %" PRIu64 " bytes from offset %" PRIu64
                           " to the segment's end; those were written",
                           w.length, w.offset);
    window_close(&w);
    return status;
}
