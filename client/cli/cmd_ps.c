/* SPDX-License-Identifier: MIT */
/*
 * ps: which processes have segments attached, hold them or wait for them. Attachments are read from
 * /proc with the caller's own rights, holders and waiters are the daemon's to tell. Without a
 * daemon the kernel's segments are shown all the same: that is when one wants to know.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cli/cli.h"
#include "client/cli/daemons.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/near.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"
#include "client/cli/table.h"
#include "client/cli/waiters.h"
#include "protocol/writer.h"

enum { TEXT_SIZE = 512 };

enum column {
    COLUMN_SHMID,
    COLUMN_NAME,
    COLUMN_PID,
    COLUMN_USER,
    COLUMN_COMMAND,
    COLUMN_UNIT,
    COLUMN_ACCESS,
    COLUMN_HOLDS,
    COLUMN_WAITS,
    COLUMNS,
};

static const struct table_column columns[COLUMNS] = {
    [COLUMN_SHMID] = {.heading = "SHMID", .is_number = true},
    [COLUMN_NAME] = {.heading = "NAME", .may_be_cut = true},
    [COLUMN_PID] = {.heading = "PID", .is_number = true},
    [COLUMN_USER] = {.heading = "USER"},
    [COLUMN_COMMAND] = {.heading = "COMMAND", .may_be_cut = true},
    [COLUMN_UNIT] = {.heading = "UNIT", .may_be_cut = true, .may_be_left_out = 2},
    [COLUMN_ACCESS] = {.heading = "ACCESS", .may_be_left_out = 1},
    [COLUMN_HOLDS] = {.heading = "HOLDS", .may_be_left_out = 1},
    [COLUMN_WAITS] = {.heading = "WAITS", .may_be_left_out = 1},
};

const char *ps_column(int number)
{
    return number < COLUMNS ? columns[number].heading : NULL;
}

enum { CHOSEN_MAX = 4 * COLUMNS };

struct choice {
    size_t columns[CHOSEN_MAX];
    size_t n;       /* 0: all of them */
    size_t n_usual; /* so many are there without being asked for */
    size_t sort;    /* COLUMNS: as they come */
};

struct ps {
    struct cli *cli;
    struct daemon_seen daemon;    /* owned */
    struct shmd_attachments *all; /* owned; of all segments */
    struct table *table;          /* owned; NULL: as JSON */
    struct writer json;           /* owned */
    struct writer notes;          /* owned: lines below the table */
    struct choice choice;
    bool one;   /* a segment was named: it is shown even when nobody has it */
    bool asked; /* the daemon was: without it nobody knows who holds a segment or waits for it */
    size_t n_shown;
};

/* --- which columns */

static int find_column(const char *name, size_t len, size_t *ret)
{
    char word[32], list[128] = "";
    struct near near;
    snprintf(word, sizeof(word), "%.*s", (int)len, name);
    near_begin(&near, word);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (strlen(columns[i].heading) == len && strncasecmp(columns[i].heading, name, len) == 0) {
            *ret = i;
            return 0;
        }
        strncat(list, i ? "," : "", sizeof(list) - strlen(list) - 1);
        strncat(list, columns[i].heading, sizeof(list) - strlen(list) - 1);
        near_try(&near, columns[i].heading);
    }
    if (len == 0)
        return cli_usage("a column is missing before or behind a comma; there are %s", list);
    if (near.best)
        return cli_usage("unknown column '%s'; do you mean %s? There are %s", word, near.best,
                         list);
    return cli_usage("unknown column '%s'; there are %s", word, list);
}

static int choose(struct ps *ps)
{
    const struct options *o = &ps->cli->options;
    struct choice *choice = &ps->choice;
    const char *at = o->columns;
    int r = 0;
    choice->sort = COLUMNS;
    if (cli_given(ps->cli, OPT(JSON)) && cli_given(ps->cli, OPT(OUTPUT) | OPT(SORT) | OPT(REVERSE)))
        return cli_usage("--output, --sort and --reverse choose from the table; with --json there "
                         "is always everything");
    if (o->sort)
        r = find_column(o->sort, strlen(o->sort), &choice->sort);
    if (at && *at == '+') {
        for (; choice->n < COLUMNS; choice->n++)
            choice->columns[choice->n] = choice->n;
        choice->n_usual = choice->n;
        at++;
    }
    while (r == 0 && at) {
        size_t len = strcspn(at, ",");
        if (choice->n == CHOSEN_MAX)
            return cli_usage("too many columns");
        r = find_column(at, len, &choice->columns[choice->n++]);
        at = at[len] ? at + len + 1 : NULL;
    }
    return r;
}

