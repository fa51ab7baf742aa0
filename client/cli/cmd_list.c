/*
 * list: all pages as one table, or as one JSON object in which every segment is as the daemon typed
 * it.
 */
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "protocol/json_slice.h"

/* The segments of the last page, with a comma before each but the very first. */
static void print_page(const struct cli *cli, const char **separator)
{
    const char *result = shmd_last_result(cli->shmd);
    struct json_slice segments = {"", 0}, key, segment;
    if (!json_slice_member((struct json_slice){result, strlen(result)}, "segments", &segments))
        return;
    struct json_walk walk = json_walk_begin(segments);
    while (json_walk_next(&walk, &key, &segment)) {
        printf("%s%.*s", *separator, (int)segment.len, segment.text);
        *separator = ",";
    }
}

static int add_page(struct table *table, const struct shmd_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (table_add(table, page->segments[i]) < 0)
            return cli_error(EXIT_REFUSED, "out of memory");
    return 0;
}

/* TABLE NULL: as JSON. */
static int list_pages(struct cli *cli, const struct shmd_list_options *options, struct table *table)
{
    struct shmd_page *page = NULL;
    const char *separator = "";
    int status = 0;
    do {
        struct shmd_page *next;
        int r = shmd_list_page(cli->shmd, options, page ? page->cursor : NULL, &next);
        /* JSON that is not whole is told from JSON that is by its missing end. */
        if (r != 0)
            status = cli_failure(cli, r);
        shmd_page_free(page);
        page = r == 0 ? next : NULL;
        if (page && table)
            status = add_page(table, page);
        else if (page)
            print_page(cli, &separator);
    } while (status == 0 && page && page->cursor);
    shmd_page_free(page);
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
    struct table *table = NULL;
    bool json = cli_given(cli, OPT(JSON));
    if (json && cli_given(cli, OPT(OUTPUT)))
        return cli_usage("--json and --output exclude one another: JSON has all there is");
    int status = json ? output_check(o) : table_new(o, &table);
    if (status == 0)
        status = cli_connect(cli);
    if (status == 0 && json)
        fputs("{\"segments\":[", stdout);
    if (status == 0)
        status = list_pages(cli, &options, table);
    if (status == 0 && json)
        puts("]}");
    else if (status == 0)
        table_print(table);
    table_free(table);
    return status;
}
