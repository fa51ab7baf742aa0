/* SPDX-License-Identifier: MIT */
/*
 * How something grows with the number of segments: what is measured, over which numbers, on the
 * kernel (growth.c) and on a kernel in memory that holds more of them (growth_fake.c).
 */
#ifndef SHMD_BENCH_GROWTH_H
#define SHMD_BENCH_GROWTH_H

#include "tests/bench/calls.h"

enum growth {
    GROWTH_NAME, /* these as enum lookup has them */
    GROWTH_SHMID,
    GROWTH_KEY,
    GROWTH_SERIAL,
    GROWTH_PAIR,    /* create and remove */
    GROWTH_NO_NAME, /* a page of list, of which no name matches */
    GROWTH_NO_LABEL,
    GROWTH_START,
    GROWTHS,
};
_Static_assert((int)GROWTH_PAIR == (int)LOOKUP_KINDS,
               "all lookups, and nothing else, come before it");

static const struct {
    const char *id, *title, *unit;
} growths[GROWTHS] = {
    {"name", "stat by name", "µs"},
    {"shmid", "stat by shmid", "µs"},
    {"key", "stat by key", "µs"},
    {"serial", "stat by serial", "µs"},
    {"pair", "create and remove", "µs"},
    {"no-name", "a page of list: no name matches", "µs"},
    {"no-label", "a page of list: no label matches", "µs"},
    {"start", "start with so many", "ms"},
};

#define CREATE_ONE                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":"                              \
    "{\"name\":\"bench/pair\",\"size\":4096,\"ttl_ms\":3600000}}\n"
#define REMOVE_ONE                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"remove\",\"params\":{\"name\":\"bench/pair\"}}\n"
#define LIST_NO_NAME                                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list\",\"params\":{\"prefix\":\"none/\"}}\n"
#define LIST_NO_LABEL                                                                              \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list\",\"params\":{\"labels\":{\"no\":\"one\"}}}"  \
    "\n"

#endif
