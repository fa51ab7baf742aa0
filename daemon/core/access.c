/* SPDX-License-Identifier: MIT */
#include "daemon/core/access.h"

#include <string.h>

#include "daemon/core/segment.h"

static bool in_group(const struct caller *caller, uint32_t gid)
{
    if (caller->gid == gid)
        return true;
    for (size_t i = 0; i < caller->n_groups; i++)
        if (caller->groups[i] == gid)
            return true;
    return false;
}

bool access_is_admin(const struct access *a, const struct caller *caller)
{
    return caller->uid == 0 || caller->uid == a->own_uid ||
           (a->has_admin_group && in_group(caller, a->admin_group));
}

uint32_t access_read_bit(const struct caller *caller, const struct sysv_stat *kernel)
{
    if (caller->uid == kernel->uid || caller->uid == kernel->cuid)
        return 0400;
    return in_group(caller, kernel->cgid) || in_group(caller, kernel->gid) ? 0040 : 0004;
}

bool access_may_read(const struct access *a, const struct caller *caller,
                     const struct sysv_stat *kernel)
{
    return access_is_admin(a, caller) || (kernel->mode & access_read_bit(caller, kernel)) != 0;
}

bool access_may_change(const struct access *a, const struct caller *caller,
                       const struct segment *segment, const struct sysv_stat *kernel)
{
    const struct stored_creator *by = &segment->creator;
    return caller->uid == kernel->uid || (caller->uid == by->uid && !by->only_pays) ||
           access_is_admin(a, caller);
}

bool access_may_see(const struct access *a, const struct caller *caller,
                    const struct segment *segment, const struct sysv_stat *kernel)
{
    bool is_closed_to_all = (kernel->mode & 0777) == 0;
    return access_may_read(a, caller, kernel) ||
           (is_closed_to_all && access_may_change(a, caller, segment, kernel));
}

bool access_may_adopt(const struct access *a, const struct caller *caller,
                      const struct sysv_stat *kernel)
{
    return caller->uid == kernel->uid || caller->uid == kernel->cuid || access_is_admin(a, caller);
}

bool access_may_give_uid(const struct access *a, const struct caller *caller, uint32_t uid)
{
    return uid == caller->uid || uid == a->own_uid || access_is_admin(a, caller);
}

bool access_may_give_gid(const struct access *a, const struct caller *caller, uint32_t gid)
{
    return in_group(caller, gid) || access_is_admin(a, caller);
}

bool access_daemon_may_change(const struct access *a, const struct sysv_stat *kernel)
{
    return a->own_uid == 0 || kernel->uid == a->own_uid || kernel->cuid == a->own_uid;
}

bool access_may_use_name(const struct access *a, const struct caller *caller, const char *name,
                         const struct name_rule **ret_rule)
{
    const struct name_rule *rule = NULL;
    size_t longest = 0;
    for (size_t i = 0; name && i < a->n_names; i++) {
        size_t len = strlen(a->names[i].prefix);
        if (len > longest && strncmp(name, a->names[i].prefix, len) == 0) {
            rule = &a->names[i];
            longest = len;
        }
    }
    if (!rule || access_is_admin(a, caller) ||
        (rule->is_group ? in_group(caller, rule->id) : caller->uid == rule->id))
        return true;
    *ret_rule = rule;
    return false;
}

static bool is_uid_or_system(const struct access *a, uint32_t uid, uint32_t whose)
{
    return whose == uid || whose == 0 || whose == a->own_uid;
}

bool access_is_of(const struct access *a, uint32_t uid, const struct segment *segment,
                  const struct sysv_stat *kernel, uint32_t *ret_other)
{
    const uint32_t creator = segment ? segment->creator.uid : kernel->cuid;
    const bool was_admin = segment && segment->creator.was_admin;
    if (!is_uid_or_system(a, uid, kernel->uid))
        *ret_other = kernel->uid;
    else if (!was_admin && !is_uid_or_system(a, uid, creator))
        *ret_other = creator;
    else
        return true;
    return false;
}
