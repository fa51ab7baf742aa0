/* SPDX-License-Identifier: MIT */
/* What the attacker's and the victim's program share: a socket, a clock, an end with a message. */
#ifndef SHMD_TESTS_ISOLATION_SUPPORT_H
#define SHMD_TESTS_ISOLATION_SUPPORT_H

#include <stdint.h>

/* Prints the message on standard error and exits with status 2. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* A connection to the socket at PATH; it waits while the backlog is full. Negative errno on
 * failure. */
int connect_to(const char *path);

/* A whole number of decimal digits, else it dies and names WHAT. */
long parse_number(const char *what, const char *text);

/* CLOCK_MONOTONIC. */
int64_t now_ns(void);

#endif