/* 0 or -ENOMEM. */
static int arrange(struct ps *ps)
{
    const struct choice *choice = &ps->choice;
    int r = table_sort(ps->table, choice->sort, cli_given(ps->cli, OPT(REVERSE)));
    if (r < 0 || choice->n == 0)
        return r;
    return table_choose(ps->table, choice->columns, choice->n, choice->n_usual);
}

/* --- one process */

struct process {
    int32_t pid;
    uint32_t uid;
    const char *comm;
    const struct shmd_attachment *attachment; /* NULL: it only holds the segment */
    bool holds, waits;
};

static const char *unit_of(const struct process *p)
{
    if (!p->attachment)
        return "";
    if (p->attachment->unit)
        return p->attachment->unit;
    return p->attachment->cgroup ? p->attachment->cgroup : "";
}

static const char *access_of(const struct process *p)
{
    if (!p->attachment)
        return "-";
    return p->attachment->read_only ? "read-only" : "writable";
}

static int add_line(struct ps *ps, const struct shmd_segment *s, const struct process *p)
{
    char shmid[16], pid[16], user[64];
    snprintf(shmid, sizeof(shmid), "%d", s->shmid);
    snprintf(pid, sizeof(pid), "%" PRId32, p->pid);
    format_user(p->uid, user, sizeof(user));
    const char *const texts[COLUMNS] = {
        [COLUMN_SHMID] = shmid,
        [COLUMN_NAME] = s->name ? s->name : "",
        [COLUMN_PID] = pid,
        [COLUMN_USER] = user,
        [COLUMN_COMMAND] = p->comm ? p->comm : "?",
        [COLUMN_UNIT] = unit_of(p),
        [COLUMN_ACCESS] = access_of(p),
        [COLUMN_HOLDS] = !ps->asked ? "?"
                         : p->holds ? "yes"
                                    : "no",
        [COLUMN_WAITS] = !ps->asked ? "?"
                         : p->waits ? "yes"
                                    : "no",
    };
    return table_add(ps->table, texts);
}

/* --- one segment */

static bool is_holder(const struct shmd_segment *s, int32_t pid)
{
    for (uint32_t i = 0; s->holder_list && i < s->holders; i++)
        if (s->holder_list[i].pid == pid)
            return true;
    return false;
}

static bool has_attached(const struct ps *ps, const struct shmd_segment *s, int32_t pid)
{
    for (size_t i = 0; i < ps->all->count; i++)
        if (ps->all->processes[i]->shmid == s->shmid && ps->all->processes[i]->pid == pid)
            return true;
    return false;
}

static uint64_t count_unseen(const struct ps *ps, const struct shmd_segment *s)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < ps->all->count; i++)
        if (ps->all->processes[i]->shmid == s->shmid)
            seen += ps->all->processes[i]->count;
    return s->nattch > seen ? s->nattch - seen : 0;
}

static void note_unseen(struct ps *ps, const struct shmd_segment *s, uint64_t unseen)
{
    char text[TEXT_SIZE];
    int len = snprintf(text, sizeof(text),
                       "shmid %d: %" PRIu64 " of %" PRIu64 " attachments belong to processes that "
                       "you may not see; root sees all\n",
                       s->shmid, unseen, s->nattch);
    writer_bytes(&ps->notes, text, (size_t)len);
}

static int show_waiters(struct ps *ps, const struct shmd_segment *s, const char *result)
{
    struct json_walk walk = waiters_begin(result);
    struct waiting w;
    int r = 0;
    while (r == 0 && waiters_next(&walk, &w)) {
        const struct process p = {w.pid, w.uid, *w.comm ? w.comm : NULL, NULL, false, true};
        ps->n_shown++;
        r = add_line(ps, s, &p);
    }
    return r;
}

static int show_as_text(struct ps *ps, const struct shmd_segment *s, const char *result)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < ps->all->count; i++) {
        const struct shmd_attachment *a = ps->all->processes[i];
        const struct process p = {a->pid, a->uid, a->comm, a, is_holder(s, a->pid), false};
        if (a->shmid == s->shmid) {
            ps->n_shown++;
            r = add_line(ps, s, &p);
        }
    }
    for (uint32_t i = 0; r == 0 && s->holder_list && i < s->holders; i++) {
        const struct shmd_holder *h = &s->holder_list[i];
        const struct process p = {h->pid, h->uid, h->comm, NULL, true, false};
        if (!has_attached(ps, s, h->pid)) {
            ps->n_shown++;
            r = add_line(ps, s, &p);
        }
    }
    if (r == 0)
        r = show_waiters(ps, s, result);
    uint64_t unseen = count_unseen(ps, s);
    if (r == 0 && unseen > 0)
        note_unseen(ps, s, unseen);
    return r;
}

