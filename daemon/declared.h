/*
 * The segments that shall exist, from the files of a directory: each *.json file is an object of
 * the parameters of `create`, or an array of such. What is wrong in one is told and passed over;
 * the others count.
 */
#ifndef SHMD_DECLARED_H
#define SHMD_DECLARED_H

#include "daemon/util/cleanup.h"
#include "protocol/params.h"

struct declared_visitor {
    /* PARAMS has a name or a key, and no lifetime but `persistent`; it is valid during the call. A
     * negative errno ends the loading. */
    int (*each)(void *context, const char *file, const struct create_params *params);
    /* WHAT is a sentence about FILE, without a full stop. */
    void (*complain)(void *context, const char *file, const char *what);
    void *context;
};

/*
 * Reads the files of DIR in the order of their names (by byte); those whose names begin with a dot
 * are passed over. FILE is the whole path. A directory that is missing is empty; one that cannot be
 * read is complained about. 0, or the negative errno of EACH or -ENOMEM.
 */
int declared_load(const char *dir, const struct declared_visitor *visitor) MUST_CHECK;

/* The same, and it is complained about entries that contradict an earlier one: of the same name or
 * key, and not the same in all else. At a start the first of them counts. */
int declared_check(const char *dir, const struct declared_visitor *visitor) MUST_CHECK;

#endif
