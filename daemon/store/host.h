/* SPDX-License-Identifier: MIT */
/*
 * The seam to the machine under a journal: one directory with a few files, two clocks and random
 * bytes. A test hands in a host whose calls fail, or end the world, on cue.
 *
 * Functions return 0 or more, or a negative errno; outputs are untouched on failure. A file is a
 * number of 0 or more that open() gave.
 */
#ifndef SHMD_STORE_HOST_H
#define SHMD_STORE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file_info {
    bool is_regular;
    uint32_t uid;
    uint32_t mode; /* permissions alone */
    uint64_t device, inode;
    uint64_t size;
};

struct host_ops {
    /* Opens the directory, or opens it again when it was replaced. */
    int (*enter)(void *context, struct file_info *ret_directory);
    /* Lets go of the directory: files that are open stay so, and by name there is none until it is
     * entered again. */
    void (*leave)(void *context);
    /* Opens a file of the directory for reading and writing, without following a link. CREATE: with
     * mode 0600 if it is not there. */
    int (*open)(void *context, const char *name, bool create, int *ret_file);
    void (*close)(void *context, int file);
    /* Until the file is closed, no other process gets it: -EWOULDBLOCK when one has it. */
    int (*lock)(void *context, int file);
    /* Mode 0600. */
    int (*make_private)(void *context, int file);
    int (*stat)(void *context, int file, struct file_info *ret);
    /* Of what has that name where the directory's path leads now. It may be no file. */
    int (*stat_name)(void *context, const char *name, struct file_info *ret);
    /* How many bytes were read or written; fewer than N is possible in both. */
    ssize_t (*read)(void *context, int file, void *to, size_t n, uint64_t at);
    ssize_t (*write)(void *context, int file, const void *from, size_t n, uint64_t at);
    int (*truncate)(void *context, int file, uint64_t size);
    /* Sees to it that the bytes from FROM on have room; the size stays. -EOPNOTSUPP where the file
     * system cannot. */
    int (*allocate)(void *context, int file, uint64_t from, uint64_t n);
    /* REPLACE: in place of what has that name; else -EEXIST. */
    int (*rename)(void *context, const char *from, const char *to, bool replace);
    int (*remove)(void *context, const char *name);
    int64_t (*monotonic_us)(void *context);
    int64_t (*realtime_ms)(void *context);
    int (*random)(void *context, void *to, size_t n);
};

struct host {
    const struct host_ops *ops;
    void *context;
};

#endif
