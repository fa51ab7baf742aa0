/* SPDX-License-Identifier: MIT */
/*
 * create: a segment, empty or filled from a file. One that is filled can be found only when all of
 * it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/advice.h"
#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"
#include "client/cli/progress.h"

enum { CHUNK = 1024 * 1024 };

static void note_existing(const struct cli *cli, const struct shmd_segment *segment)
{
    const char *unfilled = cli->options.from ? " and not filled; --replace takes its place" : "";
    if (segment->name)
        cli_note(cli, "%s exists already and is left as it is%s", segment->name, unfilled);
    else
        cli_note(cli, "the segment with key 0x%08" PRIx32 " exists already and is left as it is%s",
                 segment->key, unfilled);
}

/* This command ends once it has answered, and a segment that only it holds is removed then. */
static void note_end(const struct cli *cli, const struct shmd_segment *segment)
{
    const char *program = advice_program(cli);
    char name[512] = "";
    if (cli->n_args > 0)
        shell_word(cli->args[0], name, sizeof(name));
    bool is_held =
        segment->lifetime == SHMD_LIFETIME_PROCESS || segment->lifetime == SHMD_LIFETIME_CONNECTION;
    if (is_held && segment->holders <= 1)
        cli_note(
            cli,
            "lifetime %s: the segment goes when this command ends, unless another process holds "
            "it; use '%s run', or create it persistent, and then '%s hold %s --lifetime %s'",
            shmd_lifetime_word(segment->lifetime), program, program, *name ? name : "NAME",
            shmd_lifetime_word(segment->lifetime));
    else if (segment->lifetime == SHMD_LIFETIME_ATTACHED && segment->nattch == 0)
        cli_note(cli,
                 "lifetime attached: the segment goes when this command ends, unless a process "
                 "has attached it by then");
    else if (cli_given(cli, OPT(NOT_READY)) && segment->state == SHMD_STATE_INITIALISING)
        cli_note(cli,
                 "--not-ready: the segment goes when this command ends, because that is its "
                 "initialiser; use '%s run'",
                 program);
}

/* --- from a file */

struct source {
    const char *name;
    int fd;
    bool is_whole; /* the segment has the size of the file, which is to be read to its end */
    int error;     /* a negative errno when it could not be read */
};

static const char *source_name(const struct options *o)
{
    return strcmp(o->from, "-") == 0 ? "standard input" : o->from;
}

/* Where --size is not given, the file's size is the segment's. 0 or an exit status. */
static int source_open(struct options *o, struct source *ret)
{
    struct source s = {.name = source_name(o), .fd = STDIN_FILENO};
    struct stat st;
    if (o->lifetime == SHMD_LIFETIME_ATTACHED)
        return cli_usage("--from, --lifetime attached: the segment would go when it has been "
                         "filled and is detached; choose another lifetime");
    if (strcmp(o->from, "-") != 0)
        s.fd = open(o->from, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0 || fstat(s.fd, &st) < 0)
        return cli_error(EXIT_REFUSED, "cannot read %s: %s", s.name, strerror(errno));
    *ret = s;
    if (S_ISDIR(st.st_mode))
        return cli_error(EXIT_REFUSED,
                         "cannot read %s: it is a directory, and --from takes a regular file",
                         s.name);
    if (o->given & OPT(SIZE))
        return 0;
    if (!S_ISREG(st.st_mode))
        return cli_usage("--size is missing: %s is not a regular file and does not tell it",
                         s.name);
    if (st.st_size == 0)
        return cli_error(EXIT_REFUSED, "%s is empty, and a segment has at least 1 byte", s.name);
    o->size = (uint64_t)st.st_size;
    o->given |= OPT(SIZE);
    ret->is_whole = true;
    return 0;
}

static void source_close(const struct source *s)
{
    if (s->fd > STDERR_FILENO)
        close(s->fd);
}

