/* SPDX-License-Identifier: MIT */
/*
 * Opening: whether the directory is fit, which file is there, whether another daemon has it, and
 * what becomes of a file that is of another boot, damaged or not ours.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/journal_directory.h"
#include "daemon/store/journal_read.h"
#include "daemon/store/journal_rewrite.h"

enum { TRIES = 8 }; /* when other daemons start and stop at the same moment */

/* A file that was opened and locked, or is to be made. */
struct candidate {
    int fd; /* -1: there is none */
    struct file_info info;
};

static void candidate_close(const struct host *host, struct candidate *c)
{
    if (c->fd >= 0)
        host->ops->close(host->context, c->fd);
    c->fd = -1;
}

static int refuse(const struct journal_options *o, int error, const char *what)
{
    journal_say(o, LOG_LEVEL_ERROR, "%s/%s: %s: %s", o->directory, JOURNAL_NAME, what,
                strerror(-error));
    return error;
}

/* The daemon may not write to the file: somebody else made it, or has taken its rights away. */
static int refuse_denied(const struct journal_options *o, int error)
{
    const struct host *host = &o->host;
    struct file_info info;
    if (host->ops->stat_name(host->context, JOURNAL_NAME, &info) < 0)
        return refuse(o, error, "it cannot be opened");
    if (info.uid == o->own_uid && (info.mode & 0600) == 0600)
        return refuse(o, error,
                      "its owner and mode are right, and still it cannot be opened to write "
                      "(`lsattr` tells whether it was made immutable; or a security module "
                      "forbids it)");
    journal_say(o, LOG_LEVEL_ERROR,
                "%s/%s belongs to uid %" PRIu32 ", has mode %04" PRIo32
                ", and the daemon, uid %" PRIu32 ", cannot write to it: run `chown %" PRIu32
                "` and `chmod 600` on it, or move it away to begin without its records",
                o->directory, JOURNAL_NAME, info.uid, info.mode, o->own_uid, o->own_uid);
    return error;
}

static int refuse_busy(const struct journal_options *o)
{
    journal_say(o, LOG_LEVEL_ERROR,
                "another shmd has the state directory %s: stop it, or name another directory with "
                "--state-dir",
                o->directory);
    return -EBUSY;
}

/* --- the file */

/* Whether the file that is locked still has the journal's name. */
static int check_name(const struct host *host, const struct candidate *c, bool *ret_is_current)
{
    struct file_info now;
    int r = host->ops->stat_name(host->context, JOURNAL_NAME, &now);
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_is_current = r == 0 && now.inode == c->info.inode && now.device == c->info.device;
    return 0;
}

/* Opens and locks what has the journal's name: 0, -ENOENT, -EBADMSG when it is no regular file,
 * -EBUSY, -EAGAIN when it was replaced meanwhile, or another negative errno. */
static int open_existing(const struct host *host, struct candidate *ret)
{
    struct candidate c = {.fd = -1};
    bool is_current = false;
    int r = host->ops->stat_name(host->context, JOURNAL_NAME, &c.info);
    if (r < 0)
        return r;
    if (!c.info.is_regular)
        return -EBADMSG;
    r = host->ops->open(host->context, JOURNAL_NAME, false, &c.fd);
    if (r == -ENOENT || r == -ELOOP)
        return -EAGAIN;
    if (r == 0)
        r = host->ops->lock(host->context, c.fd);
    if (r == -EWOULDBLOCK)
        r = -EBUSY;
    if (r == 0)
        r = host->ops->stat(host->context, c.fd, &c.info);
    if (r == 0)
        r = check_name(host, &c, &is_current);
    if (r == 0 && !is_current)
        r = -EAGAIN;
    if (r == 0 && c.info.mode != 0600)
        r = host->ops->make_private(host->context, c.fd);
    if (r < 0)
        candidate_close(host, &c);
    else
        *ret = c;
    return r;
}

static struct header new_header(const struct journal_options *o)
{
    struct header header = {.ipc_namespace = o->ipc_namespace,
                            .records_since_at_ms = o->host.ops->realtime_ms(o->host.context)};
    snprintf(header.boot_id, sizeof(header.boot_id), "%s", o->boot_id);
    return header;
}

/* Whether something that the daemon did not make has the new file's name. */
static bool is_in_the_way(const struct journal_options *o)
{
    const struct host *host = &o->host;
    struct file_info info;
    return host->ops->stat_name(host->context, JOURNAL_NEW_NAME, &info) == 0 &&
           (!info.is_regular || info.uid != o->own_uid);
}

