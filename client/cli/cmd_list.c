/* SPDX-License-Identifier: MIT */
/*
 * list: all pages as one table, or as one JSON object in which every segment is as the daemon typed
 * it. Nothing is printed before the last page has come: what is printed is whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/columns.h"
#include "client/cli/json_pick.h"
#include "client/cli/output.h"
#include "client/cli/parse.h"

struct row {
    const struct shmd_segment *segment; /* of its page */
    struct json_slice text;             /* of the text of its page */
    size_t index;
    char *key; /* owned: the text of the column that is sorted by */
};

struct page {
    struct shmd_page *segments; /* owned */
    char *text;                 /* owned: the result as the daemon typed it */
};

struct listing {
    struct cli *cli;
    struct page *pages; /* owned */
    size_t n_pages;
    struct row *rows; /* owned */
    size_t n_rows;
};

static void listing_deinit(struct listing *l)
{
    for (size_t i = 0; i < l->n_pages; i++) {
        shmd_page_free(l->pages[i].segments);
        free(l->pages[i].text);
    }
    for (size_t i = 0; i < l->n_rows; i++)
        free(l->rows[i].key);
    free(l->pages);
    free(l->rows);
}

/* --- what there is */

/* The rows of the page that was added last. */
static int add_rows(struct listing *l)
{
    const struct page *page = &l->pages[l->n_pages - 1];
    struct json_slice segments = {"", 0}, key;
    struct row *more = reallocarray(l->rows, l->n_rows + page->segments->count + 1, sizeof(*more));
    if (!more)
        return -1;
    l->rows = more;
    (void)json_slice_member((struct json_slice){page->text, strlen(page->text)}, "segments",
                            &segments);
    struct json_walk walk = json_walk_begin(segments);
    for (size_t i = 0; i < page->segments->count; i++) {
        struct row *row = &l->rows[l->n_rows];
        *row = (struct row){.segment = page->segments->segments[i], .index = l->n_rows};
        if (!json_walk_next(&walk, &key, &row->text))
            return -1;
        l->n_rows++;
    }
    return 0;
}

/* Takes PAGE. */
static int add_page(struct listing *l, struct shmd_page *page)
{
    struct page *more = reallocarray(l->pages, l->n_pages + 1, sizeof(*more));
    char *text = strdup(shmd_last_result(l->cli->shmd));
    if (more)
        l->pages = more;
    if (!more || !text) {
        shmd_page_free(page);
        free(text);
        return cli_error(EXIT_REFUSED, "out of memory");
    }
    l->pages[l->n_pages++] = (struct page){page, text};
    return add_rows(l) < 0 ? cli_error(EXIT_REFUSED, "out of memory") : 0;
}

static int ask_all(struct listing *l, const struct shmd_list_options *options)
{
    const char *cursor = NULL;
    int status = 0;
    do {
        struct shmd_page *page;
        int r = shmd_list_page(cli_ask(l->cli), options, cursor, &page);
        if (r != 0)
            return cli_failure(l->cli, r);
        cursor = page->cursor;
        status = add_page(l, page);
    } while (status == 0 && cursor);
    return status;
}

/* --- in which order */

static int compare_texts(const char *a, const char *b)
{
    int difference = strcmp(a, b);
    return (difference > 0) - (difference < 0);
}

static int compare_numbers(const char *a, const char *b)
{
    /* What there is not comes first. */
    if (!*a || !*b)
        return compare_texts(a, b);
    long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);
    return (x > y) - (x < y);
}

struct order {
    const struct column *by;
    int sign; /* -1: the other way round */
};

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct order *order = context;
    const struct row *x = a, *y = b;
    bool is_number =
        order->by && (order->by->kind == COLUMN_NUMBER || order->by->kind == COLUMN_TIME);
    int difference = 0;
    if (order->by)
        difference = is_number ? compare_numbers(x->key, y->key) : compare_texts(x->key, y->key);
    if (difference == 0)
        difference = x->index < y->index ? -1 : x->index > y->index;
    return difference * order->sign;
}

