/* SPDX-License-Identifier: MIT */
/*
 * --json --output: of the daemon's segment object, the members that the chosen columns stand for,
 * each as the daemon typed it. What a column finds out here (a user's name, a command line) is a
 * member by the column's name in small letters.
 */
#ifndef SHMD_CLIENT_CLI_JSON_PICK_H
#define SHMD_CLIENT_CLI_JSON_PICK_H

#include "client/cli/columns.h"
#include "protocol/json_slice.h"
#include "protocol/writer.h"

/* The segment object TEXT, which SEGMENT was read from. */
void json_pick(struct writer *w, const struct column_choice *choice, struct json_slice text,
               const struct shmd_segment *segment);
/* A result whose member "segment" is that object. */
void json_pick_result(struct writer *w, const struct column_choice *choice,
                      struct json_slice result, const struct shmd_segment *segment);

#endif
