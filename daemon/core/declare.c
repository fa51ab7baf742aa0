/* SPDX-License-Identifier: MIT */
#include "daemon/core/declare.h"

#include <string.h>

#include "daemon/core/create.h"
#include "daemon/core/find.h"
#include "daemon/core/set.h"

/* The daemon itself is who asks. */
static struct caller own_caller(const struct core *core)
{
    return (struct caller){.uid = core->settings.access.own_uid,
                           .gid = core->own_gid,
                           .pid = core->own_pid,
                           .comm = "shmd",
                           .socket = -1};
}

static void report(const struct core *core, const struct declare_report *r)
{
    core->declarations.report(core->declarations.context, r);
}

/* --- a missing one */

/* Who owns what D declares has to pay for what has become of earlier ones, and is not given more
 * than he may have. */
static int check_owner_has_room(const struct core *core, const struct declaration *d,
                                struct outcome_detail *detail)
{
    static const struct {
        enum quota_kind kind;
        const char *key;
    } kinds[] = {
        {QUOTA_SEGMENTS, "max_segments_per_uid"},
        {QUOTA_BYTES, "max_bytes_per_uid"},
        {QUOTA_LOCKED_BYTES, "max_locked_bytes_per_uid"},
        {QUOTA_ANCHORED_BYTES, "max_anchored_bytes_per_uid"},
    };
    const uint32_t uid = (uint32_t)d->params.uid.value;
    if (!d->params.uid.given || uid == core->settings.access.own_uid)
        return 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct quota_use use;
        if (!quota_is_above(quota_find(&core->quota, uid), kinds[i].kind, 1))
            continue;
        (void)quota_show(&core->quota, uid, kinds[i].key, &use);
        *detail = (struct outcome_detail){
            .what = kinds[i].key, .used = use.used, .max = use.max, .has_uid = true, .uid = uid};
        return OUTCOME_QUOTA_EXCEEDED;
    }
    return 0;
}

static int create(struct core *core, const struct declaration *d, struct found *ret,
                  struct outcome_detail *detail)
{
    struct caller self = own_caller(core);
    bool created;
    int r = check_owner_has_room(core, d, detail);
    if (r == 0)
        r = core_create(core, &self, &d->params, ret, &created, detail);
    if (r == 0)
        report(core, &(struct declare_report){
                         .result = DECLARE_CREATED, .declaration = d, .segment = ret->segment});
    return r;
}

/* --- one that exists */

static struct opt_int int_if(uint32_t fields, enum drift field, struct opt_int declared)
{
    return fields & (1U << field) ? declared : (struct opt_int){.given = false};
}

/* What `set` has to do so that FIELDS are as declared. */
static struct set_params set_of(const struct create_params *p, uint32_t fields)
{
    struct set_params set = {
        .mode = int_if(fields, DRIFT_MODE, p->mode),
        .uid = int_if(fields, DRIFT_UID, p->uid),
        .gid = int_if(fields, DRIFT_GID, p->gid),
        .ttl_ms = int_if(fields, DRIFT_TTL_MS, p->ttl_ms),
        .idle_ttl_ms = int_if(fields, DRIFT_IDLE_TTL_MS, p->idle_ttl_ms),
    };
    if (fields & (1U << DRIFT_LABELS))
        set.labels = p->labels;
    if (fields & (1U << DRIFT_LOCKED))
        set.locked = p->locked;
    return set;
}

/* A change of FIELDS, whole or not at all. */
static int change(struct core *core, const struct declaration *d, struct found *found,
                  uint32_t fields, struct outcome_detail *detail)
{
    struct caller self = own_caller(core);
    const struct set_params set = set_of(&d->params, fields);
    int r = core_set(core, &self, &set, found, detail);
    if (r == 0)
        report(core, &(struct declare_report){.result = DECLARE_CHANGED,
                                              .declaration = d,
                                              .segment = found->segment,
                                              .fields = fields});
    return r;
}

/* One that is refused, as a lock may be, does not hold up the others. */
static void change_one_by_one(struct core *core, const struct declaration *d, struct found *found,
                              uint32_t fields)
{
    for (int i = 0; i < DRIFT_COUNT; i++) {
        struct outcome_detail detail = {0};
        const uint32_t field = fields & (1U << i);
        int r = field ? change(core, d, found, field, &detail) : 0;
        if (r != 0)
            report(core, &(struct declare_report){.result = DECLARE_NOT_CHANGED,
                                                  .declaration = d,
                                                  .segment = found->segment,
                                                  .fields = field,
                                                  .error = r,
                                                  .detail = &detail});
    }
}

