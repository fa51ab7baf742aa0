/* SPDX-License-Identifier: MIT */
/*
 * Whether no uid gets more than its share: while a uid has work, each other gets at most its first
 * share and one more before it is that uid's turn. A uid has work while a connection of it does.
 * What the daemon does of itself gets no more than a uid.
 */
#ifndef SHMD_TESTS_SIMULATION_SHARES_H
#define SHMD_TESTS_SIMULATION_SHARES_H

#include <stddef.h>
#include <stdint.h>

enum { SHARE_UIDS_MAX = 24 };

struct shares {
    size_t n;
    struct {
        uint32_t uid;
        unsigned n_waiting;                /* connections with work */
        int64_t since_us;                  /* when the first of them came */
        int64_t others_us[SHARE_UIDS_MAX]; /* what each other had since it was this one's turn */
    } uids[SHARE_UIDS_MAX];
};

/* A connection of UID has work, or has none any more. */
void shares_wait(struct shares *s, uint32_t uid, int64_t now_us);
void shares_wait_no_more(struct shares *s, uint32_t uid);

/* A connection of UID was served from FROM_US until now. The uid that has waited too long, or NULL;
 * *RET_US is what UID had meanwhile. */
const uint32_t *shares_served(struct shares *s, uint32_t uid, int64_t from_us, int64_t now_us,
                              int64_t most_us, int64_t *ret_us);

#endif