/* One piece: how many bytes, 0 at the end, or a negative errno. */
static ssize_t read_piece(int fd, void *into, size_t size)
{
    ssize_t n;
    do
        n = read(fd, into, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int fill(void *address, uint64_t size, void *data)
{
    struct source *s = data;
    uint64_t done = 0;
    char more;
    ssize_t n = 1;
    struct progress progress = progress_begin(s->is_whole ? size : 0);
    while (done < size && n > 0) {
        size_t piece = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        n = read_piece(s->fd, (char *)address + done, piece);
        done += n > 0 ? (uint64_t)n : 0;
        progress_tell(&progress, done);
    }
    progress_end(&progress);
    if (n > 0)
        n = read_piece(s->fd, &more, 1) > 0 ? -EFBIG : 0;
    else if (n < 0)
        s->error = (int)n;
    else if (s->is_whole)
        n = -ENODATA;
    return (int)n;
}

/* R is what fill() or the library returned. */
static int source_failure(const struct cli *cli, const struct source *s, int r)
{
    if (s->error != 0)
        return cli_error(EXIT_REFUSED, "cannot read %s: %s; nothing was created", s->name,
                         strerror(-s->error));
    if (r == -EFBIG)
        return cli_error(EXIT_REFUSED,
                         "%s is longer than the segment's %" PRIu64 " bytes: nothing was created",
                         s->name, cli->options.size);
    if (r == -ENODATA)
        return cli_error(EXIT_REFUSED, "%s became shorter while it was read: nothing was created",
                         s->name);
    return cli_failure(cli, r);
}

/* --- the answer */

/* As `create` itself answers: the answer to `ready`, which came last, does not tell that. */
static int answer_created(const struct cli *cli, const struct shmd_segment *segment)
{
    const char *result = shmd_last_result(cli->shmd);
    char *text;
    if (!cli_given(cli, OPT(JSON)))
        return output_segment(cli, segment);
    int len = asprintf(&text, "%.*s,\"created\":true}", (int)strlen(result) - 1, result);
    if (len < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    int status = output_result(cli, text, segment);
    free(text);
    return status;
}

static int answer(struct cli *cli, const struct shmd_segment *segment, bool created)
{
    if (created)
        note_end(cli, segment);
    else
        note_existing(cli, segment);
    int status =
        created && cli->options.from ? answer_created(cli, segment) : output_segment(cli, segment);
    cli_warn_of_ids(cli);
    return status;
}

static int create_from(struct cli *cli, const struct shmd_create_options *options,
                       struct source *source)
{
    const struct shmd_content content = {.fill = fill, .data = source};
    struct shmd_segment *segment;
    bool created;
    int r = shmd_create_filled(cli_ask(cli), options, &content, &segment, &created);
    if (r != 0)
        return source_failure(cli, source, r);
    int status = answer(cli, segment, created);
    shmd_segment_free(segment);
    return status;
}

static int create(struct cli *cli, const struct shmd_create_options *options)
{
    struct shmd_segment *segment;
    bool created;
    int r = shmd_create(cli_ask(cli), options, &segment, &created);
    if (r != 0)
        return cli_failure(cli, r);
    int status = answer(cli, segment, created);
    shmd_segment_free(segment);
    return status;
}

int cmd_create(struct cli *cli)
{
    struct shmd_create_options options;
    struct source source = {.fd = -1};
    int r = cli->options.from ? source_open(&cli->options, &source) : 0;
    if (r == 0)
        r = options_create(cli, &options);
    if (r == 0)
        r = output_check(&cli->options);
    if (r == 0)
        r = cli_connect_for_ids(cli, cli->options.from ? IDS_USED : IDS_SHOWN);
    if (r == 0) {
        options.name = cli->n_args > 0 ? cli->args[0] : NULL;
        r = cli->options.from ? create_from(cli, &options, &source) : create(cli, &options);
    }
    source_close(&source);
    return r;
}