static void write_text(struct writer *w, const char *key, const char *text)
{
    if (!text)
        return;
    writer_key(w, key);
    writer_string(w, text);
}

static void write_uint(struct writer *w, const char *key, uint64_t value)
{
    writer_key(w, key);
    writer_uint(w, value);
}

static void write_attachment(struct writer *w, const struct shmd_attachment *a)
{
    writer_object_begin(w);
    write_uint(w, "pid", (uint64_t)a->pid);
    write_uint(w, "uid", a->uid);
    write_text(w, "comm", a->comm);
    write_text(w, "unit", a->unit);
    write_text(w, "cgroup", a->cgroup);
    writer_key(w, "read_only");
    writer_bool(w, a->read_only);
    write_uint(w, "count", a->count);
    writer_object_end(w);
}

static void write_holder(struct writer *w, const struct shmd_holder *h)
{
    writer_object_begin(w);
    write_uint(w, "pid", (uint64_t)h->pid);
    write_uint(w, "uid", h->uid);
    write_text(w, "comm", h->comm);
    writer_key(w, "since_at_ms");
    writer_int(w, h->since_at_ms);
    writer_object_end(w);
}

static void write_what_the_daemon_tells(struct writer *w, const struct shmd_segment *s,
                                        const char *result)
{
    writer_key(w, "holders");
    writer_array_begin(w);
    for (uint32_t i = 0; s->holder_list && i < s->holders; i++)
        write_holder(w, &s->holder_list[i]);
    writer_array_end(w);
    writer_key(w, "waiters");
    writer_array_begin(w);
    struct json_walk walk = waiters_begin(result);
    struct waiting waiting;
    while (waiters_next(&walk, &waiting))
        writer_value(w, waiting.text.text, waiting.text.len);
    writer_array_end(w);
}

static void show_as_json(struct ps *ps, const struct shmd_segment *s, const char *result)
{
    struct writer *w = &ps->json;
    writer_object_begin(w);
    writer_key(w, "shmid");
    writer_int(w, s->shmid);
    write_text(w, "name", s->name);
    if (s->managed)
        write_uint(w, "serial", s->serial);
    write_uint(w, "key", s->key);
    write_uint(w, "nattch", s->nattch);
    write_uint(w, "unseen", count_unseen(ps, s));
    writer_key(w, "attached");
    writer_array_begin(w);
    for (size_t i = 0; i < ps->all->count; i++)
        if (ps->all->processes[i]->shmid == s->shmid)
            write_attachment(w, ps->all->processes[i]);
    writer_array_end(w);
    if (ps->asked)
        write_what_the_daemon_tells(w, s, result);
    writer_object_end(w);
}

/* RESULT: of stat, of this segment; or NULL. 0 or -ENOMEM. */
static int show(struct ps *ps, const struct shmd_segment *s, const char *result)
{
    struct json_walk walk = waiters_begin(result);
    struct waiting waiting;
    if (!ps->one && s->nattch == 0 && s->holders == 0 && !waiters_next(&walk, &waiting))
        return 0;
    if (ps->table)
        return show_as_text(ps, s, result);
    show_as_json(ps, s, result);
    return 0;
}

/* --- which segments */

/* For shmd_list(). Only stat tells who holds a segment, or waits for it. */
static int show_listed(const struct shmd_segment *listed, void *data)
{
    struct ps *ps = data;
    struct shmd_segment *asked = NULL;
    bool is_worth_it = listed->holders > 0 || listed->state == SHMD_STATE_INITIALISING;
    if (is_worth_it &&
        shmd_stat(cli_ask(ps->cli), &(struct shmd_target){.serial = listed->serial}, &asked) != 0)
        asked = NULL; /* it went meanwhile, or what is left is what list tells */
    int r = show(ps, asked ? asked : listed, asked ? shmd_last_result(ps->cli->shmd) : NULL);
    shmd_segment_free(asked);
    return r;
}

static int show_from_daemon(struct ps *ps)
{
    const struct shmd_list_options all = {.scope = SHMD_SCOPE_ALL};
    struct shmd_target target;
    struct shmd_segment *segment = NULL;
    int r = ps->one ? cli_target(ps->cli, &target) : 0;
    if (r != 0)
        return r;
    if (!ps->one) {
        r = shmd_list(cli_ask(ps->cli), &all, show_listed, ps);
    } else {
        r = shmd_stat(cli_ask(ps->cli), &target, &segment);
        r = r == 0 ? show(ps, segment, shmd_last_result(ps->cli->shmd)) : r;
        shmd_segment_free(segment);
    }
    if (r == -ENOMEM)
        return cli_error(EXIT_REFUSED, "out of memory");
    return r != 0 ? cli_failure(ps->cli, r) : EXIT_OK;
}

