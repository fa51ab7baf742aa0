/* SPDX-License-Identifier: MIT */
/* What must hold of a core and its fakes, and all that a change could change as text. */
#include "tests/unit/support.h"

#include <inttypes.h>

#include "tests/fakes/core_fixture.h"

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
    uint64_t bytes = 0, n = 0, anchored = 0, locked = 0;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        uint64_t segments, used = bytes_of(f, s->creator.uid, &segments);
        assert_int_equal(quota_used(&f->core.quota, s->creator.uid, QUOTA_BYTES), used);
        assert_int_equal(quota_used(&f->core.quota, s->creator.uid, QUOTA_SEGMENTS), segments);
        bytes += s->size;
        anchored += s->anchor ? s->size : 0;
        locked += s->is_lock_charged ? s->size : 0;
        n++;
    }
    assert_int_equal(f->core.quota.total[QUOTA_BYTES], bytes);
    assert_int_equal(f->core.quota.total[QUOTA_SEGMENTS], n);
    assert_int_equal(f->core.registry.count, n);
    assert_int_equal(f->core.quota.total[QUOTA_ANCHORED_BYTES], anchored);
    assert_int_equal(f->core.quota.total[QUOTA_LOCKED_BYTES], locked);
    assert_int_equal(f->core.quota.total[QUOTA_PROCESSES], f->core.parties.n_processes);
    assert_int_equal(f->core.quota.total[QUOTA_WAITERS], f->core.waiters.count);
}

static void check_ties(const struct core_fixture *f)
{
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial) {
        uint32_t holders = 0;
        const struct tie *tie;
        LIST_FOREACH (tie, &s->ties, of_segment) {
            assert_ptr_equal(tie->segment, s);
            holders += tie->role == TIE_HOLDER;
        }
        assert_int_equal(s->n_holders, holders);
    }
    assert_int_equal(f->p.n_open, f->core.parties.n_processes);
    assert_int_equal(f->p.n_watched, f->core.parties.n_processes);
}

static bool is_stored(const struct fake_record *record, const struct tie *tie)
{
    for (size_t i = 0; i < record->n_ties; i++)
        if (record->ties[i].role == tie->role && record->ties[i].uid == tie->party->uid &&
            !process_is_other(&record->ties[i].identity, &tie->party->identity))
            return true;
    return false;
}

static void check_stored(const struct core_fixture *f, const struct segment *s)
{
    const struct fake_record *record = fake_store_find(&f->store, s->serial);
    assert_non_null(record);
    const struct stored_segment *r = record->segment;
    assert_string_equal(r->name ? r->name : "", s->name ? s->name : "");
    assert_int_equal(r->key, s->key);
    assert_int_equal(r->shmid, s->shmid);
    assert_int_equal(r->cpid, s->cpid);
    assert_int_equal(r->cuid, s->cuid);
    assert_int_equal(r->size, s->size);
    assert_int_equal(r->state, s->state);
    assert_int_equal(r->lifetime, s->lifetime);
    assert_int_equal(r->expires_at_ms, s->expires_at_ms);
    assert_int_equal(r->n_labels, s->n_labels);
    for (size_t i = 0; i < s->n_labels; i++) {
        assert_string_equal(r->labels[i].key, s->labels[i].key);
        assert_string_equal(r->labels[i].value, s->labels[i].value);
    }
    size_t n = 0;
    const struct tie *tie;
    LIST_FOREACH (tie, &s->ties, of_segment) {
        if (tie->party->is_connection || tie_is_unseen(tie))
            continue;
        assert_true(is_stored(record, tie));
        n++;
    }
    /* A process that died while no daemon ran stays in the store until the record is written again.
     */
    if (!f->has_restarted)
        assert_int_equal(record->n_ties, n);
}

static void check_records(const struct core_fixture *f)
{
    const struct core *core = &f->core;
    const struct segment *s;
    bool all_written = ledger_noted(&core->ledger) == 0 && !core->ledger.is_short;
    for (uint64_t after = 0; (s = registry_next(&core->registry, after)); after = s->serial) {
        assert_ptr_equal(registry_by_serial(&core->registry, s->serial), s);
        assert_ptr_equal(registry_by_shmid(&core->registry, s->shmid), s);
        if (s->name)
            assert_ptr_equal(registry_by_name(&core->registry, s->name), s);
        if (s->key)
            assert_ptr_equal(registry_by_key(&core->registry, s->key), s);
        assert_int_not_equal(s->state, STATE_REMOVED);
        assert_true((s->expires_at_ms != 0 || s->idle_ttl_ms != 0) == (s->expiry.place != 0));
        if (!all_written)
            continue;
        check_stored(f, s);
    }
    if (all_written)
        assert_int_equal(f->store.n_records, core->registry.count);
}

void core_fixture_check(struct core_fixture *f)
{
    check_charges(f);
    check_ties(f);
    check_records(f);
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
    const struct tie *tie;
    LIST_FOREACH (tie, &s->ties, of_segment) {
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
    fprintf(out, "%s%s\n", s->anchor ? " anchored" : "", s->anchor_check.place ? " watched" : "");
    for (size_t i = 0; i < s->n_labels; i++)
        fprintf(out, "  label %s=%s\n", s->labels[i].key, s->labels[i].value);
    for (int role = 0; role < TIE_ROLES; role++)
        for (const struct tie *tie = NULL; (tie = next_tie(s, role, tie));)
            fprintf(out, "  %s %s pid %d\n", role_words[role],
                    tie->party->is_connection ? "connection" : "process", tie->party->identity.pid);
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
            "deadlines %zu waiters %zu noted %zu due %d\n",
            core->registry.count, core->quota.total[QUOTA_BYTES], core->quota.total[QUOTA_SEGMENTS],
            core->parties.n_processes, f->p.n_open,
            core->deadlines.count - (core->sweep.due.place != 0), core->waiters.count,
            ledger_noted(&core->ledger), core->ledger.is_due);
    const struct segment_event *e;
    STAILQ_FOREACH (e, &core->news.waiting, in_news)
        fprintf(out, "event %s\n", event_words[e->kind]);
    fclose(out);
    return text;
}
