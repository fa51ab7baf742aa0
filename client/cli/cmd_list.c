/*
 * list: all pages as one table, or as one JSON object in which every segment is as the daemon typed
 * it. Nothing is printed before the last page has come: what is printed is whole.
 */
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "protocol/json_slice.h"
#include "protocol/writer.h"

/* The segments of the last page. */
static int write_page(const struct cli *cli, struct writer *json)
{
    const char *result = shmd_last_result(cli->shmd);
    struct json_slice segments = {"", 0}, key, segment;
    if (!json_slice_member((struct json_slice){result, strlen(result)}, "segments", &segments))
        return 0;
    struct json_walk walk = json_walk_begin(segments);
    while (json_walk_next(&walk, &key, &segment))
        writer_value(json, segment.text, segment.len);
    return json->failed ? cli_error(EXIT_REFUSED, "out of memory") : 0;
}

static int add_page(struct table *table, const struct shmd_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (table_add(table, page->segments[i]) < 0)
            return cli_error(EXIT_REFUSED, "out of memory");
    return 0;
}

/* JSON NULL: as TABLE. */
static int list_pages(struct cli *cli, const struct shmd_list_options *options, struct table *table,
                      struct writer *json)
{
    struct shmd_page *page = NULL;
    int status = 0;
    do {
        struct shmd_page *next;
        int r = shmd_list_page(cli_ask(cli), options, page ? page->cursor : NULL, &next);
        if (r != 0)
            status = cli_failure(cli, r);
        shmd_page_free(page);
        page = r == 0 ? next : NULL;
        if (page)
            status = json ? write_page(cli, json) : add_page(table, page);
    } while (status == 0 && page && page->cursor);
    shmd_page_free(page);
    return status;
}

static int list_as_json(struct cli *cli, const struct shmd_list_options *options)
{
    struct writer json;
    writer_init(&json);
    writer_object_begin(&json);
    writer_key(&json, "segments");
    writer_array_begin(&json);
    int status = list_pages(cli, options, NULL, &json);
    writer_array_end(&json);
    writer_object_end(&json);
    if (status == 0 && json.failed)
        status = cli_error(EXIT_REFUSED, "out of memory");
    if (status == 0)
        output_json_text(json.data, json.len);
    writer_deinit(&json);
    return status;
}

static int list_as_table(struct cli *cli, const struct shmd_list_options *options)
{
    struct table *table;
    int status = table_new(&cli->options, &table);
    if (status != 0)
        return status;
    status = list_pages(cli, options, table, NULL);
    if (status == 0)
        table_print(table);
    table_free(table);
    return status;
}

int cmd_list(struct cli *cli)
{
    const struct options *o = &cli->options;
    const struct shmd_list_options options = {
        .prefix = o->prefix,
        .has_uid = cli_given(cli, OPT(UID)),
        .uid = o->uid,
        .lifetime = o->lifetime,
        .state = o->state,
        .labels = o->labels,
        .n_labels = o->n_labels,
        .scope = o->scope,
    };
    bool json = cli_given(cli, OPT(JSON));
    if (json && cli_given(cli, OPT(OUTPUT)))
        return cli_usage("--json and --output exclude one another: JSON has everything");
    int status = output_check(o);
    if (status == 0)
        status = cli_connect(cli);
    if (status != 0)
        return status;
    status = json ? list_as_json(cli, &options) : list_as_table(cli, &options);
    if (status == EXIT_OK)
        cli_warn_of_ids(cli);
    return status;
}
