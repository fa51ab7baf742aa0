/* SPDX-License-Identifier: MIT */
/*
 * What every measurement stands on: the clock, medians, pinning, and whole messages over a blocking
 * Unix socket. Whatever goes wrong ends the program: half a benchmark is none.
 */
#ifndef SHMD_BENCH_SUPPORT_H
#define SHMD_BENCH_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Prints the message and ends the program. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t now_ns(void);
void sleep_ns(int64_t ns);

double median(const double *values, size_t n);
/* Between the lower and the upper quartile, as a part of the median: how noisy they are. */
double spread(const double *values, size_t n);
/* The value that a part of PART (0 to 1) of them is not above. */
double quantile(const double *values, size_t n, double part);

/* This process, to one core. */
void pin(int cpu);

/* An IPC namespace of its own for this process and those that it starts, with as many segments as
 * the kernel allows; false with errno. */
bool fresh_ipc(void);
/* For so many segments; else this is the end. */
void must_have_room(int segments);

/* A connected socket, or a negative errno. */
int connect_to(const char *path);
/* The same, trying every INTERVAL_NS for half a minute. */
int connect_patiently(const char *path, int64_t interval_ns);

void send_all(int fd, const char *data, size_t len);
/* Exactly LEN bytes, which fit into BUFFER. */
void receive_bytes(int fd, char *buffer, size_t len);
/* All that comes until N lines are whole; returns how many bytes, of at most CAPACITY. The peer
 * must have no more to say. */
size_t receive_lines(int fd, char *buffer, size_t capacity, size_t n);

/* A program that prints. */
struct command {
    pid_t pid;
    FILE *out;
    const char *name;
};
void command_start(struct command *ret, char *const argv[]);
/* Waits for its end; it must have gone well. */
void command_end(struct command *c);

/* The whole file, terminated, in a buffer that the next call uses again. */
const char *read_file(const char *path);
bool write_file(const char *path, const char *text);

#endif
