/* SPDX-License-Identifier: MIT */
/*
 * Segments on standard output: a table of them, one as a list of all there is to say, or JSON.
 */
#include "client/cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/columns.h"
#include "client/cli/format.h"
#include "client/cli/json_pick.h"
#include "client/cli/plain_text.h"
#include "client/cli/table.h"
#include "client/cli/waiters.h"

struct segment_table {
    struct column_choice choice;
    struct table *table; /* owned */
    struct column_text text;
};

int output_check(const struct options *o)
{
    struct column_choice choice;
    const struct column *sort;
    int r = columns_choose(o->columns, &choice);
    if (r == 0 && o->sort)
        r = column_find(o->sort, &sort);
    return r;
}

struct table_style output_style(const struct options *o)
{
    return (struct table_style){
        .no_headings = o->given & OPT(NOHEADINGS),
        .raw = o->given & OPT(RAW),
        .width = o->given & OPT(NOTRUNCATE) ? 0 : terminal_width(),
    };
}

static struct table *new_table(const struct options *o, const struct column_choice *choice)
{
    struct table_column headings[COLUMNS_MAX];
    for (size_t i = 0; i < choice->n; i++)
        headings[i] = (struct table_column){
            .heading = choice->columns[i]->name,
            .is_number = choice->columns[i]->kind == COLUMN_NUMBER,
            .may_be_cut = choice->columns[i]->kind == COLUMN_TEXT,
            .may_be_left_out = i < choice->n_by_default ? 1 : 0,
        };
    return table_new(headings, choice->n, output_style(o));
}

int segment_table_new(const struct options *o, struct segment_table **ret)
{
    struct segment_table *table = calloc(1, sizeof(*table));
    if (!table)
        return cli_error(EXIT_REFUSED, "out of memory");
    table->text.bytes = o->given & OPT(BYTES);
    table->text.times = o->time_format;
    int r = columns_choose(o->columns, &table->choice);
    if (r == 0 && !(table->table = new_table(o, &table->choice)))
        r = cli_error(EXIT_REFUSED, "out of memory");
    if (r != 0)
        segment_table_free(table);
    else
        *ret = table;
    return r;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
}

int segment_table_add(struct segment_table *table, const struct shmd_segment *segment)
{
    char *texts[COLUMNS_MAX] = {NULL};
    size_t n = 0;
    for (; n < table->choice.n; n++) {
        texts[n] = strdup(column_print(table->choice.columns[n], segment, &table->text));
        if (!texts[n])
            break;
    }
    int r = n == table->choice.n ? table_add(table->table, (const char *const *)texts) : -ENOMEM;
    free_texts(texts, n);
    return r;
}

void segment_table_print(struct segment_table *table)
{
    table_print(table->table, stdout);
}

void segment_table_free(struct segment_table *table)
{
    if (!table)
        return;
    table_free(table->table);
    free(table);
}

void output_json_text(const char *json, size_t len)
{
    print_json_text(stdout, json, len);
    putchar('\n');
}

bool output_json(const struct cli *cli)
{
    if (!cli_given(cli, OPT(JSON)))
        return false;
    const char *result = shmd_last_result(cli->shmd);
    output_json_text(result, strlen(result));
    return true;
}

int output_json_writer(struct writer *json, int status)
{
    if (status == EXIT_OK && json->failed)
        status = cli_error(EXIT_REFUSED, "out of memory");
    if (status == EXIT_OK)
        output_json_text(json->data, json->len);
    writer_deinit(json);
    return status;
}

/* Of RESULT, the members that --output names. */
static int output_picked(const struct cli *cli, const char *result,
                         const struct shmd_segment *segment)
{
    struct column_choice choice;
    struct writer json;
    int status = columns_choose(cli->options.columns, &choice);
    writer_init(&json);
    if (status == EXIT_OK)
        json_pick_result(&json, &choice, (struct json_slice){result, strlen(result)}, segment);
    return output_json_writer(&json, status);
}