static void change_to_declared(struct core *core, const struct declaration *d, struct found *found,
                               uint32_t fields)
{
    struct outcome_detail detail = {0};
    if (fields != 0 && change(core, d, found, fields, &detail) != 0)
        change_one_by_one(core, d, found, fields);
}

/* --- all of them */

/* Reports TROUBLE, unless that has been done. */
static void report_trouble(const struct core *core, struct declaration *d,
                           const struct declare_trouble *trouble, const struct segment *segment,
                           const struct outcome_detail *detail)
{
    const struct declare_trouble *old = &d->reported;
    const bool is_reported = trouble->error == old->error && trouble->serial == old->serial &&
                             (trouble->conflicts & ~old->conflicts) == 0;
    d->reported = *trouble;
    if (is_reported || (trouble->error == 0 && trouble->conflicts == 0))
        return;
    report(core, &(struct declare_report){.result = trouble->error != 0 ? DECLARE_NOT_CREATED
                                                                        : DECLARE_CONFLICT,
                                          .declaration = d,
                                          .segment = segment,
                                          .fields = trouble->conflicts,
                                          .error = trouble->error,
                                          .detail = detail});
}

/* Makes sure of D. CHANGES: one that exists is also changed to what is declared. */
static void make_sure(struct core *core, struct declaration *d, bool changes)
{
    const struct create_params *p = &d->params;
    struct outcome_detail detail = {0};
    struct declare_trouble trouble = {0};
    struct found found = {0};
    int r = p->name ? find_name(core, p->name, &found) : OUTCOME_NO_SUCH_SEGMENT;
    if (r > 0 && p->key.value != 0)
        r = find_key(core, (uint32_t)p->key.value, &found);
    if (r > 0)
        r = create(core, d, &found, &detail);
    if (r != 0) {
        trouble.error = r;
        report_trouble(core, d, &trouble, NULL, &detail);
        return;
    }
    const struct segment *segment = found.segment;
    uint32_t drift = declaration_drift(d, segment, &found.kernel, core->settings.access.own_uid,
                                       core_boottime_ms(core));
    /* Another user's is left alone, and so is one that only has the key that D wants. */
    if (changes && !(drift & (1U << DRIFT_CREATOR | 1U << DRIFT_NAME)))
        change_to_declared(core, d, &found, drift & DRIFT_SETTABLE);
    trouble.conflicts = drift & ~DRIFT_SETTABLE;
    trouble.serial = segment->serial;
    report_trouble(core, d, &trouble, segment, &detail);
}

static void look_is_due(struct deadline *deadline, void *context);

/* With the next sweep, so that an idle daemon wakes up once for both. */
static void look_later(struct core *core)
{
    int64_t now = core_boottime_ms(core), at = now + core->settings.reconcile_ms;
    if (core->sweep.due.place && core->sweep.due.at_ms > now)
        at = core->sweep.due.at_ms;
    int r = deadlines_set(&core->deadlines, &core->declarations.look, at, look_is_due);
    (void)r; /* it has had room since it was set first */
}

static void look_is_due(struct deadline *deadline, void *context)
{
    struct core *core = context;
    (void)deadline;
    look_later(core);
    core->declarations.n_to_look_at = core->declarations.count;
}

bool declare_is_due(const struct core *core)
{
    return core->declarations.n_to_look_at > 0;
}

void declare_go_on(struct core *core)
{
    struct declarations *d = &core->declarations;
    while (d->n_to_look_at > 0 && !work_share_is_over(&core->work)) {
        make_sure(core, &d->items[d->count - d->n_to_look_at--], false);
        work_look_at_clock(&core->work);
    }
}

int declare_segments(struct core *core, struct declarations *declarations)
{
    int r = declarations_sort(declarations);
    if (r == 0)
        r = deadlines_reserve(&core->deadlines, 1);
    if (r < 0)
        return r;
    deadlines_clear(&core->deadlines, &core->declarations.look);
    declarations_deinit(&core->declarations);
    core->declarations = *declarations;
    *declarations = (struct declarations){0};
    if (core->declarations.count == 0 || !core->is_started)
        return 0;
    look_later(core);
    for (size_t i = 0; i < core->declarations.count; i++)
        make_sure(core, &core->declarations.items[i], true);
    return 0;
}
