/* SPDX-License-Identifier: MIT */
/* For programs that use libshmd in scenarios: checks that tell which line did not hold. */
#ifndef SHMD_TESTS_INTEGRATION_LIBRARY_CHECKS_H
#define SHMD_TESTS_INTEGRATION_LIBRARY_CHECKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/shmd.h"

static struct shmd *shmd;

static void fail_at(int line, const char *what, int got)
{
    const struct shmd_failure *failure = shmd ? shmd_last_failure(shmd) : NULL;
    fprintf(stderr, "line %d: %s: got %d (%s)\n", line, what, got,
            failure ? failure->message : shmd_strerror(got));
    exit(1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_at(__LINE__, #condition, 0);                                                      \
    } while (0)
#define GIVES(want, call)                                                                          \
    do {                                                                                           \
        int got_ = (call);                                                                         \
        if (got_ != (want))                                                                        \
            fail_at(__LINE__, #call " gives " #want, got_);                                        \
    } while (0)
#define WORKS(call)      GIVES(0, call)
#define IS_TEXT(text, s) CHECK((text) && strcmp(text, s) == 0)

#endif
