#include "daemon/core/declare.h"

#include <string.h>

#include "daemon/core/create.h"
#include "daemon/core/lookup.h"

void declare_none(struct core *core)
{
    struct segment *segment;
    for (uint64_t after = 0; (segment = registry_next(&core->registry, after));) {
        after = segment->serial;
        segment->declared = false;
    }
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
    int r = lookup_name(core, p->name, &found);
    if (r < 0)
        return r;
    r = r == 0 ? compare(core, p, found.segment, detail)
               : core_create(core, &self, p, &found, &created, detail);
    if (r != 0)
        return r;
    found.segment->declared = true;
    *ret_created = created;
    return 0;
}