static bool is_meant(const struct cli *cli, const struct kernel_segment *s)
{
    if (cli_given(cli, OPT(SHMID)))
        return s->shmid == cli->options.shmid;
    return !cli_given(cli, OPT(KEY)) || (s->key != 0 && s->key == cli->options.key);
}

static int show_from_kernel(struct ps *ps)
{
    struct kernel_segments segments;
    bool is_found = false;
    int r = kernel_segments_read(&segments);
    if (r < 0)
        return cli_error(EXIT_REFUSED, "cannot read the kernel's segments: %s", strerror(-r));
    for (size_t i = 0; r == 0 && i < segments.count; i++) {
        const struct kernel_segment *s = &segments.rows[i];
        if (!is_meant(ps->cli, s))
            continue;
        is_found = true;
        r = show(ps, &(struct shmd_segment){.shmid = s->shmid, .key = s->key, .nattch = s->nattch},
                 NULL);
    }
    kernel_segments_deinit(&segments);
    if (r < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    return ps->one && !is_found ? cli_error(EXIT_NO_SUCH_SEGMENT, "there is no such segment")
                                : EXIT_OK;
}

/* --- the command */

static const char *nobody_text(const struct ps *ps)
{
    if (!ps->asked)
        return ps->one ? "No process has it attached." : "No process has a segment attached.";
    return ps->one ? "No process has it attached, holds it or waits for it."
                   : "No process has a segment attached, holds one or waits for one.";
}

static int print(struct ps *ps)
{
    if (!ps->table) {
        writer_array_end(&ps->json);
        writer_object_end(&ps->json);
        if (ps->json.failed)
            return cli_error(EXIT_REFUSED, "out of memory");
        output_json_text(ps->json.data, ps->json.len);
        return EXIT_OK;
    }
    if (ps->notes.failed || arrange(ps) < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    if (ps->n_shown > 0)
        table_print(ps->table, stdout);
    else if (ps->notes.len == 0)
        puts(nobody_text(ps));
    if (ps->notes.len > 0)
        fwrite(ps->notes.data, 1, ps->notes.len, stdout);
    return EXIT_OK;
}

static int start(struct ps *ps)
{
    if (cli_given(ps->cli, OPT(JSON))) {
        writer_object_begin(&ps->json);
        writer_key(&ps->json, "segments");
        writer_array_begin(&ps->json);
        return 0;
    }
    ps->table = table_new(columns, COLUMNS, output_style(&ps->cli->options));
    return ps->table ? 0 : cli_error(EXIT_REFUSED, "out of memory");
}

static int run(struct ps *ps)
{
    struct cli *cli = ps->cli;
    struct shmd_target target;
    int status = choose(ps);
    if (status == 0 && ps->one)
        status = cli_target(cli, &target);
    if (status != 0)
        return status;
    daemon_ask(cli, &ps->daemon);
    const bool answers = ps->asked = ps->daemon.state == DAEMON_ANSWERS;
    bool needs_daemon = cli->n_args > 0 || cli_given(cli, OPT(SERIAL));
    if (ps->daemon.state == DAEMON_ELSEWHERE)
        return cli_error(EXIT_REFUSED, "the daemon is in another IPC namespace, where the ids of "
                                       "segments mean others than here: run shmdctl there");
    if (!answers && needs_daemon)
        return ps->daemon.state == DAEMON_UNREACHABLE ? cli_unreachable(cli, ps->daemon.error)
                                                      : cli_failure(cli, ps->daemon.error);
    if (!answers)
        cli_note(cli,
                 "the daemon was not asked (%s): names, and who holds a segment or waits for it, "
                 "are not known",
                 daemon_state_text(&ps->daemon));
    int r = shmd_attachments(answers ? cli->shmd : NULL, NULL, &ps->all);
    if (r != 0)
        return answers ? cli_failure(cli, r)
                       : cli_error(EXIT_REFUSED, "cannot read /proc: %s", strerror(-r));
    status = start(ps);
    if (status == EXIT_OK)
        status = answers ? show_from_daemon(ps) : show_from_kernel(ps);
    return status == EXIT_OK ? print(ps) : status;
}

int cmd_ps(struct cli *cli)
{
    struct ps ps = {.cli = cli,
                    .one = cli->n_args > 0 || cli_given(cli, OPT(SHMID) | OPT(KEY) | OPT(SERIAL))};
    writer_init(&ps.json);
    writer_init(&ps.notes);
    int status = run(&ps);
    table_free(ps.table);
    writer_deinit(&ps.json);
    writer_deinit(&ps.notes);
    shmd_attachments_free(ps.all);
    daemon_seen_deinit(&ps.daemon);
    return status;
}
