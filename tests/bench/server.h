/* SPDX-License-Identifier: MIT */
/*
 * The servers that are measured: shmd, its peers, and an echo that does nothing else. Each runs on
 * a core of its choice, logs into a file in the benchmark's directory and dies with the benchmark.
 */
#ifndef SHMD_BENCH_SERVER_H
#define SHMD_BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
    pid_t pid; /* 0: not running */
    char socket[100];
    char name[24];
};

/* Room for as many connections as the benchmark makes at once. */
enum { IDLE_CONNECTIONS = 10000, CONNECTIONS_MAX = 12000, PROCESSES_MAX = 1000 };

/* Starts shmd; NAME is also that of its directory, where its state stays over a restart. With
 * OWN_IPC it has an IPC namespace of its own. It may not listen yet. */
struct server server_shmd(const char *program, const char *directory, const char *name, int cpu,
                          bool own_ipc);
/* The same, with MORE lines of configuration. */
struct server server_shmd_with(const char *program, const char *directory, const char *name,
                               int cpu, bool own_ipc, const char *more);
/* Not running when the program is not installed. */
struct server server_memcached(const char *directory, int cpu);
struct server server_redis(const char *directory, int cpu);
/* Waits in epoll, answers every REQUEST bytes with REPLY bytes. */
struct server server_echo(const char *directory, int cpu, size_t request, size_t reply);

/* Ends it by SIGNAL and waits for that. */
void server_stop(struct server *s, int signal);

/* How many lines of its log have TEXT in them. */
size_t server_log_lines(const struct server *s, const char *text);

/* CPU time, user and system. */
int64_t server_cpu_ns(const struct server *s);
/* Bytes of private memory in use. */
int64_t server_memory(const struct server *s);

/* Whether PROGRAM is on the PATH. */
bool is_installed(const char *program);

#endif
