/* SPDX-License-Identifier: MIT */
/*
 * The rights: one function each, and all of them here. They follow the table in PROTOCOL.md
 * («Rights»).
 */
#ifndef SHMD_CORE_ACCESS_H
#define SHMD_CORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/caller.h"
#include "daemon/sys/sysv.h"

struct segment;

/* Names that begin so are for one user or one group. */
struct name_rule {
    char *prefix;
    bool is_group;
    uint32_t id;
};

struct access {
    uint32_t own_uid; /* the daemon's */
    bool has_admin_group;
    uint32_t admin_group;
    const struct name_rule *names; /* borrowed from the configuration */
    size_t n_names;
};

/* uid 0, the daemon's own uid, members of admin_group. */
bool access_is_admin(const struct access *a, const struct caller *caller);

/* The bit of the mode by which the kernel lets CALLER read: the owner's, the group's or the
 * others'. */
uint32_t access_read_bit(const struct caller *caller, const struct sysv_stat *kernel);

/* Read permission as the kernel's ipcperms() has it. For managed segments only: the kernel shows
 * all others to everybody, and so does the daemon. */
bool access_may_read(const struct access *a, const struct caller *caller,
                     const struct sysv_stat *kernel);

/* Be shown the segment by `list`: its readers. One of mode 0000 has none, so those who may change
 * the mode see it. */
bool access_may_see(const struct access *a, const struct caller *caller,
                    const struct segment *segment, const struct sysv_stat *kernel);

/* Change or remove: the owner, the creator of record, an admin. */
bool access_may_change(const struct access *a, const struct caller *caller,
                       const struct segment *segment, const struct sysv_stat *kernel);

/* Hand over for adoption: the kernel's owner or creator, who could do anything with it, or an
 * admin. */
bool access_may_adopt(const struct access *a, const struct caller *caller,
                      const struct sysv_stat *kernel);

/* Whether the kernel lets the daemon itself change and remove the segment. */
bool access_daemon_may_change(const struct access *a, const struct sysv_stat *kernel);

/* Give a segment the name NAME (NULL: none): everybody, unless it begins as a reserved prefix. Then
 * only the user or the group that it is reserved for, or an admin; of several prefixes the longest
 * counts. RET_RULE is what forbids it. */
bool access_may_use_name(const struct access *a, const struct caller *caller, const char *name,
                         const struct name_rule **ret_rule);

/* Make UID and GID the owner: the caller's own uid or the daemon's, and a group of the caller's;
 * anything else an admin. A segment that is given away could deceive its new owner. */
bool access_may_give_uid(const struct access *a, const struct caller *caller, uint32_t uid);
bool access_may_give_gid(const struct access *a, const struct caller *caller, uint32_t gid);

/*
 * Whether a segment is UID's own, root's or the daemon's: its owner and its creator. A segment of
 * anybody else may have been put under the name or key that UID's programs look for. The creator
 * counts, for an owner can be changed; one who was an admin is trusted. SEGMENT is the record, or
 * NULL for a segment that is not the daemon's. Otherwise RET_OTHER is whose it is.
 */
bool access_is_of(const struct access *a, uint32_t uid, const struct segment *segment,
                  const struct sysv_stat *kernel, uint32_t *ret_other);

#endif
