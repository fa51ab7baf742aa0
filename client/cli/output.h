/*
 * Segments for people: tables of chosen columns, and one segment as a list of what there is to say
 * about it. As JSON, what the daemon typed is handed on as it is. All of it is harmless for
 * terminals.
 */
#ifndef SHMD_CLIENT_CLI_OUTPUT_H
#define SHMD_CLIENT_CLI_OUTPUT_H

#include "client/cli/cli.h"

struct table;

/* 0 or an exit status: a column is unknown (it was told which there are), or no memory. */
int table_new(const struct options *o, struct table **ret) MUST_CHECK;
/* 0 or -ENOMEM. */
int table_add(struct table *table, const struct shmd_segment *segment) MUST_CHECK;
void table_print(struct table *table);
void table_free(struct table *table);

/* Checks what --output names, before anything is asked of the daemon: 0 or EXIT_USAGE. */
int output_check(const struct options *o) MUST_CHECK;
/* What a command answers with a segment: as JSON, or a table of one row. An exit status. */
int output_segment(const struct cli *cli, const struct shmd_segment *segment);
/* The same, but as a list of everything unless columns were chosen. */
int output_details(const struct cli *cli, const struct shmd_segment *segment);
/* The last result as JSON, if that was asked for. */
bool output_json(const struct cli *cli);
/* A line of JSON. */
void output_json_text(const char *json, size_t len);

/* Milliseconds as local time, with its milliseconds; "" for 0. */
void format_time(int64_t at_ms, char *ret, size_t size);
/* The columns there are, on standard output. */
void output_list_columns(void);

#endif
