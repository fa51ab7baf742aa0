/* SPDX-License-Identifier: MIT */
#include "tests/fakes/journal_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct store_ops *const ops = &journal_ops;

static void take_log(void *context, enum log_level level, const char *sentence)
{
    struct world *w = context;
    size_t len = strlen(w->log);
    w->n_errors += level == LOG_LEVEL_ERROR;
    w->n_warnings += level == LOG_LEVEL_WARNING;
    snprintf(w->log + len, sizeof(w->log) - len, "%s\n", sentence);
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    fake_host_init(&w->host);
    w->boot_id = "11111111-2222-3333-4444-555555555555";
    w->ipc_namespace = 4026531839;
}

void world_deinit(struct world *w)
{
    world_close(w);
    fake_host_deinit(&w->host);
}

/* --- examples */

static void add_text(char **at, const char **ret, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add_text(char **at, const char **ret, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *ret = *at;
    *at += vsprintf(*at, format, args) + 1;
    va_end(args);
}

static bool has_idle_ttl(unsigned version)
{
    return version % 4 == 1;
}

static const struct stored_segment *make_example(struct example *e, uint64_t serial,
                                                 unsigned version)
{
    char *at = e->texts;
    struct stored_segment *s = &e->segment;
    *s = (struct stored_segment){.serial = serial,
                                 .key = version % 2 ? (uint32_t)serial + 0xF0000000 : 0,
                                 .shmid = (int32_t)(serial * 32768 % INT32_MAX),
                                 .cpid = 4000,
                                 .cuid = 999,
                                 .size = 4096 * (uint64_t)(version + 1),
                                 .creator = {.uid = 1000 + version, .gid = 5, .pid = 77},
                                 .state = version % 3 ? STATE_READY : STATE_INITIALISING,
                                 .lifetime = (enum lifetime)(version % LIFETIME_COUNT),
                                 .noreserve = version % 2,
                                 .adopted = version % 5 == 1,
                                 .has_unseen = version % 7 == 1,
                                 .huge_page_size = version % 4 ? 0 : 2097152,
                                 .created_at_ms = -5 + (int64_t)serial,
                                 .expires_at_ms = version % 3 ? 0 : INT64_MAX - 7,
                                 .idle_ttl_ms = has_idle_ttl(version) ? 60000 : 0,
                                 .idle = {.since_ms = version % 8 == 1 ? 5 + version : 0},
                                 .replaces = version % 6 == 5 ? serial + 1 : 0};
    s->creator.was_admin = version % 7 == 2;
    s->creator.only_pays = version % 7 == 4;
    snprintf(s->creator.comm, sizeof(s->creator.comm), "comm %u", version);
    if (version != 3)
        add_text(&at, &s->name, "segment-%" PRIu64, serial);
    if (version % 6 == 5)
        add_text(&at, &s->other_name, "other-%" PRIu64, serial);
    for (unsigned i = 0; i < version && i < SEGMENT_LABELS_MAX; i++) {
        add_text(&at, &e->labels[i].key, "label-%u", i);
        /* The last version crosses a page of the file. */
        add_text(&at, &e->labels[i].value, "%0*u", version == EXAMPLE_VERSIONS - 1 ? 250 : 3, i);
        s->n_labels++;
    }
    s->labels = s->n_labels > 0 ? e->labels : NULL;
    return s;
}

const struct stored_segment *example_segment(struct world *w, uint64_t serial, unsigned version)
{
    return make_example(&w->example, serial, version);
}

struct stored_tie example_tie(enum tie_role role, int32_t pid)
{
    struct stored_tie tie = {.role = role,
                             .identity = {pid, UINT64_MAX - (uint64_t)pid, 12345},
                             .uid = 1001,
                             .since_at_ms = 1700000000000 + pid};
    snprintf(tie.comm, sizeof(tie.comm), "peer %d", pid);
    return tie;
}

/* --- the model */

static size_t place_of(const struct model *m, uint64_t serial)
{
    size_t i = 0;
    while (i < m->n && m->segments[i].serial < serial)
        i++;
    return i;
}

static bool is_there(const struct model *m, size_t i, uint64_t serial)
{
    return i < m->n && m->segments[i].serial == serial;
}

static void model_put(struct model *m, const struct stored_segment *s)
{
    size_t i = place_of(m, s->serial);
    if (!is_there(m, i, s->serial)) {
        if (m->n == MODEL_SEGMENTS_MAX)
            abort();
        memmove(&m->segments[i + 1], &m->segments[i], (m->n - i) * sizeof(m->segments[0]));
        memset(&m->segments[i], 0, sizeof(m->segments[0]));
        m->segments[i].serial = s->serial;
        m->n++;
    }
    m->segments[i].version = (unsigned)(s->size / 4096 - 1);
    m->segments[i].idle = (struct stored_idle){0};
}

static void model_idle(struct model *m, uint64_t serial, const struct stored_idle *idle)
{
    size_t i = place_of(m, serial);
    if (is_there(m, i, serial) && has_idle_ttl(m->segments[i].version))
        m->segments[i].idle = *idle;
}

/* The segment number I as it is in M. */
static const struct stored_segment *make_segment(struct example *e, const struct model *m, size_t i)
{
    (void)make_example(e, m->segments[i].serial, m->segments[i].version);
    if (m->segments[i].idle.since_ms != 0)
        e->segment.idle = m->segments[i].idle;
    return &e->segment;
}

static void model_tie(struct model *m, uint64_t serial, const struct stored_tie *tie)
{
    size_t i = place_of(m, serial);
    if (!is_there(m, i, serial) || m->segments[i].n_ties == MODEL_TIES_MAX)
        abort();
    m->segments[i].ties[m->segments[i].n_ties++] = *tie;
}

static void model_untie(struct model *m, uint64_t serial, const struct stored_tie *tie)
{
    size_t i = place_of(m, serial);
    if (!is_there(m, i, serial))
        return;
    struct stored_tie *ties = m->segments[i].ties;
    size_t *n = &m->segments[i].n_ties;
    for (size_t k = 0; k < *n; k++) {
        if (ties[k].role != tie->role || ties[k].identity.pid != tie->identity.pid)
            continue;
        memmove(&ties[k], &ties[k + 1], (*n - k - 1) * sizeof(ties[0]));
        --*n;
        return;
    }
}

static void model_gone(struct model *m, uint64_t serial)
{
    size_t i = place_of(m, serial);
    if (!is_there(m, i, serial))
        return;
    memmove(&m->segments[i], &m->segments[i + 1], (m->n - i - 1) * sizeof(m->segments[0]));
    m->n--;
}

void model_apply(struct model *m, const struct store_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct store_record *r = &records[i];
        uint64_t serial = r->type == STORE_COUNTERS ? r->counters.last_serial : r->serial;
        switch (r->type) {
        case STORE_SEGMENT: model_put(m, r->segment); break;
        case STORE_TIE: model_tie(m, r->serial, &r->tie); break;
        case STORE_UNTIE: model_untie(m, r->serial, &r->tie); break;
        case STORE_GONE: model_gone(m, r->serial); break;
        case STORE_COUNTERS: m->counters.event_serial = r->counters.event_serial; break;
        case STORE_DAEMON: m->n_daemons++; break;
        case STORE_IDLE: model_idle(m, r->serial, &r->idle); break;
        }
        if (m->counters.last_serial < serial)
            m->counters.last_serial = serial;
    }
}

