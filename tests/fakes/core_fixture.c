#include "tests/fakes/core_fixture.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/core/adopt.h"
#include "daemon/core/create.h"
#include "daemon/core/hold.h"
#include "daemon/core/lookup.h"
#include "daemon/core/removal.h"
#include "daemon/core/set.h"
#include "tests/fakes/fake_memory.h"

/* --- the store's allocations are the test's own */

static int visit_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                         size_t n_ties)
{
    const struct store_visitor *v = context;
    fake_memory_resume();
    int r = v->segment(v->context, segment, ties, n_ties);
    fake_memory_pause();
    return r;
}

static int visit_daemon(void *context, const struct store_daemon *daemon)
{
    const struct store_visitor *v = context;
    fake_memory_resume();
    int r = v->daemon(v->context, daemon);
    fake_memory_pause();
    return r;
}

static int store_load(void *context, const struct store_visitor *visitor, struct store_meta *ret)
{
    const struct store s = fake_store(context);
    struct store_visitor theirs = *visitor;
    const struct store_visitor ours = {visit_segment, visit_daemon, &theirs};
    fake_memory_pause();
    int r = s.ops->load(s.context, &ours, ret);
    fake_memory_resume();
    return r;
}

static int store_enter(void *context, const struct store_daemon *daemon)
{
    const struct store s = fake_store(context);
    fake_memory_pause();
    int r = s.ops->enter(s.context, daemon);
    fake_memory_resume();
    return r;
}

static int store_commit(void *context, const struct store_change *changes, size_t n,
                        const struct store_meta *meta, const char **ret_reason)
{
    const struct store s = fake_store(context);
    fake_memory_pause();
    int r = s.ops->commit(s.context, changes, n, meta, ret_reason);
    fake_memory_resume();
    return r;
}

static const struct store_ops store_ops = {store_load, store_enter, store_commit};

/* --- life */

static int start(struct core_fixture *f)
{
    const struct core_seams on = {
        f->k->sysv, f->clock.clock, f->p.processes, f->p.watcher, {&store_ops, &f->store}};
    core_init(&f->core, &on, &f->settings, &f->machine, f->k->self.pid, f->k->self.gid);
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
                                         .reconcile_ms = 5000};
    (void)fake_processes_start(&f->p, DAEMON_PID, "shmd");
    assert_int_equal(start(f), 0);
    return f;
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
    stop(f);
    return start_again(f);
}

int core_fixture_crash(struct core_fixture *f)
{
    fake_sysv_exit(f->k, f->k->self.pid); /* the anchors go without a word */
    stop(f);
    return start_again(f);
}

/* --- checks */

static uint64_t bytes_of(const struct core_fixture *f, uint32_t uid, uint64_t *ret_segments)
{
    uint64_t bytes = 0, n = 0;
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        if (s->creator.uid != uid)
            continue;
        bytes += s->size;
        n++;
    }
    *ret_segments = n;
    return bytes;
}

static void check_charges(const struct core_fixture *f)
{
    const struct segment *s;
    uint64_t bytes = 0, n = 0;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        uint64_t segments, used = bytes_of(f, s->creator.uid, &segments);
        assert_int_equal(quota_used(&f->core.quota, s->creator.uid, QUOTA_BYTES), used);
        assert_int_equal(quota_used(&f->core.quota, s->creator.uid, QUOTA_SEGMENTS), segments);
        bytes += s->size;
        n++;
    }
    assert_int_equal(f->core.quota.total[QUOTA_BYTES], bytes);
    assert_int_equal(f->core.quota.total[QUOTA_SEGMENTS], n);
    assert_int_equal(f->core.registry.count, n);
}

static void check_ties(const struct core_fixture *f)
{
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        uint32_t holders = 0;
        for (const struct tie *tie = s->ties; tie; tie = tie->next_of_segment) {
            assert_ptr_equal(tie->segment, s);
            holders += tie->role == TIE_HOLDER && tie->state != TIE_CUT;
        }
        assert_int_equal(s->n_holders, holders);
    }
    assert_int_equal(f->p.n_open, f->core.holders.n_processes);
    assert_int_equal(f->p.n_watched, f->core.holders.n_processes);
}

static bool is_stored(const struct fake_record *record, const struct tie *tie)
{
    for (size_t i = 0; i < record->n_ties; i++)
        if (record->ties[i].role == tie->role && record->ties[i].uid == tie->party->uid &&
            process_is_same(&record->ties[i].identity, &tie->party->identity))
            return true;
    return false;
}

