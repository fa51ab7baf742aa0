/* SPDX-License-Identifier: MIT */
#include "client/cli/top_once.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/cli/kernel_segments.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"
#include "client/cli/top_model.h"
#include "client/cli/top_tables.h"
#include "protocol/writer.h"

enum { MEMORY_ROWS = 32768 };

struct once {
    struct cli *cli;
    struct top_model *model;
    struct top_view *view;
    bool shares_ids; /* the daemon's shmids denote its segments here, too */
};

/* --- looking */

/* For shmd_list(). */
static int add(const struct shmd_segment *segment, void *data)
{
    return top_model_add(data, segment);
}

static int take_info(struct once *once)
{
    struct shmd_info *info;
    int r = shmd_info(cli_ask(once->cli), &info);
    if (r != 0)
        return r;
    const uint64_t own = own_ipc_namespace();
    once->shares_ids = own == 0 || own == info->ipc_namespace;
    once->cli->ids_are_good = once->shares_ids; /* it is not asked again */
    r = top_model_info(once->model, info);
    shmd_info_free(info);
    return r;
}

static int end_sample(struct once *once)
{
    struct kernel_memory *memory = calloc(MEMORY_ROWS, sizeof(*memory));
    size_t n = 0;
    if (!memory)
        return -ENOMEM;
    if (once->shares_ids && kernel_memory_read(memory, MEMORY_ROWS, &n) < 0)
        n = 0;
    int r = top_model_end(once->model, cli_now_ms(), memory, n);
    free(memory);
    return r;
}

static int take_processes(struct once *once)
{
    struct shmd_attachments *all = NULL;
    if (once->shares_ids && shmd_attachments(NULL, NULL, &all) != 0)
        all = NULL;
    int r = top_model_processes(once->model, all);
    shmd_attachments_free(all);
    return r;
}

/* 0, or what a call on the handle returned. */
static int sample(struct once *once, const struct shmd_list_options *filters)
{
    int r = take_info(once);
    top_model_begin(once->model);
    if (r == 0)
        r = shmd_list(cli_ask(once->cli), filters, add, once->model);
    return r != 0 ? r : end_sample(once);
}

static int sample_twice(struct once *once, const struct shmd_list_options *filters,
                        int64_t delay_ms)
{
    int r = sample(once, filters);
    if (r == 0 && delay_ms > 0) {
        const struct timespec delay = {.tv_sec = (time_t)(delay_ms / 1000),
                                       .tv_nsec = (long)(delay_ms % 1000) * 1000000};
        (void)nanosleep(&delay, NULL);
        r = sample(once, filters);
    }
    return r != 0 ? r : take_processes(once);
}

/* --- as text */

static void print_meters(const struct once *once)
{
    const bool bytes = cli_given(once->cli, OPT(BYTES));
    for (size_t i = 0; i < once->model->n_meters; i++) {
        const struct top_meter *meter = &once->model->meters[i];
        char amount[TOP_TEXT_SIZE], name[TOP_TEXT_SIZE];
        top_amount(meter->used, meter->max, meter->is_bytes, bytes, amount);
        plain_text(meter->name, name, sizeof(name));
        if (meter->max == UINT64_MAX)
            printf("%-15s %s (no limit)\n", name, amount);
        else
            printf("%-15s %s (%u %%)\n", name, amount, top_percent(meter->used, meter->max));
    }
}

static int print_panel(const struct once *once, enum top_panel panel)
{
    struct top_view view = *once->view;
    struct top_rows rows;
    const struct top_table_style style = {
        .table = output_style(&once->cli->options),
        .bytes = cli_given(once->cli, OPT(BYTES)),
    };
    view.panel = panel;
    int r = top_view_rows(&view, once->model, &rows);
    if (r == 0 && rows.n > 0) {
        putchar('\n');
        r = top_table_print(once->model, panel, &rows, 0, rows.n, &style, stdout);
    }
    if (r == 0)
        top_rows_deinit(&rows);
    return r;
}

static int print_text(const struct once *once)
{
    int r = 0;
    print_meters(once);
    for (int panel = 0; r == 0 && panel < TOP_PANELS; panel++)
        r = print_panel(once, (enum top_panel)panel);
    return r;
}

/* --- as JSON */

static void write_uint(struct writer *w, const char *key, uint64_t value)
{
    writer_key(w, key);
    writer_uint(w, value);
}

static void write_int(struct writer *w, const char *key, int64_t value)
{
    writer_key(w, key);
    writer_int(w, value);
}

/* Nothing where TEXT is empty: it is not known. */
static void write_text(struct writer *w, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    writer_key(w, key);
    writer_string(w, text);
}