/* Makes a new journal with COUNTERS alone. REPLACE: in place of what has the name, else -EEXIST. */
static int make_new(struct journal *j, const struct store_counters *counters, bool replace)
{
    const struct host *host = &j->options.host;
    const struct header header = new_header(&j->options);
    const struct store_record record = {.type = STORE_COUNTERS, .counters = *counters};
    struct journal_file file = {.fd = -1};
    int r = journal_file_make(host, JOURNAL_NEW_NAME, &header, &file);
    if (r == -EWOULDBLOCK)
        return -EBUSY;
    if (r == 0)
        r = record_encode(&j->buffer, &record, false);
    if (r == 0)
        r = journal_file_append(host, &file, j->buffer.bytes, j->buffer.len);
    if (r == 0)
        r = journal_file_commit(host, &file, NULL);
    if (r == 0)
        r = host->ops->rename(host->context, JOURNAL_NEW_NAME, JOURNAL_NAME, replace);
    j->buffer.len = 0;
    if (r < 0) {
        journal_file_close(host, &file);
        return journal_fail(j, r, "%s/%s cannot be made: %s%s", j->options.directory,
                            JOURNAL_NEW_NAME, strerror(-r),
                            is_in_the_way(&j->options) ? ": move away what has that name" : "");
    }
    journal_file_close(host, &j->file);
    j->file = file;
    j->counters = *counters;
    j->has_contents = true;
    j->contents = (struct store_contents){.counters = *counters,
                                          .records_since_at_ms = header.records_since_at_ms};
    return 0;
}

/* --- what was read */

static int take_contents(struct journal *j, struct journal_reading *reading)
{
    struct store_contents *c = &j->contents;
    contents_finish(&reading->builder, c);
    j->has_contents = true;
    c->records_since_at_ms = j->file.header.records_since_at_ms;
    c->has_intent = j->file.header.has_intent;
    c->intent = j->file.header.intent;
    j->counters = c->counters;
    for (size_t i = 0; i < c->n_daemons; i++)
        store_daemons_add(j->daemons, &j->n_daemons, &c->daemons[i]);
    int r = journal_live_reserve(&j->live, c->n_segments);
    for (size_t i = 0; r == 0 && i < c->n_segments; i++) {
        const struct stored *stored = &c->segments[i];
        struct store_record record = {
            .type = STORE_SEGMENT, .serial = stored->segment.serial, .segment = &stored->segment};
        journal_live_note(&j->live, &record);
        record.type = STORE_TIE;
        for (size_t k = 0; k < stored->n_ties; k++)
            journal_live_note(&j->live, &record);
    }
    return r;
}

/* A journal that is good: what was read is what it holds from now on. */
static int take_over(struct journal *j, struct candidate *c, struct journal_reading *reading)
{
    const struct journal_options *o = &j->options;
    struct journal_file *file = &j->file;
    *file = (struct journal_file){.fd = c->fd,
                                  .device = c->info.device,
                                  .inode = c->info.inode,
                                  .header = reading->header,
                                  .end = reading->end,
                                  .sum = reading->sum,
                                  .committed_sum = reading->sum,
                                  .room = reading->end};
    c->fd = -1;
    if (reading->size > reading->end) {
        journal_say(o, LOG_LEVEL_NOTICE,
                    "%s/%s: the last %" PRIu64 " bytes were not written whole, as when a daemon is "
                    "killed while it writes: they are cut off, nothing in them was acknowledged",
                    o->directory, JOURNAL_NAME, reading->size - reading->end);
        file->tail_is_unsure = true;
    }
    if (reading->end > file->header.committed) {
        /* The only change that is written while an intent is open is the one that it announces. */
        file->header.has_intent = false;
        file->header.intent = (struct store_intent){0};
        file->header.committed = reading->end;
        file->header_is_unsure = true;
    }
    if (*o->boot_id && !*file->header.boot_id) {
        snprintf(file->header.boot_id, sizeof(file->header.boot_id), "%s", o->boot_id);
        file->header_is_unsure = true;
    }
    if (o->ipc_namespace && !file->header.ipc_namespace) {
        file->header.ipc_namespace = o->ipc_namespace;
        file->header_is_unsure = true;
    }
    /* A disk that is full or broken now may be better later: until then nothing is written. */
    int ignored = journal_file_mend(&o->host, file);
    (void)ignored;
    return take_contents(j, reading);
}

/* NULL, or of what else the records are. */
static const char *other_scope(const struct journal_options *o, const struct header *header)
{
    if (*o->boot_id && *header->boot_id &&
        strncmp(o->boot_id, header->boot_id, BOOT_ID_SIZE - 1) != 0)
        return "boot";
    if (o->ipc_namespace && header->ipc_namespace && o->ipc_namespace != header->ipc_namespace)
        return "IPC namespace";
    return NULL;
}

