/* SPDX-License-Identifier: MIT */
/*
 * Whether the segments that the administrator declares exist from boot on: which directory has the
 * files, whether systemd starts the service at boot or with the first request only, and who may
 * write what the daemon reads.
 */
#ifndef SHMD_CLIENT_CLI_DECLARED_FACTS_H
#define SHMD_CLIENT_CLI_DECLARED_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file of the configuration, or a directory of such files, that others may write. */
struct loose_file {
    char path[256]; /* without the root */
    uint32_t mode, uid;
    bool is_strangers; /* neither root's nor the daemon's; else every user may write it */
};

/* What identifies a segment. */
struct declared_name {
    char *name; /* owned; NULL: it has none, and is known by its key */
    uint32_t key;
};

struct declared_list {
    struct declared_name *rows; /* owned */
    size_t count, capacity;
};

/* 0 or -ENOMEM. */
int declared_list_add(struct declared_list *list, const char *name, uint32_t key);
void declared_list_deinit(struct declared_list *list);

enum { CONFIG_PATH_SIZE = 240 };

struct declared_facts {
    char dir[CONFIG_PATH_SIZE + 16]; /* of the files */
    size_t n_files;                  /* that the daemon would read there */
    bool systemd_runs;               /* it has booted this machine */
    bool service_is_enabled;         /* shmd.service, by some target */
    size_t n_loose;
    struct loose_file loose; /* the first of them */
    size_t n_unreadable;     /* files that the caller may not read */
    size_t n_invalid;        /* entries that the daemon leaves out, and files that are not JSON */
    char invalid[512];       /* the first of them: its file and what is wrong */
    size_t n_missing;        /* declared segments that do not exist */
    char missing[256];       /* their names, as far as there is room */
};

/* ROOT is put before every path. CONFIG, shorter than CONFIG_PATH_SIZE, is the daemon's
 * configuration, which may name another directory of declared segments than segments.d beside it.
 * What cannot be read counts as absent. OWNER is the daemon's uid, and THERE are the declared
 * segments that exist. */
void declared_facts_read(const char *root, const char *config, uint32_t owner,
                         const struct declared_list *there, struct declared_facts *ret);

#endif
