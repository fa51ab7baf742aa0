/* SPDX-License-Identifier: MIT */
#include "daemon/core/new_name.h"

int new_name_check_prefix(const struct core *core, const struct caller *caller, const char *name,
                          struct outcome_detail *ret_detail)
{
    const struct name_rule *rule;
    if (access_may_use_name(&core->settings.access, caller, name, &rule))
        return 0;
    return outcome_reserved_name(ret_detail, rule);
}

int new_name_check_declared(const struct core *core, const struct caller *caller, const char *name,
                            uint32_t key, struct outcome_detail *ret_detail)
{
    if (access_is_admin(&core->settings.access, caller) ||
        !declaration_of(&core->declarations, name, key))
        return 0;
    return outcome_denied(ret_detail, "admin",
                          "a file in the daemon's segments.d declares this name or key, and the "
                          "daemon will make its segment again: wait for that, or choose another");
}