static void check_stored(const struct core_fixture *f, const struct segment *s)
{
    const struct fake_record *record = fake_store_find(&f->store, s->serial);
    assert_non_null(record);
    const struct segment *r = record->segment;
    assert_string_equal(r->name ? r->name : "", s->name ? s->name : "");
    assert_int_equal(r->key, s->key);
    assert_int_equal(r->shmid, s->shmid);
    assert_int_equal(r->cpid, s->cpid);
    assert_int_equal(r->cuid, s->cuid);
    assert_int_equal(r->size, s->size);
    assert_int_equal(r->state, s->state);
    assert_int_equal(r->lifetime, s->lifetime);
    /* What could not be removed when its time came is tried again, and not as a change. */
    if (r->expires_at_ms != s->expires_at_ms)
        assert_in_range(r->expires_at_ms, 1, f->clock.boot_ms);
    assert_int_equal(r->n_labels, s->n_labels);
    for (size_t i = 0; i < s->n_labels; i++) {
        assert_string_equal(r->labels[i].key, s->labels[i].key);
        assert_string_equal(r->labels[i].value, s->labels[i].value);
    }
    size_t n = 0;
    for (const struct tie *tie = s->ties; tie; tie = tie->next_of_segment) {
        if (tie->party->is_connection)
            continue;
        assert_true(is_stored(record, tie));
        n++;
    }
    /* Who died while no daemon was there stays in the store until the record is written again. */
    if (!f->has_restarted)
        assert_int_equal(record->n_ties, n);
}

static void check_records(const struct core_fixture *f)
{
    const struct core *core = &f->core;
    const struct segment *s;
    bool all_written = core->turn.n_dirty == 0 && core->turn.n_gone == 0;
    for (uint64_t after = 0; (s = registry_next(&core->registry, after)); after = s->serial) {
        assert_ptr_equal(registry_by_serial(&core->registry, s->serial), s);
        assert_ptr_equal(registry_by_shmid(&core->registry, s->shmid), s);
        if (s->name)
            assert_ptr_equal(registry_by_name(&core->registry, s->name), s);
        if (s->key)
            assert_ptr_equal(registry_by_key(&core->registry, s->key), s);
        assert_int_not_equal(s->state, STATE_REMOVED);
        assert_true((s->expires_at_ms != 0) == (s->expiry.place != 0));
        if (!all_written)
            continue;
        assert_false(s->is_dirty);
        assert_null(s->undo);
        check_stored(f, s);
    }
    if (all_written)
        assert_int_equal(f->store.n_records, core->registry.count);
}

void core_fixture_check_kernel(struct core_fixture *f)
{
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        const struct sysv_stat *kernel = fake_sysv_segment(f->k, s->shmid);
        assert_non_null(kernel);
        assert_int_equal(kernel->cpid, s->cpid);
        assert_int_equal(kernel->cuid, s->cuid);
        assert_int_equal(kernel->size, s->size);
        assert_int_equal(kernel->key, s->key);
    }
    struct sysv_limits limits;
    assert_int_equal(f->k->sysv.ops->limits(f->k->sysv.context, &limits), 0);
    for (int32_t i = 0; i <= limits.max_index; i++) {
        struct sysv_stat kernel;
        if (f->k->sysv.ops->stat_index(f->k->sysv.context, i, &kernel) == 0 &&
            kernel.cuid == DAEMON)
            assert_non_null(registry_by_shmid(&f->core.registry, kernel.shmid));
    }
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
    uint64_t promised = f->store.meta.event_serial;
    int r = turn_commit(&f->core, &f->reason);
    for (struct segment_event *event; (event = turn_next_event(&f->core));) {
        assert_int_equal(event->serial, 0);
        tell(f, event);
        event_log_publish(&f->core.events, event);
        wait_hear(&f->core, event);
    }
    if (r == 0) /* no serial is told that another daemon could tell again */
        assert_true(f->core.events.last <= f->store.meta.event_serial);
    assert_true(f->store.meta.event_serial >= promised);
    turn_bury(&f->core);
    check_charges(f);
    check_ties(f);
    check_records(f);
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

/* --- a snapshot */

static const char *const role_words[TIE_ROLES] = {"holder", "initialiser", "attacher"};

static void write_kernel(FILE *out, struct core_fixture *f)
{
    struct sysv_limits limits;
    assert_int_equal(f->k->sysv.ops->limits(f->k->sysv.context, &limits), 0);
    for (int32_t i = 0; i <= limits.max_index; i++) {
        struct sysv_stat s;
        if (f->k->sysv.ops->stat_index(f->k->sysv.context, i, &s) == 0)
            fprintf(out,
                    "kernel %d key %u size %" PRIu64 " owner %u:%u creator %u:%u mode %o "
                    "nattch %" PRIu64 "%s%s\n",
                    s.shmid, s.key, s.size, s.uid, s.gid, s.cuid, s.cpid, s.mode, s.nattch,
                    s.destroyed ? " destroyed" : "", s.locked ? " locked" : "");
    }
}

/* The tie in ROLE with the next higher pid, for the order in which they were made is of no account.
 */
static const struct tie *next_tie(const struct segment *s, int role, const struct tie *after)
{
    const struct tie *next = NULL;
    for (const struct tie *tie = s->ties; tie; tie = tie->next_of_segment) {
        int32_t pid = tie->party->identity.pid;
        if ((int)tie->role == role && (!after || pid > after->party->identity.pid) &&
            (!next || pid < next->party->identity.pid))
            next = tie;
    }
    return next;
}

