/* SPDX-License-Identifier: MIT */
#include "tests/fakes/core_fixture.h"

#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/adopt.h"
#include "daemon/core/create.h"
#include "daemon/core/find.h"
#include "daemon/core/hold.h"
#include "daemon/core/ready.h"
#include "daemon/core/remove.h"
#include "daemon/core/set.h"
#include "tests/fakes/fake_memory.h"

/* --- the store's allocations are the test's own */

static int store_load(void *context, struct store_contents *ret)
{
    const struct store s = fake_store(context);
    fake_memory_pause();
    int r = s.ops->load(s.context, ret);
    fake_memory_resume();
    return r;
}

static void store_follow(void *context, const struct store_source *source)
{
    const struct store s = fake_store(context);
    s.ops->follow(s.context, source);
}

static int store_intend(void *context, const struct store_intent *intent, const char **ret_reason)
{
    const struct store s = fake_store(context);
    return s.ops->intend(s.context, intent, ret_reason);
}

static int store_write(void *context, const struct store_record *records, size_t n,
                       const char **ret_reason)
{
    const struct store s = fake_store(context);
    fake_memory_pause();
    int r = s.ops->write(s.context, records, n, ret_reason);
    fake_memory_resume();
    return r;
}

static int store_abandon(void *context, const char **ret_reason)
{
    const struct store s = fake_store(context);
    return s.ops->abandon(s.context, ret_reason);
}

static bool store_tend(void *context, int64_t budget_us)
{
    const struct store s = fake_store(context);
    return s.ops->tend(s.context, budget_us);
}

static uint64_t store_size(void *context)
{
    const struct store s = fake_store(context);
    return s.ops->size(s.context);
}

static const struct store_ops store_ops = {.load = store_load,
                                           .follow = store_follow,
                                           .intend = store_intend,
                                           .write = store_write,
                                           .abandon = store_abandon,
                                           .tend = store_tend,
                                           .size = store_size};

/* --- life */

static int start(struct core_fixture *f)
{
    const struct core_seams on = {
        f->k->sysv, f->clock.clock, f->p.processes, f->p.watcher, {&store_ops, &f->store}};
    core_init(&f->core, &on, &f->settings, &f->machine, f->k->self.pid, f->k->self.gid);
    if (f->before_start)
        f->before_start(f);
    return core_start(&f->core, &f->start);
}

struct core_fixture *core_fixture_new(void)
{
    struct core_fixture *f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    f->k = fake_sysv_new();
    fake_clock_init(&f->clock);
    fake_store_init(&f->store);
    fake_processes_init(&f->p);
    f->p.core = &f->core;
    f->k->huge_pages[0] = (struct fake_huge_pages){.size = 2 << 20};
    f->machine = (struct machine){.boot_id = "0e8f3ac2-0000-4000-8000-000000000001",
                                  .ipc_namespace = 4026531839,
                                  .huge_page_sizes = {2 << 20},
                                  .n_huge_page_sizes = 1};
    f->settings = (struct core_settings){.limits = LIMITS_DEFAULT,
                                         .access = {.own_uid = DAEMON},
                                         .attach_timeout_ms = 60000,
                                         .reconcile_ms = 5000,
                                         .turn_work_us = 2000};
    (void)fake_processes_start(&f->p, DAEMON_PID, "shmd");
    assert_int_equal(start(f), 0);
    f->store.n_commits = 0; /* this daemon's own record */
    return f;
}

void core_fixture_configure(struct core_fixture *f)
{
    quota_configure(&f->core.quota, &f->core.settings.limits, f->core.machine);
}

static void stop(struct core_fixture *f)
{
    core_deinit(&f->core); /* which asserts that no charge and no tie is left */
    assert_int_equal(f->p.n_watched, 0);
    assert_int_equal(f->p.n_open, 0);
}

void core_fixture_free(struct core_fixture *f)
{
    if (!f)
        return;
    stop(f);
    fake_store_deinit(&f->store);
    fake_sysv_free(f->k);
    free(f);
}

static int start_again(struct core_fixture *f)
{
    fake_processes_die(&f->p, f->k->self.pid);
    f->k->self.pid++;
    (void)fake_processes_start(&f->p, f->k->self.pid, "shmd");
    f->has_restarted = true;
    return start(f);
}

int core_fixture_restart(struct core_fixture *f)
{
    ledger_write_event_serial(&f->core);
    stop(f);
    return start_again(f);
}

int core_fixture_crash(struct core_fixture *f)
{
    fake_sysv_exit(f->k, f->k->self.pid); /* the anchors go without a word */
    stop(f);
    return start_again(f);
}

/* --- turns */

static void tell(struct core_fixture *f, const struct segment_event *event)
{
    size_t len = strlen(f->told);
    const char *name = event->segment.name ? event->segment.name : "-";
    const char *reason = event->kind == EVENT_REMOVED ? reason_words[event->reason] : "";
    int n = snprintf(f->told + len, sizeof(f->told) - len, "%s%s%s%s:%s", len > 0 ? " " : "",
                     event_words[event->kind], *reason ? "/" : "", reason, name);
    if (n < 0 || (size_t)n >= sizeof(f->told) - len)
        abort();
}