int output_result(const struct cli *cli, const char *result, const struct shmd_segment *segment)
{
    if (cli_given(cli, OPT(JSON)) && cli_given(cli, OPT(OUTPUT)))
        return output_picked(cli, result, segment);
    if (cli_given(cli, OPT(JSON))) {
        output_json_text(result, strlen(result));
        return EXIT_OK;
    }
    struct segment_table *table;
    int r = segment_table_new(&cli->options, &table);
    if (r != 0)
        return r;
    r = segment_table_add(table, segment);
    if (r == 0)
        segment_table_print(table);
    segment_table_free(table);
    return r < 0 ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}

int output_segment(const struct cli *cli, const struct shmd_segment *segment)
{
    return output_result(cli, shmd_last_result(cli->shmd), segment);
}

static void print_holders(const struct cli *cli, const struct shmd_segment *s)
{
    for (uint32_t i = 0; s->holder_list && i < s->holders; i++) {
        const struct shmd_holder *holder = &s->holder_list[i];
        char since[64], comm[64];
        format_time(cli->options.time_format, holder->since_at_ms, since, sizeof(since));
        plain_text(holder->comm ? holder->comm : "?", comm, sizeof(comm));
        printf("%-10s pid %" PRId32 " (%s), uid %" PRIu32 ", since %s\n", "HOLDER", holder->pid,
               comm, holder->uid, since);
    }
}

static void print_waiters(const struct cli *cli)
{
    struct json_walk walk = waiters_begin(shmd_last_result(cli->shmd));
    struct waiting w;
    while (waiters_next(&walk, &w)) {
        char since[64], comm[64];
        format_time(cli->options.time_format, w.since_at_ms, since, sizeof(since));
        plain_text(*w.comm ? w.comm : "?", comm, sizeof(comm));
        printf("%-10s pid %" PRId32 " (%s), uid %" PRIu32 ", since %s\n", "WAITER", w.pid, comm,
               w.uid, since);
    }
}

static void print_attached(const struct cli *cli, const struct shmd_segment *s)
{
    struct shmd_attachments *all;
    /* In another IPC namespace there is nothing to be found, which was told before. */
    if (s->nattch == 0 || shmd_attachments(cli->shmd, s, &all) != 0)
        return;
    for (size_t i = 0; i < all->count; i++) {
        const struct shmd_attachment *a = all->processes[i];
        char comm[64];
        plain_text(a->comm ? a->comm : "?", comm, sizeof(comm));
        printf("%-10s pid %" PRId32 " (%s), uid %" PRIu32 ", %s", "ATTACHED", a->pid, comm, a->uid,
               a->read_only ? "read-only" : "writable");
        if (a->unit) {
            fputs(", ", stdout);
            print_plain(stdout, a->unit);
        }
        putchar('\n');
    }
    if (all->unseen > 0)
        printf("%-10s %" PRIu64 " more, by processes that you may not see\n", "ATTACHED",
               all->unseen);
    shmd_attachments_free(all);
}

int output_details(const struct cli *cli, const struct shmd_segment *segment)
{
    if (cli_given(cli, OPT(JSON) | OPT(OUTPUT)))
        return output_segment(cli, segment);
    struct column_text *text = malloc(sizeof(*text));
    if (!text)
        return cli_error(EXIT_REFUSED, "out of memory");
    text->bytes = cli_given(cli, OPT(BYTES));
    text->times = cli->options.time_format;
    for (size_t i = 0; i < columns_count; i++) {
        if (!*column_print(&columns[i], segment, text))
            continue;
        printf("%-10s ", columns[i].name);
        print_plain(stdout, text->buffer);
        putchar('\n');
    }
    free(text);
    print_holders(cli, segment);
    print_waiters(cli);
    print_attached(cli, segment);
    return EXIT_OK;
}