static int make_keys(struct listing *l, const struct column *by)
{
    struct column_text *text = calloc(1, sizeof(*text));
    int r = text ? 0 : -1;
    for (size_t i = 0; r == 0 && i < l->n_rows; i++) {
        text->bytes = true;
        text->times = TIME_UNIX;
        l->rows[i].key = strdup(column_print(by, l->rows[i].segment, text));
        r = l->rows[i].key ? 0 : -1;
    }
    free(text);
    return r;
}

static int sort(struct listing *l)
{
    const struct options *o = &l->cli->options;
    struct order order = {.sign = cli_given(l->cli, OPT(REVERSE)) ? -1 : 1};
    int r = o->sort ? column_find(o->sort, &order.by) : 0;
    if (r != 0)
        return r;
    if (order.by && make_keys(l, order.by) < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    if (l->n_rows > 0)
        qsort_r(l->rows, l->n_rows, sizeof(*l->rows), compare_rows, &order);
    return 0;
}

/* --- how it is shown */

static int print_json(const struct listing *l)
{
    struct column_choice choice;
    struct writer json;
    int status = columns_choose(l->cli->options.columns, &choice);
    writer_init(&json);
    writer_object_begin(&json);
    writer_key(&json, "segments");
    writer_array_begin(&json);
    for (size_t i = 0; i < l->n_rows; i++) {
        const struct row *row = &l->rows[i];
        if (cli_given(l->cli, OPT(OUTPUT)))
            json_pick(&json, &choice, row->text, row->segment);
        else
            writer_value(&json, row->text.text, row->text.len);
    }
    writer_array_end(&json);
    writer_object_end(&json);
    return output_json_writer(&json, status);
}

static void say_that_there_is_none(const struct cli *cli)
{
    const uint64_t filters = OPT(PREFIX) | OPT(UID) | OPT(LIFETIME) | OPT(STATE) | OPT(LABEL);
    if (cli_given(cli, filters) || cli->n_args > 0)
        cli_note(cli, "there is no such segment");
    else if (cli->options.scope == 0 || cli->options.scope == SHMD_SCOPE_MANAGED)
        cli_note(cli, "there is no segment that the daemon manages and you may see; --all lists "
                      "others, too");
    else
        cli_note(cli, "there is no segment that you may see");
}

static int print_table(const struct listing *l)
{
    struct segment_table *table;
    int status = segment_table_new(&l->cli->options, &table);
    if (status != 0)
        return status;
    for (size_t i = 0; status == 0 && i < l->n_rows; i++)
        if (segment_table_add(table, l->rows[i].segment) < 0)
            status = cli_error(EXIT_REFUSED, "out of memory");
    if (status == 0 && l->n_rows > 0)
        segment_table_print(table);
    else if (status == 0)
        say_that_there_is_none(l->cli);
    segment_table_free(table);
    return status;
}

static int run(struct listing *l)
{
    struct shmd_list_options options;
    int status = cli_list_options(l->cli, &options);
    if (status == 0)
        status = output_check(&l->cli->options);
    if (status == 0)
        status = cli_connect(l->cli);
    if (status == 0)
        status = ask_all(l, &options);
    if (status == 0)
        status = sort(l);
    if (status != 0)
        return status;
    return cli_given(l->cli, OPT(JSON)) ? print_json(l) : print_table(l);
}

/* Who types --user USER, which takes no value, mostly means --uid. */
static void note_user(const struct cli *cli)
{
    const char *word = cli->n_args == 1 ? cli->args[0] : "";
    uint32_t uid;
    if (cli_given(cli, OPT(USER)) && *word && parse_user(word, &uid) == 0)
        cli_note(cli,
                 "--user chooses your own daemon, and %s is the beginning of a name; for the "
                 "segments of a user: --uid %s",
                 word, word);
}

int cmd_list(struct cli *cli)
{
    struct listing listing = {.cli = cli};
    int status = run(&listing);
    if (listing.n_rows == 0)
        note_user(cli);
    if (status == EXIT_OK)
        cli_warn_of_ids(cli);
    listing_deinit(&listing);
    return status;
}