static int next(void *context, uint64_t after, struct stored *ret)
{
    struct world *w = context;
    if (w->fail_next)
        return -w->fail_next;
    size_t i = place_of(&w->model, after + 1);
    if (i == w->model.n)
        return 0;
    *ret = (struct stored){.segment = *make_segment(&w->live, &w->model, i),
                           .ties = w->model.segments[i].ties,
                           .n_ties = w->model.segments[i].n_ties};
    return 1;
}

/* --- comparing */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_segment(const struct stored_segment *a, const struct stored_segment *b)
{
    bool same = a->serial == b->serial && is_same_text(a->name, b->name) &&
                is_same_text(a->other_name, b->other_name) && a->replaces == b->replaces &&
                a->idle_ttl_ms == b->idle_ttl_ms && a->idle.since_ms == b->idle.since_ms &&
                a->idle.attached_at_s == b->idle.attached_at_s &&
                a->idle.detached_at_s == b->idle.detached_at_s &&
                a->idle.last_pid == b->idle.last_pid && a->key == b->key && a->shmid == b->shmid &&
                a->cpid == b->cpid && a->cuid == b->cuid && a->size == b->size &&
                a->creator.uid == b->creator.uid && a->creator.gid == b->creator.gid &&
                a->creator.pid == b->creator.pid && strcmp(a->creator.comm, b->creator.comm) == 0 &&
                a->creator.was_admin == b->creator.was_admin &&
                a->creator.only_pays == b->creator.only_pays && a->state == b->state &&
                a->lifetime == b->lifetime && a->noreserve == b->noreserve &&
                a->adopted == b->adopted && a->has_unseen == b->has_unseen &&
                a->huge_page_size == b->huge_page_size && a->created_at_ms == b->created_at_ms &&
                a->expires_at_ms == b->expires_at_ms && a->n_labels == b->n_labels;
    for (size_t i = 0; same && i < a->n_labels; i++)
        same = strcmp(a->labels[i].key, b->labels[i].key) == 0 &&
               strcmp(a->labels[i].value, b->labels[i].value) == 0;
    return same;
}

