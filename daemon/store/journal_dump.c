/* SPDX-License-Identifier: MIT */
/* A journal as JSON lines, for a bug report. A damaged one is printed as far as its records can be
 * told apart: each says where it stands and whether its sum is right. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "daemon/store/journal_file.h"
#include "daemon/store/journal_scan.h"
#include "protocol/writer.h"

static const char *const role_words[TIE_ROLES] = {
    [TIE_HOLDER] = "holder", [TIE_INITIALISER] = "initialiser", [TIE_ATTACHER] = "attacher"};

struct dump {
    FILE *out;
    struct writer line;
    uint64_t n_records, n_damages;
};

/* --- parts of a line */

static void put_int(struct dump *d, const char *key, int64_t value)
{
    writer_key(&d->line, key);
    writer_int(&d->line, value);
}

static void put_uint(struct dump *d, const char *key, uint64_t value)
{
    writer_key(&d->line, key);
    writer_uint(&d->line, value);
}

static void put_bool(struct dump *d, const char *key, bool value)
{
    writer_key(&d->line, key);
    writer_bool(&d->line, value);
}

/* NULL is null. */
static void put_string(struct dump *d, const char *key, const char *value)
{
    writer_key(&d->line, key);
    if (value)
        writer_string(&d->line, value);
    else
        writer_null(&d->line);
}

static void begin_line(struct dump *d, uint64_t at, const char *type)
{
    writer_rewind(&d->line, (struct writer_mark){0});
    writer_restart(&d->line);
    writer_object_begin(&d->line);
    put_uint(d, "at", at);
    put_string(d, "type", type);
}

static int end_line(struct dump *d)
{
    writer_object_end(&d->line);
    writer_bytes(&d->line, "\n", 1);
    if (d->line.failed)
        return -ENOMEM;
    return fwrite(d->line.data, 1, d->line.len, d->out) == d->line.len ? 0 : -EIO;
}

/* --- lines */

static int put_damage(struct dump *d, uint64_t at, const char *what)
{
    d->n_damages++;
    begin_line(d, at, "damage");
    put_string(d, "what", what);
    return end_line(d);
}

static int put_header(struct dump *d, const struct header *h)
{
    begin_line(d, 0, "header");
    put_uint(d, "format", HEADER_FORMAT);
    put_string(d, "boot_id", h->boot_id);
    put_uint(d, "ipc_namespace", h->ipc_namespace);
    put_int(d, "records_since_at_ms", h->records_since_at_ms);
    put_uint(d, "committed", h->committed);
    writer_key(&d->line, "intent");
    if (!h->has_intent) {
        writer_null(&d->line);
        return end_line(d);
    }
    writer_object_begin(&d->line);
    put_uint(d, "key", h->intent.key);
    put_uint(d, "size", h->intent.size);
    put_int(d, "pid", h->intent.pid);
    put_int(d, "at_s", h->intent.at_s);
    writer_object_end(&d->line);
    return end_line(d);
}

static void put_segment(struct dump *d, const struct stored_segment *s)
{
    put_string(d, "name", s->name);
    put_string(d, "other_name", s->other_name);
    put_uint(d, "replaces", s->replaces);
    put_uint(d, "key", s->key);
    put_int(d, "shmid", s->shmid);
    put_int(d, "cpid", s->cpid);
    put_uint(d, "cuid", s->cuid);
    put_uint(d, "size", s->size);
    put_uint(d, "creator_uid", s->creator.uid);
    put_uint(d, "creator_gid", s->creator.gid);
    put_int(d, "creator_pid", s->creator.pid);
    put_string(d, "creator_comm", s->creator.comm);
    put_bool(d, "creator_was_admin", s->creator.was_admin);
    put_bool(d, "creator_only_pays", s->creator.only_pays);
    put_string(d, "state", state_words[s->state]);
    put_string(d, "lifetime", lifetime_words[s->lifetime]);
    put_bool(d, "noreserve", s->noreserve);
    put_bool(d, "adopted", s->adopted);
    put_bool(d, "has_unseen", s->has_unseen);
    put_uint(d, "huge_page_size", s->huge_page_size);
    put_int(d, "created_at_ms", s->created_at_ms);
    put_int(d, "expires_at_ms", s->expires_at_ms);
    put_int(d, "idle_ttl_ms", s->idle_ttl_ms);
    put_int(d, "idle_since_ms", s->idle.since_ms);
    writer_key(&d->line, "labels");
    writer_object_begin(&d->line);
    for (size_t i = 0; i < s->n_labels; i++)
        put_string(d, s->labels[i].key, s->labels[i].value);
    writer_object_end(&d->line);
}

static void put_tie(struct dump *d, const struct stored_tie *tie, bool is_whole)
{
    put_string(d, "role", role_words[tie->role]);
    put_int(d, "pid", tie->identity.pid);
    /* As a text: an inode may be larger than what a JSON number holds. */
    char inode[24];
    snprintf(inode, sizeof(inode), "%" PRIu64, tie->identity.inode);
    put_string(d, "pidfd_inode", inode);
    put_uint(d, "started_at_ticks", tie->identity.started_at);
    if (!is_whole)
        return;
    put_uint(d, "uid", tie->uid);
    put_string(d, "comm", tie->comm);
    put_int(d, "since_at_ms", tie->since_at_ms);
}

