/* SPDX-License-Identifier: MIT */
/*
 * The values of options: each function takes the VALUE of an OPTION into the options. It returns 0,
 * or an exit status after it has said what the option accepts.
 */
#ifndef SHMD_CLIENT_CLI_OPTION_VALUES_H
#define SHMD_CLIENT_CLI_OPTION_VALUES_H

#include "client/cli/cli.h"

int take_socket(struct options *o, const char *option, const char *value);
int take_shmid(struct options *o, const char *option, const char *value);
int take_key(struct options *o, const char *option, const char *value);
int take_serial(struct options *o, const char *option, const char *value);
int take_size(struct options *o, const char *option, const char *value);
int take_mode(struct options *o, const char *option, const char *value);
int take_uid(struct options *o, const char *option, const char *value);
int take_gid(struct options *o, const char *option, const char *value);
int take_lifetime(struct options *o, const char *option, const char *value);
int take_state(struct options *o, const char *option, const char *value);
int take_scope(struct options *o, const char *option, const char *value);
int take_foreign(struct options *o, const char *option, const char *value);
int take_all(struct options *o, const char *option, const char *value);
int take_ttl(struct options *o, const char *option, const char *value);
int take_no_ttl(struct options *o, const char *option, const char *value);
int take_timeout(struct options *o, const char *option, const char *value);
int take_label(struct options *o, const char *option, const char *value);
int take_huge(struct options *o, const char *option, const char *value);
int take_new_name(struct options *o, const char *option, const char *value);
int take_prefix(struct options *o, const char *option, const char *value);
int take_output(struct options *o, const char *option, const char *value);
int take_offset(struct options *o, const char *option, const char *value);
int take_length(struct options *o, const char *option, const char *value);
int take_kinds(struct options *o, const char *option, const char *value);
int take_after(struct options *o, const char *option, const char *value);
int take_count(struct options *o, const char *option, const char *value);
int take_older_than(struct options *o, const char *option, const char *value);
int take_idle(struct options *o, const char *option, const char *value);
int take_idle_ttl(struct options *o, const char *option, const char *value);
int take_owner(struct options *o, const char *option, const char *value);
int take_sort(struct options *o, const char *option, const char *value);
int take_time_format(struct options *o, const char *option, const char *value);
int take_delay(struct options *o, const char *option, const char *value);
int take_from(struct options *o, const char *option, const char *value);

#endif