static bool is_same_tie(const struct stored_tie *a, const struct stored_tie *b)
{
    return a->role == b->role && a->identity.pid == b->identity.pid &&
           a->identity.inode == b->identity.inode &&
           a->identity.started_at == b->identity.started_at && a->uid == b->uid &&
           strcmp(a->comm, b->comm) == 0 && a->since_at_ms == b->since_at_ms;
}

static bool is_held(struct world *w, const struct stored *stored, const struct model *m, size_t i)
{
    const struct stored_segment *example = make_segment(&w->example, m, i);
    bool same =
        is_same_segment(&stored->segment, example) && stored->n_ties == m->segments[i].n_ties;
    for (size_t k = 0; same && k < stored->n_ties; k++)
        same = is_same_tie(&stored->ties[k], &m->segments[i].ties[k]);
    return same;
}

bool world_holds(struct world *w, const struct store_contents *c, const struct model *m, bool says)
{
    bool same = c->n_segments == m->n && c->counters.last_serial == m->counters.last_serial &&
                c->counters.event_serial == m->counters.event_serial &&
                c->n_daemons == (m->n_daemons < 16 ? m->n_daemons : 16);
    if (!same && says)
        fprintf(stderr,
                "%zu segments, last serial %" PRIu64 ", event serial %" PRIu64
                ", %zu daemons; expected %zu, %" PRIu64 ", %" PRIu64 ", %zu\n",
                c->n_segments, c->counters.last_serial, c->counters.event_serial, c->n_daemons,
                m->n, m->counters.last_serial, m->counters.event_serial, m->n_daemons);
    for (size_t i = 0; same && i < m->n; i++) {
        same = is_held(w, &c->segments[i], m, i);
        if (!same && says)
            fprintf(stderr, "segment %" PRIu64 " differs\n", m->segments[i].serial);
    }
    return same;
}

/* --- the journal */

int world_open(struct world *w, struct store_contents *ret)
{
    const struct journal_options options = {.host = fake_host(&w->host),
                                            .directory = "DIR",
                                            .boot_id = w->boot_id,
                                            .ipc_namespace = w->ipc_namespace,
                                            .own_uid = 0,
                                            .log = take_log,
                                            .log_context = w};
    const struct store_source source = {next, w};
    w->log[0] = '\0';
    w->n_errors = w->n_warnings = 0;
    int r = journal_open(&options, &w->journal);
    if (r < 0)
        return r;
    r = ops->load(w->journal, ret);
    if (r < 0)
        abort();
    ops->follow(w->journal, &source);
    return 0;
}

void world_close(struct world *w)
{
    journal_close(w->journal);
    w->journal = NULL;
}

void world_kill(struct world *w)
{
    struct fake_host left;
    w->host.is_killed = true; /* closing has no effect any more */
    world_close(w);
    fake_host_copy(&w->host, &left);
    fake_host_deinit(&w->host);
    w->host = left;
}