/* Sets aside what has the journal's name and begins with nothing. */
static int begin_without(struct journal *j, const char *why)
{
    const struct journal_options *o = &j->options;
    const struct store_counters none = {0};
    char aside[SET_ASIDE_NAME_MAX];
    int r = journal_directory_set_aside(&o->host, JOURNAL_NAME, aside);
    if (r < 0) {
        journal_say(o, LOG_LEVEL_ERROR, "%s/%s: %s; it cannot be set aside: %s", o->directory,
                    JOURNAL_NAME, why, strerror(-r));
        return r;
    }
    journal_say(o, LOG_LEVEL_ERROR,
                "%s/%s: %s; it is kept as %s/%s; the segments stay, and are listed as foreign and "
                "lost until they are adopted",
                o->directory, JOURNAL_NAME, why, o->directory, aside);
    return make_new(j, &none, false);
}

/* The file is open and locked: reads it and decides. */
static int use_existing(struct journal *j, struct candidate *c)
{
    const struct journal_options *o = &j->options;
    struct journal_reading reading CLEANUP(journal_reading_deinit) = {0};
    int r = journal_read_header(&o->host, c->fd, c->info.size, &reading);
    if (r == -EBADMSG)
        return begin_without(j, reading.why);
    if (r < 0)
        return r;
    const char *other = other_scope(o, &reading.header);
    r = journal_read_records(&o->host, c->fd, &reading);
    if (other && (r == 0 || r == -EBADMSG)) {
        /* The counters go on, so that a serial that somebody remembers denotes nothing. */
        const struct store_counters counters = reading.builder.so_far.counters;
        journal_say(o, LOG_LEVEL_NOTICE,
                    "the records were of another %s, whose segments do not exist here: the journal "
                    "begins anew",
                    other);
        return make_new(j, &counters, true);
    }
    if (r == -EBADMSG)
        return begin_without(j, reading.why);
    return r < 0 ? r : take_over(j, c, &reading);
}

static int open_or_make(struct journal *j)
{
    const struct host *host = &j->options.host;
    const struct store_counters none = {0};
    int r = -EAGAIN;
    for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
        struct candidate c = {.fd = -1};
        j->reason[0] = '\0';
        r = open_existing(host, &c);
        if (r == 0)
            r = use_existing(j, &c);
        else if (r == -EBADMSG)
            r = begin_without(j, "it is not a regular file");
        else if (r == -ENOENT)
            r = make_new(j, &none, false);
        candidate_close(host, &c);
        if (r == -EEXIST) /* another daemon was quicker */
            r = -EAGAIN;
    }
    return r;
}

int journal_open(const struct journal_options *options, struct journal **ret)
{
    char why[512];
    int r = journal_directory_enter(options, why, sizeof(why));
    if (r < 0) {
        journal_say(options, LOG_LEVEL_ERROR, "%s", why);
        return r;
    }
    struct journal *j = calloc(1, sizeof(*j));
    if (!j)
        return refuse(options, -ENOMEM, "it cannot be opened");
    j->options = *options;
    j->file.fd = j->rewrite.file.fd = -1;
    r = open_or_make(j);
    if (r < 0) {
        if (r == -EBUSY || r == -EAGAIN)
            r = refuse_busy(options);
        else if (*j->reason)
            journal_say(options, LOG_LEVEL_ERROR, "%s", j->reason);
        else if (r == -EACCES || r == -EPERM)
            r = refuse_denied(options, r);
        else
            r = refuse(options, r, "it cannot be opened");
        journal_close(j);
        return r;
    }
    journal_directory_set_old_aside(options);
    /* What a compaction that was killed has left. */
    r = options->host.ops->remove(options->host.context, JOURNAL_NEW_NAME);
    if (r < 0 && r != -ENOENT)
        journal_say(options, LOG_LEVEL_WARNING, "%s/%s cannot be deleted: %s", options->directory,
                    JOURNAL_NEW_NAME, strerror(-r));
    /* A disk that is full now refuses changes later. */
    int ignored = journal_file_make_room(&options->host, &j->file, journal_room_to_leave(j));
    (void)ignored;
    *ret = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->file.fd >= 0 && j->file.header.has_intent && j->intent_is_ours) {
        int ignored = journal_file_abandon(&j->options.host, &j->file);
        (void)ignored;
    }
    journal_rewrite_give_up(j);
    journal_file_close(&j->options.host, &j->file);
    record_buffer_deinit(&j->buffer);
    journal_live_deinit(&j->live);
    store_contents_deinit(&j->contents);
    free(j);
}