int core_fixture_turn(struct core_fixture *f)
{
    uint64_t promised = f->store.counters.event_serial;
    int r;
    (void)ledger_take_result(&f->core, &r, &f->reason); /* of the requests */
    core_end_turn(&f->core);
    r = 0;
    (void)ledger_take_result(&f->core, &r, &f->reason);
    for (struct segment_event *event; (event = news_next(&f->core));) {
        assert_int_equal(event->serial, 0);
        tell(f, event);
        event_log_publish(&f->core.events, event);
        wait_hear(&f->core, event);
    }
    if (news_take_loss(&f->core))
        wait_look_again(&f->core);
    if (r == 0) /* no event has a serial that another daemon could use again */
        assert_true(f->core.events.last <= f->store.counters.event_serial);
    assert_true(f->store.counters.event_serial >= promised);
    core_bury(&f->core);
    core_fixture_check(f);
    return r;
}

static void set_clocks(struct core_fixture *f, int64_t ms)
{
    fake_clock_advance(&f->clock, ms);
    f->k->now = f->clock.real_ms / 1000;
}

void core_fixture_pass(struct core_fixture *f, int64_t ms)
{
    int64_t end = f->clock.boot_ms + ms;
    for (int64_t next; (next = core_next_tick(&f->core)) >= 0 && next <= end;) {
        if (next > f->clock.boot_ms)
            set_clocks(f, next - f->clock.boot_ms);
        core_tick(&f->core);
        assert_int_equal(core_fixture_turn(f), 0);
    }
    set_clocks(f, end - f->clock.boot_ms);
}

const char *core_fixture_told(struct core_fixture *f)
{
    static char text[sizeof(f->told)];
    memcpy(text, f->told, sizeof(text));
    f->told[0] = '\0';
    return text;
}

/* --- others */

struct caller core_fixture_caller(struct core_fixture *f, uint32_t uid, int32_t pid)
{
    struct caller c = {.uid = uid,
                       .gid = uid == ALICE ? ALICES
                              : uid == BOB ? BOBS
                                           : uid,
                       .pid = pid,
                       .socket = -1};
    for (size_t i = 0; i < f->p.n_tasks; i++)
        if (f->p.tasks[i].pid == pid && !f->p.tasks[i].is_dead)
            c.socket = (int)i;
    if (c.socket < 0)
        c.socket = fake_processes_start(&f->p, pid, "worker");
    f->p.tasks[c.socket].uid = uid;
    c.until_ticks = f->p.now;
    memcpy(c.comm, f->p.tasks[c.socket].comm, sizeof(c.comm));
    return c;
}

void core_fixture_kill(struct core_fixture *f, int32_t pid)
{
    fake_sysv_exit(f->k, pid);
    fake_processes_kill(&f->p, pid);
}

int fixture_create(struct core_fixture *f, struct caller *caller, const struct create_params *p)
{
    return core_create(&f->core, caller, p, &f->found, &f->created, &f->detail);
}

int fixture_look(struct core_fixture *f, const char *name)
{
    const struct target target = {.name = name};
    return find_target(&f->core, &target, &f->found, &f->detail);
}

int fixture_set(struct core_fixture *f, struct caller *caller, const char *name,
                const struct set_params *p)
{
    int r = fixture_look(f, name);
    return r == 0 ? core_set(&f->core, caller, p, &f->found, &f->detail) : r;
}

int fixture_remove(struct core_fixture *f, const char *name)
{
    static const struct remove_params p;
    int r = fixture_look(f, name);
    return r == 0 ? core_remove(&f->core, &p, &f->found, &f->detail) : r;
}

int fixture_hold(struct core_fixture *f, struct caller *caller, const char *name)
{
    int r = fixture_look(f, name);
    return r == 0 ? core_hold(&f->core, caller, &f->found, &f->detail) : r;
}

int fixture_release(struct core_fixture *f, struct caller *caller, const char *name)
{
    int r = fixture_look(f, name);
    return r == 0 ? core_release(&f->core, caller, &f->found, &f->detail) : r;
}

int fixture_ready(struct core_fixture *f, const char *name)
{
    const struct caller by_root = {.socket = -1};
    int r = fixture_look(f, name);
    return r == 0 ? core_ready(&f->core, &by_root, &f->found, &f->detail) : r;
}

int fixture_adopt(struct core_fixture *f, struct caller *caller, const struct adopt_params *p)
{
    return core_adopt(&f->core, caller, p, &f->found, &f->detail);
}

struct segment *fixture_made(struct core_fixture *f, struct caller *caller, const char *name,
                             enum lifetime lifetime)
{
    const struct create_params p = {
        .name = name, .size = GIVEN(4096), .lifetime = GIVEN((int64_t)lifetime)};
    assert_int_equal(fixture_create(f, caller, &p), 0);
    assert_true(f->created);
    assert_int_equal(core_fixture_turn(f), 0);
    return f->found.segment;
}

struct segment *fixture_record(const struct core_fixture *f, const char *name)
{
    return registry_by_name(&f->core.registry, name);
}

struct sysv_stat *fixture_kernel(const struct core_fixture *f, const char *name)
{
    const struct segment *s = fixture_record(f, name);
    assert_non_null(s);
    struct sysv_stat *kernel = fake_sysv_segment(f->k, s->shmid);
    assert_non_null(kernel);
    return kernel;
}