static void write_segment(struct writer *w, const struct top_model *m, size_t row)
{
    const struct top_segment *s = &m->now.segments[row];
    writer_object_begin(w);
    if (s->serial)
        write_uint(w, "serial", s->serial);
    write_text(w, "name", s->name);
    write_int(w, "shmid", s->shmid);
    write_uint(w, "size", s->size);
    if (s->has_memory)
        write_uint(w, "rss", s->memory);
    if (s->has_growth)
        write_int(w, "growth", s->growth);
    write_uint(w, "nattch", s->nattch);
    write_uint(w, "uid", s->uid);
    write_text(w, "owner", s->owner);
    write_text(w, "state", shmd_state_word(s->state));
    write_text(w, "lifetime", s->serial ? shmd_lifetime_word(s->lifetime) : NULL);
    write_uint(w, "holders", s->holders);
    write_text(w, "creator", s->creator);
    writer_object_end(w);
}

static void write_user(struct writer *w, const struct top_model *m, size_t row)
{
    const struct top_user *u = &m->users[row];
    writer_object_begin(w);
    write_uint(w, "uid", u->uid);
    write_text(w, "user", u->name);
    write_uint(w, "segments", u->segments);
    write_uint(w, "size", u->bytes);
    write_uint(w, "rss", u->memory);
    if (m->n_looks > 1)
        write_int(w, "growth", u->growth);
    write_uint(w, "nattch", u->attachments);
    writer_object_end(w);
}

static void write_process(struct writer *w, const struct top_model *m, size_t row)
{
    const struct top_process *p = &m->processes[row];
    writer_object_begin(w);
    write_int(w, "pid", p->pid);
    write_text(w, "user", p->user);
    write_text(w, "command", p->command);
    write_text(w, "unit", p->unit);
    write_uint(w, "segments", p->segments);
    write_uint(w, "size", p->bytes);
    write_uint(w, "nattch", p->attachments);
    writer_object_end(w);
}

static void write_meters(struct writer *w, const struct top_model *m)
{
    writer_key(w, "limits");
    writer_array_begin(w);
    for (size_t i = 0; i < m->n_meters; i++) {
        writer_object_begin(w);
        write_text(w, "name", m->meters[i].name);
        write_uint(w, "used", m->meters[i].used);
        if (m->meters[i].max != UINT64_MAX)
            write_uint(w, "max", m->meters[i].max);
        writer_object_end(w);
    }
    writer_array_end(w);
}

static int write_panel(const struct once *once, struct writer *w, enum top_panel panel)
{
    static const struct {
        const char *key;
        void (*write)(struct writer *w, const struct top_model *m, size_t row);
    } panels[TOP_PANELS] = {
        [TOP_SEGMENTS] = {"segments", write_segment},
        [TOP_USERS] = {"users", write_user},
        [TOP_PROCESSES] = {"processes", write_process},
    };
    struct top_view view = *once->view;
    struct top_rows rows;
    view.panel = panel;
    int r = top_view_rows(&view, once->model, &rows);
    if (r < 0)
        return r;
    writer_key(w, panels[panel].key);
    writer_array_begin(w);
    for (size_t i = 0; i < rows.n; i++)
        panels[panel].write(w, once->model, rows.rows[i]);
    writer_array_end(w);
    top_rows_deinit(&rows);
    return 0;
}

static int print_json(const struct once *once)
{
    struct writer json;
    int r = 0;
    writer_init(&json);
    writer_object_begin(&json);
    write_meters(&json, once->model);
    for (int panel = 0; r == 0 && panel < TOP_PANELS; panel++)
        r = write_panel(once, &json, (enum top_panel)panel);
    writer_object_end(&json);
    if (r == 0)
        return output_json_writer(&json, EXIT_OK);
    writer_deinit(&json);
    return cli_error(EXIT_REFUSED, "out of memory");
}

int top_once(struct cli *cli, const struct shmd_list_options *filters, struct top_view *view,
             int64_t delay_ms)
{
    struct top_model model;
    struct once once = {.cli = cli, .model = &model, .view = view};
    top_model_init(&model, format_user);
    int r = sample_twice(&once, filters, delay_ms), status;
    if (r != 0 && r != -ENOMEM)
        status = cli_failure(cli, r);
    else if (r == 0 && cli_given(cli, OPT(JSON)))
        status = print_json(&once);
    else if (r == 0 && print_text(&once) == 0)
        status = EXIT_OK;
    else
        status = cli_error(EXIT_REFUSED, "out of memory");
    top_model_deinit(&model);
    return status;
}
