/* SPDX-License-Identifier: MIT */
#include "daemon/config_names.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/params.h"

__attribute__((format(printf, 2, 3))) static int wrong(
    char ret_error[static RESERVED_NAMES_ERROR_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ret_error, RESERVED_NAMES_ERROR_BYTES, format, args);
    va_end(args);
    return -EINVAL;
}

static bool is_number(const char *text, uint32_t *ret)
{
    if (!*text || text[strspn(text, "0123456789")])
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno || number >= UINT32_MAX)
        return false;
    *ret = (uint32_t)number;
    return true;
}

/* The uid or gid of VALUE. False when there is no such user or group. */
static bool find_id(const char *value, bool is_group, uint32_t *ret)
{
    if (is_number(value, ret))
        return true;
    if (!*value)
        return false;
    if (is_group) {
        const struct group *group = getgrnam(value);
        if (group)
            *ret = group->gr_gid;
        return group;
    }
    const struct passwd *user = getpwnam(value);
    if (user)
        *ret = user->pw_uid;
    return user;
}

int reserved_names_add(struct reserved_names *names, const char *prefix, const char *value,
                       char ret_error[static RESERVED_NAMES_ERROR_BYTES])
{
    const bool is_group = *value == '@';
    struct name_rule rule = {.is_group = is_group};
    const char *why = params_check_name(prefix);
    if (why)
        return wrong(ret_error, "%s: no name can begin so: %s", prefix, why);
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->rules[i].prefix, prefix) == 0)
            return wrong(ret_error, "%s: the prefix is reserved for the second time", prefix);
    if (!find_id(value + is_group, is_group, &rule.id))
        return wrong(ret_error,
                     "%s \"%s\": must be a user, or a group behind @, by name or number; there is "
                     "no such %s",
                     prefix, value, is_group ? "group" : "user");
    struct name_rule *rules = realloc(names->rules, (names->count + 1) * sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    names->rules = rules;
    rule.prefix = strdup(prefix);
    if (!rule.prefix)
        return -ENOMEM;
    rules[names->count++] = rule;
    return 0;
}

void reserved_names_deinit(struct reserved_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->rules[i].prefix);
    free(names->rules);
    *names = (struct reserved_names){.count = 0};
}