static void put_idle(struct dump *d, const struct stored_idle *idle)
{
    put_int(d, "idle_since_ms", idle->since_ms);
    put_int(d, "attached_at_s", idle->attached_at_s);
    put_int(d, "detached_at_s", idle->detached_at_s);
    put_int(d, "last_pid", idle->last_pid);
}

static void put_fields(struct dump *d, const struct store_record *record)
{
    if (record->serial)
        put_uint(d, "serial", record->serial);
    switch (record->type) {
    case STORE_SEGMENT: put_segment(d, record->segment); break;
    case STORE_TIE:
    case STORE_UNTIE: put_tie(d, &record->tie, record->type == STORE_TIE); break;
    case STORE_GONE: break;
    case STORE_COUNTERS:
        put_uint(d, "last_serial", record->counters.last_serial);
        put_uint(d, "event_serial", record->counters.event_serial);
        break;
    case STORE_DAEMON:
        put_int(d, "pid", record->daemon.pid);
        put_uint(d, "pid_namespace", record->daemon.pid_namespace);
        put_int(d, "started_at_s", record->daemon.started_at_s);
        break;
    case STORE_IDLE: put_idle(d, &record->idle); break;
    }
}

static int put_record(struct dump *d, uint64_t at, const struct record_frame *frame,
                      const struct header *header)
{
    struct decoded_record decoded;
    const char *why = NULL;
    int r = record_decode(frame, &decoded, &why);
    d->n_records++;
    if (r < 0 || !frame->has_right_sum)
        d->n_damages++;
    begin_line(d, at, record_type_word(frame->type));
    put_string(d, "sum", frame->has_right_sum ? "right" : "wrong");
    put_bool(d, "acknowledged", at + frame->size <= header->committed);
    put_bool(d, "goes_on", frame->goes_on);
    if (r < 0)
        put_string(d, "damage", why);
    else
        put_fields(d, &decoded.record);
    return end_line(d);
}

static int put_end(struct dump *d, uint64_t at)
{
    begin_line(d, at, "end");
    put_uint(d, "records", d->n_records);
    put_uint(d, "damages", d->n_damages);
    return end_line(d);
}

/* --- the file */

/* Each sum is checked against the one that stands before it, right or wrong: so a single damage is
 * reported once, where it is. */
static int dump_records(struct dump *d, struct journal_scan *scan, const struct header *header)
{
    uint64_t previous = 0;
    for (;;) {
        uint64_t at = journal_scan_at(scan);
        struct record_frame frame;
        enum record_found found;
        int r = journal_scan_find(scan, header->seed, previous, &found, &frame);
        if (r < 0)
            return r;
        if (found == RECORD_FOUND) {
            r = put_record(d, at, &frame, header);
            if (r < 0)
                return r;
            previous = frame.sum;
            journal_scan_step(scan, &frame);
            journal_scan_forget(scan);
            continue;
        }
        if (found == RECORD_BAD)
            r = put_damage(d, at,
                           "no record begins like this: the records after it cannot be found");
        else if (at < scan->size)
            r = at < header->committed
                    ? put_damage(d, at, "the file ends within a record that was acknowledged")
                    : put_damage(d, at, "a record was not written whole; it was not acknowledged");
        else if (at < header->committed)
            r = put_damage(d, at, "the file ends here, and more was acknowledged");
        return r < 0 ? r : put_end(d, at);
    }
}

static int dump_file(struct dump *d, const struct host *host, int fd, uint64_t size)
{
    uint8_t bytes[HEADER_SIZE];
    struct header header;
    char why[200];
    ssize_t got = journal_file_read(host, fd, bytes, sizeof(bytes), 0);
    if (got < 0)
        return (int)got;
    int r = header_decode(bytes, (size_t)got, &header, why, sizeof(why));
    if (r < 0) {
        int failed = put_damage(d, 0, why);
        return failed < 0 ? failed : put_end(d, 0);
    }
    struct journal_scan scan CLEANUP(journal_scan_deinit) = {0};
    journal_scan_init(&scan, host, fd, size, HEADER_SIZE);
    r = put_header(d, &header);
    return r < 0 ? r : dump_records(d, &scan, &header);
}

int journal_dump_from(const struct host *host, int fd, uint64_t size, FILE *out)
{
    struct dump d = {.out = out};
    writer_init(&d.line);
    int r = dump_file(&d, host, fd, size);
    writer_deinit(&d.line);
    if (r == 0 && fflush(out) != 0)
        r = -errno;
    return r == 0 && d.n_damages > 0 ? -EBADMSG : r;
}

int journal_dump(const char *path, FILE *out, FILE *err)
{
    const struct host host = {&host_linux_ops, NULL};
    struct stat st;
    int fd CLEANUP(cleanup_close) = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = -errno;
        fprintf(err, "shmd: %s: %s\n", path, strerror(-r));
        return r;
    }
    if (!S_ISREG(st.st_mode)) {
        fprintf(err, "shmd: %s: it is not a regular file\n", path);
        return -EINVAL;
    }
    int r = journal_dump_from(&host, fd, (uint64_t)st.st_size, out);
    if (r < 0 && r != -EBADMSG)
        fprintf(err, "shmd: %s: %s\n", path, strerror(-r));
    return r;
}
