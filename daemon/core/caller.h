/* SPDX-License-Identifier: MIT */
/* The caller: what the socket says of the process at its other end. */
#ifndef SHMD_CORE_CALLER_H
#define SHMD_CORE_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

struct account;
struct party;

struct caller {
    uint32_t uid, gid;
    int32_t pid;
    int socket; /* for the process behind it; -1: there is none (the daemon itself) */
    char comm[COMM_MAX];
    uint32_t *groups; /* supplementary; owned by the session */
    size_t n_groups;
    /* It connected between these, as process_ops.now() has it. */
    uint64_t after_ticks, until_ticks;
    uint64_t unseen; /* tells apart processes that the daemon cannot see; 0: not needed yet */
    struct account *account; /* of its uid, charged with the connection; NULL: the daemon itself */
    struct party *party;     /* of the connection; made when it first holds something */
};

#endif
