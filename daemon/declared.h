/* SPDX-License-Identifier: MIT */
/*
 * The segments that always exist: the administrator declares them in the *.json files of a
 * directory. Each file is an object with the parameters of `create`, or an array of such objects.
 *
 * All files are read before anything is done with them. An entry with an error is left out, and so
 * is one that contradicts an earlier entry.
 */
#ifndef SHMD_DECLARED_H
#define SHMD_DECLARED_H

#include "daemon/config_errors.h"
#include "daemon/sys/machine.h"
#include "protocol/message.h"
#include "protocol/params.h"

/* An entry of a file. It has a name or a key, and no lifetime but `persistent`. */
struct declared_segment {
    const char *file; /* the whole path, borrowed from the file */
    unsigned line;
    struct create_params params; /* borrowed from the file's message */
};

struct declared_file {
    char *path;
    struct message message; /* what the file says, decoded */
    struct declared_file *next;
};

struct declared {
    struct declared_segment
        *items; /* owned, in the order of the files' names and of their entries */
    size_t count, capacity;
    struct declared_file *files;
    const struct machine *machine; /* borrowed */
};

/*
 * Reads the files of DIR (NULL: none) in the order of their names (by byte) and adds what is wrong
 * to ERRORS: also what no create on MACHINE can make. Names that begin with a dot do not count. A
 * directory that is missing is empty. 0 and the entries, to be freed, or -ENOMEM.
 */
int declared_read(const char *dir, const struct machine *machine, struct declared *ret,
                  struct config_errors *errors) MUST_CHECK;
void declared_deinit(struct declared *declared);

/* Takes out each entry that has the name or key of an earlier one and is not the same in all else,
 * with an error for each. 0 or -ENOMEM. */
int declared_drop_contradictions(struct declared *declared,
                                 struct config_errors *errors) MUST_CHECK;

#endif
