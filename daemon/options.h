/* SPDX-License-Identifier: MIT */
/*
 * The command line, and the defaults of what it does not give: they depend on the user who runs the
 * daemon. A function of its arguments alone.
 */
#ifndef SHMD_OPTIONS_H
#define SHMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/util/cleanup.h"
#include "daemon/util/log.h"

struct options {
    char *socket;         /* owned; NULL: no default, and systemd handed a socket over */
    char *state_dir;      /* owned */
    bool makes_state_dir; /* when it is not there. Not when it is the socket's directory, whose
                             name may be mistyped. */
    char *config;         /* owned; NULL: no configuration is read */
    bool config_given;    /* by --config: the file must be there */
    uint32_t socket_mode;
    char *dump_state;   /* owned; the journal to be printed, or NULL */
    bool has_log_level; /* it overrides the configuration's */
    enum log_level log_level;
};

enum options_result {
    OPTIONS_RUN,          /* options to be freed */
    OPTIONS_CHECK_CONFIG, /* options to be freed; only config and config_given are sure to be set */
    OPTIONS_DUMP_STATE,   /* options to be freed; only dump_state is sure to be set */
    OPTIONS_EXIT_OK,      /* help or version was printed */
    OPTIONS_EXIT_USAGE,   /* the error was printed on ERR */
};

/*
 * ENV gives a variable's value or NULL, as getenv() does. UID is who runs the daemon. Help and
 * version go to OUT, what is wrong goes to ERR.
 */
enum options_result options_parse(int argc, char *const argv[], char *(*env)(const char *name),
                                  uint32_t uid, struct options *ret, FILE *out,
                                  FILE *err) MUST_CHECK;
void options_deinit(struct options *options);

#endif
