/* SPDX-License-Identifier: MIT */
/*
 * Segments for people: tables of chosen columns, and one segment as a list of what there is to say
 * about it. As JSON, what the daemon typed is handed on as it is. All of it is harmless for
 * terminals.
 */
#ifndef SHMD_CLIENT_CLI_OUTPUT_H
#define SHMD_CLIENT_CLI_OUTPUT_H

#include "client/cli/cli.h"
#include "client/cli/table.h"
#include "protocol/writer.h"

/* --- tables of segments, with the columns that --output names */

struct segment_table;

/* 0 or an exit status: a column is unknown (it was told which there are), or no memory. */
int segment_table_new(const struct options *o, struct segment_table **ret) MUST_CHECK;
/* 0 or -ENOMEM. */
int segment_table_add(struct segment_table *table, const struct shmd_segment *segment) MUST_CHECK;
void segment_table_print(struct segment_table *table);
/* NULL is good. */
void segment_table_free(struct segment_table *table);

/* How the options want any table. */
struct table_style output_style(const struct options *o);

/* --- what a command answers with */

/* Checks what --output and --sort name, before anything is asked of the daemon: 0 or EXIT_USAGE. */
int output_check(const struct options *o) MUST_CHECK;
/* What a command answers with a segment: as JSON, or a table of one row. An exit status. */
int output_segment(const struct cli *cli, const struct shmd_segment *segment);
/* The same where RESULT is to be taken for the daemon's last result. */
int output_result(const struct cli *cli, const char *result, const struct shmd_segment *segment);
/* The same, but as a list of everything unless columns were chosen. */
int output_details(const struct cli *cli, const struct shmd_segment *segment);
/* The last result as JSON, if that was asked for. */
bool output_json(const struct cli *cli);
/* A line of JSON. */
void output_json_text(const char *json, size_t len);
/* The same of what was written, if STATUS is 0 and there was memory. Frees JSON; the exit status.
 */
int output_json_writer(struct writer *json, int status);

#endif
