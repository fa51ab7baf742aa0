/* SPDX-License-Identifier: MIT */
#include "protocol/methods.h"

#include <string.h>

static const char *const words[METHOD_COUNT] = {
    [METHOD_INFO] = "info",       [METHOD_CREATE] = "create",       [METHOD_STAT] = "stat",
    [METHOD_SET] = "set",         [METHOD_REMOVE] = "remove",       [METHOD_LIST] = "list",
    [METHOD_READY] = "ready",     [METHOD_WAIT] = "wait",           [METHOD_HOLD] = "hold",
    [METHOD_RELEASE] = "release", [METHOD_ADOPT] = "adopt",         [METHOD_DISOWN] = "disown",
    [METHOD_RELOAD] = "reload",   [METHOD_SUBSCRIBE] = "subscribe", [METHOD_METRICS] = "metrics",
};

const char *method_word(enum method method)
{
    return words[method];
}

int method_find(const char *word, size_t len)
{
    for (int i = 0; i < METHOD_COUNT; i++)
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return i;
    return -1;
}
