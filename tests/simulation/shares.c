/* SPDX-License-Identifier: MIT */
#include "tests/simulation/shares.h"

#include <stdlib.h>
#include <string.h>

static size_t index_of(struct shares *s, uint32_t uid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->uids[i].uid == uid)
            return i;
    if (s->n == SHARE_UIDS_MAX)
        abort(); /* no world has so many */
    s->uids[s->n].uid = uid;
    return s->n++;
}

static void begin_anew(struct shares *s, size_t i)
{
    memset(s->uids[i].others_us, 0, sizeof(s->uids[i].others_us));
}

void shares_wait(struct shares *s, uint32_t uid, int64_t now_us)
{
    size_t i = index_of(s, uid);
    if (s->uids[i].n_waiting++ > 0)
        return;
    s->uids[i].since_us = now_us;
    begin_anew(s, i);
}

void shares_wait_no_more(struct shares *s, uint32_t uid)
{
    s->uids[index_of(s, uid)].n_waiting--;
}

const uint32_t *shares_served(struct shares *s, uint32_t uid, int64_t from_us, int64_t now_us,
                              int64_t most_us, int64_t *ret_us)
{
    size_t served = index_of(s, uid);
    begin_anew(s, served);
    for (size_t i = 0; i < s->n; i++) {
        if (i == served || s->uids[i].n_waiting == 0)
            continue;
        int64_t since_us = s->uids[i].since_us;
        s->uids[i].others_us[served] += now_us - (since_us > from_us ? since_us : from_us);
        *ret_us = s->uids[i].others_us[served];
        if (*ret_us > most_us)
            return &s->uids[i].uid;
    }
    return NULL;
}
