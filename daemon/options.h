/*
 * The command line, and what holds where it says nothing: who runs the daemon decides where its
 * socket and its state are. A function of its arguments alone.
 */
#ifndef SHMD_OPTIONS_H
#define SHMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/util/cleanup.h"
#include "daemon/util/log.h"

struct options {
    char *socket;         /* owned; NULL: nowhere, for one was handed over */
    char *state_dir;      /* owned */
    bool makes_state_dir; /* when it is not there; else it is the socket's, and may be a typing
                             error */
    char *config;         /* owned */
    bool config_given;    /* then it must be there */
    uint32_t socket_mode;
    char *dump_state;   /* owned; the journal to be printed, or NULL */
    bool has_log_level; /* then it counts more than the configuration's */
    enum log_level log_level;
};

enum options_result {
    OPTIONS_RUN,          /* options to be freed */
    OPTIONS_CHECK_CONFIG, /* options to be freed; only config and config_given are sure to be set */
    OPTIONS_DUMP_STATE,   /* options to be freed; only dump_state is sure to be set */
    OPTIONS_EXIT_OK,      /* all is said */
    OPTIONS_EXIT_USAGE,   /* all is said, on ERR */
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