static void write_record(FILE *out, const struct segment *s)
{
    fprintf(out, "record %" PRIu64 " %s shmid %d key %u size %" PRIu64 " %s %s expires %" PRId64,
            s->serial, s->name ? s->name : "-", s->shmid, s->key, s->size, state_words[s->state],
            lifetime_words[s->lifetime], s->expires_at_ms);
    fprintf(out, "%s%s%s%s\n", s->anchor ? " anchored" : "",
            s->anchor_check.place ? " watched" : "", s->is_dirty ? " dirty" : "",
            s->undo ? " undo" : "");
    for (size_t i = 0; i < s->n_labels; i++)
        fprintf(out, "  label %s=%s\n", s->labels[i].key, s->labels[i].value);
    for (int role = 0; role < TIE_ROLES; role++)
        for (const struct tie *tie = NULL; (tie = next_tie(s, role, tie));)
            fprintf(out, "  %s %s pid %d state %d\n", role_words[role],
                    tie->party->is_connection ? "connection" : "process", tie->party->identity.pid,
                    (int)tie->state);
}

char *core_fixture_snapshot(struct core_fixture *f)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    const struct core *core = &f->core;
    write_kernel(out, f);
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&core->registry, after)); after = s->serial)
        write_record(out, s);
    fprintf(out,
            "records %zu bytes %" PRIu64 " segments %" PRIu64 " processes %zu pidfds %zu "
            "deadlines %zu waiters %zu dirty %zu news %d\n",
            core->registry.count, core->quota.total[QUOTA_BYTES], core->quota.total[QUOTA_SEGMENTS],
            core->holders.n_processes, f->p.n_open,
            core->deadlines.count - (core->sweep.place != 0), core->waiters.count,
            core->turn.n_dirty, core->turn.has_news);
    for (const struct segment_event *e = core->turn.first_event; e; e = e->next)
        fprintf(out, "event %s\n", event_words[e->kind]);
    fclose(out);
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
    c.since_ticks = f->p.now;
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
    return lookup_target(&f->core, &target, &f->found, &f->detail);
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
    int r = fixture_look(f, name);
    return r == 0 ? core_ready(&f->core, &f->found) : r;
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

/* --- changes that must be whole or nothing */

static char *settled(struct core_fixture *f)
{
    assert_int_equal(core_fixture_turn(f), 0);
    return core_fixture_snapshot(f);
}

/* After a change that ended in R. */
static void check_change(struct core_fixture *f, char *before, int r)
{
    if (r != 0) {
        char *after = core_fixture_snapshot(f);
        assert_string_equal(after, before);
        free(after);
    }
    free(before);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_check_kernel(f);
}

static bool fails_nth(const struct change *change, void (*fault)(unsigned long), unsigned long n)
{
    struct core_fixture *f = core_fixture_new();
    change->prepare(f);
    char *before = settled(f);
    fault(n);
    int r = change->act(f);
    bool failed = fake_memory_restore();
    if (r != 0)
        assert_int_equal(r, -ENOMEM);
    check_change(f, before, r);
    core_fixture_free(f);
    return failed;
}

void change_without_memory(const struct change *change)
{
    unsigned long n = 1;
    while (fails_nth(change, fake_memory_fail, n))
        n++;
    assert_true(n > 1); /* it must have allocated something */
    n = 1;
    while (fails_nth(change, fake_memory_exhaust, n))
        n++;
}

unsigned change_without_kernel(const struct change *change, enum fake_op op, int error)
{
    for (unsigned n = 1;; n++) {
        struct core_fixture *f = core_fixture_new();
        change->prepare(f);
        char *before = settled(f);
        unsigned long calls = f->k->calls[op];
        fake_sysv_fail(f->k, op, n, error);
        int r = change->act(f);
        bool failed = f->k->calls[op] >= calls + n;
        fake_sysv_fail(f->k, op, 0, 0);
        if (!failed)
            assert_int_equal(r, 0);
        check_change(f, before, r);
        core_fixture_free(f);
        if (!failed)
            return n - 1;
    }
}

void change_without_store(const struct change *change)
{
    struct core_fixture *f = core_fixture_new();
    change->prepare(f);
    char *before = settled(f);
    assert_int_equal(change->act(f), 0);
    fake_store_fail_next(&f->store, 1, EIO, "no space");
    assert_int_equal(core_fixture_turn(f), -EIO);
    assert_string_equal(f->reason, "no space");
    assert_null(f->core.turn.first_event);
    core_fixture_check_kernel(f);
    /* With the next commit the store has it as it was, too. */
    f->core.turn.has_news = true;
    char *after = settled(f);
    assert_string_equal(after, before);
    free(before);
    free(after);
    core_fixture_free(f);
}