int world_write(struct world *w, const struct store_record *records, size_t n)
{
    int r = ops->write(w->journal, records, n, &w->reason);
    if (r == 0)
        model_apply(&w->model, records, n);
    return r;
}

int world_put(struct world *w, uint64_t serial, unsigned version)
{
    const struct store_record record = {
        .type = STORE_SEGMENT, .serial = serial, .segment = example_segment(w, serial, version)};
    return world_write(w, &record, 1);
}

int world_remove(struct world *w, uint64_t serial)
{
    const struct store_record record = {.type = STORE_GONE, .serial = serial};
    return world_write(w, &record, 1);
}

int world_intend(struct world *w, uint32_t key, uint64_t size)
{
    const struct store_intent intent = {.key = key, .size = size, .pid = 100, .at_s = 1700000001};
    return ops->intend(w->journal, &intent, &w->reason);
}

int world_abandon(struct world *w)
{
    return ops->abandon(w->journal, &w->reason);
}

static int create(struct world *w, uint64_t serial, unsigned version)
{
    int r = world_intend(w, (uint32_t)serial, serial);
    return r < 0 ? r : world_put(w, serial, version);
}

static int create_with_ties(struct world *w, uint64_t serial)
{
    const struct stored_tie holder = example_tie(TIE_HOLDER, 11);
    const struct stored_tie initialiser = example_tie(TIE_INITIALISER, 12);
    int r = world_intend(w, 0, 8192);
    if (r < 0)
        return r;
    const struct store_record records[] = {
        {.type = STORE_SEGMENT, .serial = serial, .segment = example_segment(w, serial, 2)},
        {.type = STORE_TIE, .serial = serial, .tie = holder},
        {.type = STORE_TIE, .serial = serial, .tie = initialiser},
        {.type = STORE_COUNTERS, .counters = {.last_serial = serial, .event_serial = 1024}},
    };
    return world_write(w, records, 4);
}

int world_step(struct world *w, unsigned step)
{
    const struct store_record daemon = {.type = STORE_DAEMON,
                                        .daemon = {100, 4026531836, 1700000000}};
    const struct store_record untie = {
        .type = STORE_UNTIE, .serial = 2, .tie = example_tie(TIE_INITIALISER, 12)};
    const struct store_record tie = {
        .type = STORE_TIE, .serial = 2, .tie = example_tie(TIE_HOLDER, 13)};
    const struct store_record counters = {.type = STORE_COUNTERS,
                                          .counters = {.last_serial = 1, .event_serial = 1000}};
    switch (step) {
    case 0: return world_write(w, &daemon, 1);
    case 1: return create(w, 1, 1);
    case 2: return create_with_ties(w, 2);
    case 3: return world_put(w, 1, 5);
    case 4: return world_write(w, &untie, 1);
    case 5: return world_write(w, &tie, 1);
    case 6: return create(w, 3, EXAMPLE_VERSIONS - 1);
    case 7: {
        int r = world_intend(w, 9, 99);
        return r < 0 ? r : world_abandon(w);
    }
    case 8: return world_remove(w, 2);
    case 9: return create(w, 4, EXAMPLE_VERSIONS - 1);
    case 10: return world_write(w, &counters, 1);
    case 11: {
        const struct store_record mixed[] = {
            {.type = STORE_GONE, .serial = 4},
            {.type = STORE_GONE, .serial = 99},
            {.type = STORE_SEGMENT, .serial = 3, .segment = example_segment(w, 3, 3)},
        };
        return world_write(w, mixed, 3);
    }
    case 12: {
        const struct store_record idle[] = {
            {.type = STORE_IDLE, .serial = 1, .idle = {70, 3, 4, 5}},
            {.type = STORE_IDLE, .serial = 1, .idle = {80, -1, INT64_MAX, INT32_MAX}},
            {.type = STORE_IDLE, .serial = 3, .idle = {90, 0, 0, 0}}, /* it has no idle time */
            {.type = STORE_IDLE, .serial = 99, .idle = {90, 0, 0, 0}},
        };
        return world_write(w, idle, 4);
    }
    default: abort();
    }
}
