/* SPDX-License-Identifier: MIT */
#include "daemon/core/new_segment.h"

#include "daemon/core/charge.h"
#include "daemon/core/ends.h"
#include "daemon/core/reconcile.h"
#include "daemon/core/removal.h"
#include "daemon/core/use.h"

static int make_ties(struct core *core, struct caller *caller, struct new_segment *n,
                     struct outcome_detail *detail)
{
    const struct segment *s = n->segment;
    const enum tie_role role = s->lifetime == LIFETIME_ATTACHED ? TIE_ATTACHER : TIE_HOLDER;
    int64_t now = core_realtime_ms(core);
    int r = 0;
    if (s->lifetime != LIFETIME_PERSISTENT)
        r = tie_new_of(&core->parties, caller, s->lifetime, role, now, &n->of_lifetime, detail);
    if (r == 0 && s->state == STATE_INITIALISING)
        r = tie_new_of(&core->parties, caller, s->lifetime, TIE_INITIALISER, now, &n->initialiser,
                       detail);
    return r;
}

int new_segment_prepare(struct core *core, struct caller *caller, struct new_segment *n,
                        struct outcome_detail *detail)
{
    struct segment *s = n->segment;
    int r = charge_segment(core, caller, s, detail);
    if (r == 0)
        r = make_ties(core, caller, n, detail);
    if (r == 0)
        r = registry_reserve(&core->registry, s);
    if (r == 0)
        r = deadlines_reserve(&core->deadlines, 2);
    if (r == 0)
        r = ledger_reserve(core, NULL);
    return r;
}

int new_segment_record(struct core *core, struct new_segment *n, const struct segment *replaced,
                       struct outcome_detail *detail)
{
    struct segment end_of_replaced;
    n->segment->has_unseen = tie_is_unseen(n->of_lifetime) || tie_is_unseen(n->initialiser);
    n->segment->serial = registry_next_serial(&core->registry);
    struct ledger_change change = {.record = n->segment, .added = {n->of_lifetime, n->initialiser}};
    if (replaced) {
        end_of_replaced = removal_record(replaced);
        change.also = &end_of_replaced;
        change.also_dropped_roles = TIES_ALL;
    }
    return ledger_write(core, n->segment, &change, detail);
}

void new_segment_enter(struct core *core, struct new_segment *n, const struct sysv_stat *kernel)
{
    struct segment *s = steal_pointer(&n->segment);
    int r = 0;
    registry_put(&core->registry, s);
    if (n->of_lifetime)
        tie_bind(&core->parties, steal_pointer(&n->of_lifetime), s);
    if (n->initialiser)
        tie_bind(&core->parties, steal_pointer(&n->initialiser), s);
    use_begin(core, s, kernel);
    r = ends_in_time(core, s);
    if (r == 0 && s->lifetime == LIFETIME_ATTACHED)
        r = ends_unless_attached(core, s);
    (void)r; /* room for two deadlines was made */
    reconcile_watch(core);
}

void new_segment_discard(struct core *core, struct new_segment *n)
{
    tie_free(&core->parties, n->of_lifetime);
    tie_free(&core->parties, n->initialiser);
    removal_discard(core, n->segment);
    *n = (struct new_segment){0};
}
