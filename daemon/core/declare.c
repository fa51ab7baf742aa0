#include "daemon/core/declare.h"

#include <string.h>

#include "daemon/core/create.h"
#include "daemon/core/find.h"

void declare_none(struct core *core)
{
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        segment->declared = false;
}

static int compare(const struct core *core, const struct create_params *p, const struct segment *s,
                   struct outcome_detail *detail)
{
    *detail = (struct outcome_detail){.serial = s->serial,
                                      .shmid = s->shmid,
                                      .size = s->size,
                                      .requested = (uint64_t)p->size.value};
    if (s->creator.uid != core->settings.access.own_uid && s->creator.uid != 0)
        return OUTCOME_SEGMENT_EXISTS;
    return s->size < (uint64_t)p->size.value ? OUTCOME_SIZE_MISMATCH : 0;
}

/* No other segment than S may have the key that P wants. S itself may have another: it is left as
 * it is. */
static int check_key(struct core *core, const struct create_params *p, const struct segment *s,
                     struct outcome_detail *detail)
{
    struct target target = {.key = p->key};
    struct found other;
    if (p->key.value == 0 || (uint32_t)p->key.value == s->key)
        return 0;
    int r = find_target(core, &target, &other, detail);
    if (r != 0)
        return r > 0 ? 0 : r;
    *detail = (struct outcome_detail){.key = other.kernel.key, .shmid = other.kernel.shmid};
    if (!other.segment)
        return OUTCOME_KEY_IN_USE;
    detail->serial = other.segment->serial;
    detail->hint = "name and key denote two different segments";
    return OUTCOME_SEGMENT_EXISTS;
}

int declare_segment(struct core *core, const struct create_params *p, bool *ret_created,
                    struct outcome_detail *detail)
{
    struct caller self = {.uid = core->settings.access.own_uid,
                          .gid = core->own_gid,
                          .pid = core->own_pid,
                          .comm = "shmd",
                          .socket = -1};
    struct found found;
    bool created = false;
    int r =
        p->name ? find_name(core, p->name, &found) : find_key(core, (uint32_t)p->key.value, &found);
    if (r < 0)
        return r;
    if (r > 0) {
        r = core_create(core, &self, p, &found, &created, detail);
    } else {
        r = compare(core, p, found.segment, detail);
        if (r == 0)
            r = check_key(core, p, found.segment, detail);
    }
    if (r != 0)
        return r;
    found.segment->declared = true;
    *ret_created = created;
    return 0;
}
