/* SPDX-License-Identifier: MIT */
#include "daemon/core/core.h"

#include "daemon/core/anchor.h"
#include "daemon/core/declare.h"
#include "daemon/core/ends.h"
#include "daemon/core/reconcile.h"
#include "daemon/core/removal.h"
#include "daemon/core/restore.h"

void core_init(struct core *core, const struct core_seams *on, const struct core_settings *settings,
               const struct machine *machine, int32_t own_pid, uint32_t own_gid)
{
    *core = (struct core){.on = *on,
                          .settings = *settings,
                          .machine = machine,
                          .own_pid = own_pid,
                          .own_gid = own_gid};
    registry_init(&core->registry, machine->secret);
    quota_init(&core->quota);
    quota_configure(&core->quota, &settings->limits, machine);
    parties_init(&core->parties, on->processes, on->watcher, &core->quota, &core->settings.access);
    deadlines_init(&core->deadlines);
    event_log_init(&core->events, 0);
    news_init(&core->news);
    work_init(&core->work, on->clock, settings->turn_work_us);
    STAILQ_INIT(&core->ended);
}

void core_deinit(struct core *core)
{
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        removal_discard(core, registry_take(&core->registry, segment));
    ends_deinit(core);
    core_bury(core);
    declarations_deinit(&core->declarations);
    news_deinit(&core->news);
    ledger_deinit(&core->ledger);
    event_log_deinit(&core->events);
    deadlines_deinit(&core->deadlines);
    registry_deinit(&core->registry);
    parties_deinit(&core->parties);
    quota_deinit(&core->quota);
}

void core_configure(struct core *core, const struct core_settings *settings)
{
    core->settings = *settings;
    core->work.turn_us = settings->turn_work_us;
    quota_configure(&core->quota, &settings->limits, core->machine);
    deadlines_clear(&core->deadlines, &core->sweep.due);
    reconcile_watch(core);
}

/* --- chores */

static bool deadlines_are_due(const struct core *core)
{
    int64_t next = deadlines_next(&core->deadlines);
    return next >= 0 && next <= core_boottime_ms(core);
}

static void run_deadlines(struct core *core)
{
    deadlines_run(&core->deadlines, core_boottime_ms(core), &core->work, core);
}

static bool store_is_due(const struct core *core)
{
    return core->ledger.has_more_to_tend;
}

const struct core_chore core_chores[CORE_CHORES] = {
    {deadlines_are_due, run_deadlines},        {ends_are_due, ends_go_on},
    {reconcile_is_under_way, reconcile_go_on}, {declare_is_due, declare_go_on},
    {ledger_has_more, ledger_go_on},           {store_is_due, ledger_tend},
};

void core_tick(struct core *core)
{
    for (size_t i = 0; i < CORE_CHORES; i++)
        if (core_chores[i].is_due(core))
            core_chores[i].go_on(core);
}

int64_t core_next_tick(const struct core *core)
{
    for (size_t i = 0; i < CORE_CHORES; i++)
        if (core_chores[i].is_due != deadlines_are_due && core_chores[i].is_due(core))
            return core_boottime_ms(core);
    return deadlines_next(&core->deadlines); /* without a look at the clock: it may have passed */
}

/* --- the end of a turn */

void core_record_facts(struct core *core)
{
    ledger_catch_up(core);
}

void core_end_turn(struct core *core)
{
    core->looks.n = 0;
    core_record_facts(core);
    /* Once it has begun, it goes on with the ticks, so that a turn has one part of it. */
    if (core->ledger.has_written && !core->ledger.has_more_to_tend)
        ledger_tend(core);
}

bool core_turn_is_due(const struct core *core)
{
    return ledger_is_due(core) || core->news.count > 0 || core->news.has_lost ||
           !SLIST_EMPTY(&core->dead);
}

void core_bury(struct core *core)
{
    removal_bury_dead(core);
}

/* --- the start */

/* Those whose life these depend on have ended while no daemon ran. */
static uint64_t remove_abandoned(struct core *core)
{
    uint64_t removed = 0;
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        removed += ends_if_abandoned(core, segment) == 0;
    return removed;
}

/* All is loaded: records and kernel are brought together. */
static void bring_together(struct core *core, const struct store_contents *contents,
                           struct core_start *ret)
{
    reconcile_sweep(core, &ret->sweep);
    ret->dead = remove_abandoned(core);
    if (contents->has_intent)
        reconcile_unacknowledged(core, &contents->intent, &ret->unacknowledged);
    /* A disk that is full now may have room later: meanwhile the daemon shows what there is. */
    ret->store_error = ledger_enter(core);
    reconcile_watch(core);
    core->is_started = true;
}

int core_start(struct core *core, struct core_start *ret)
{
    struct store_contents contents CLEANUP(store_contents_deinit) = {0};
    *ret = (struct core_start){0};
    core->ledger.self =
        (struct store_daemon){.pid = core->own_pid,
                              .pid_namespace = core->machine->pid_namespace,
                              .started_at_s = core->on.clock.ops->kernel_s(core->on.clock.context)};
    int r = ledger_load(core, &contents);
    if (r == 0)
        r = restore_segments(core, &contents);
    if (r < 0)
        return r;
    ledger_follow(core);
    bring_together(core, &contents, ret);
    return 0;
}
