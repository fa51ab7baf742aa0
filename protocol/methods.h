/* SPDX-License-Identifier: MIT */
/*
 * The only list of methods. JSON-RPC calls them by `word`; another dialect derives its own
 * spelling from it.
 */
#ifndef SHMD_PROTOCOL_METHODS_H
#define SHMD_PROTOCOL_METHODS_H

#include <stddef.h>

enum method {
    METHOD_INFO,
    METHOD_CREATE,
    METHOD_STAT,
    METHOD_SET,
    METHOD_REMOVE,
    METHOD_LIST,
    METHOD_READY,
    METHOD_WAIT,
    METHOD_HOLD,
    METHOD_RELEASE,
    METHOD_ADOPT,
    METHOD_DISOWN,
    METHOD_RELOAD,
    METHOD_SUBSCRIBE,
    METHOD_METRICS,
    METHOD_COUNT
};

/* The method's word, a static string. */
const char *method_word(enum method method);

/* The method called WORD (LEN bytes, any content), or -1. */
int method_find(const char *word, size_t len);

#endif
