/* SPDX-License-Identifier: MIT */
#include "client/cli/waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_walk waiters_begin(const char *result)
{
    struct json_slice segment = {"", 0}, list = {"", 0};
    if (result &&
        json_slice_member((struct json_slice){result, strlen(result)}, "segment", &segment))
        (void)json_slice_member(segment, "waiter_list", &list);
    return json_walk_begin(list);
}

static int64_t number(struct json_slice object, const char *key)
{
    struct json_slice value;
    char text[24];
    if (!json_slice_member(object, key, &value))
        return 0;
    snprintf(text, sizeof(text), "%.*s", (int)value.len, value.text);
    return strtoll(text, NULL, 10);
}

bool waiters_next(struct json_walk *walk, struct waiting *ret)
{
    struct json_slice key, comm;
    *ret = (struct waiting){.comm = ""};
    if (!json_walk_next(walk, &key, &ret->text))
        return false;
    ret->pid = (int32_t)number(ret->text, "pid");
    ret->uid = (uint32_t)number(ret->text, "uid");
    ret->since_at_ms = number(ret->text, "since_at_ms");
    if (json_slice_member(ret->text, "comm", &comm) && comm.len >= 2 && *comm.text == '"')
        snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)comm.len - 2, comm.text + 1);
    return true;
}
