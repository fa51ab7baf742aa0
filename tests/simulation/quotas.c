/* SPDX-License-Identifier: MIT */
/* Quotas and limits: whether a refusal is right, whether it was due, and what is shown as used. */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <string.h>

struct used {
    uint64_t least, most; /* what is sure, and what may be */
};

/* What a fault has kept in the records though it is removed counts until the next sweep. */
static uint64_t lingering(const struct oracle *o, const uint32_t *uid, bool in_bytes)
{
    const struct registry *registry = &o->w->core.registry;
    const struct segment *r;
    uint64_t sum = 0;
    for (uint64_t after = 0; o->last_fault_ms > 0 && (r = registry_next(registry, after));
         after = r->serial)
        if (r->state == STATE_REMOVING && !model_by_serial(&o->m, r->serial) &&
            (!uid || r->creator.uid == *uid))
            sum += in_bytes ? r->size : 1;
    return sum;
}

static struct used segments_of(const struct oracle *o, const uint32_t *uid, bool in_bytes)
{
    struct used used = {.most = lingering(o, uid, in_bytes)};
    for (size_t i = 0; i < o->m.n_live; i++) {
        const struct model_segment *s = o->m.live[i];
        const uint64_t amount = in_bytes ? s->kernel.size : 1;
        if (uid && s->creator_uid != *uid)
            continue;
        used.most += amount;
        used.least += model_may_be_gone(&o->m, s) ? 0 : amount;
    }
    return used;
}

/* Whether the daemon watches P still: it may be about to deal with its end. */
static bool is_watched(const struct world *w, const struct process *p)
{
    for (size_t i = 0; i < FAKE_PIDFDS && w->p.n_watched > 0; i++)
        if (w->p.pidfds[i].party && w->p.pidfds[i].task == &w->p.tasks[p->socket])
            return true;
    return false;
}

static struct used processes_of(const struct oracle *o, uint32_t uid)
{
    struct used used = {0};
    const struct world *w = o->w;
    for (size_t p = 0; p < PROCESSES_MAX; p++) {
        const struct process *process = &w->processes[p];
        if (!process->is_used || process->uid != uid)
            continue;
        bool has_tie = process->is_dead && is_watched(w, process);
        for (size_t i = 0; i < o->m.n_live && !has_tie; i++) {
            const struct model_segment *s = o->m.live[i];
            has_tie |= s->initialiser == process || s->attacher == process;
            for (size_t k = 0; k < s->n_holders; k++)
                has_tie |= s->lifetime == LIFETIME_PROCESS && s->holders[k].process == process;
        }
        /* Each connection of one that cannot be told from others counts. */
        used.most += has_tie && w->p.no_pidfs && process->pid == 0 ? CONNECTIONS_MAX : has_tie;
    }
    return used;
}

/* Those that wait when ASK is executed: of its own connection some may be executed just now. */
static size_t waits_of(const struct oracle *o, uint32_t uid, const struct ask *ask)
{
    const struct talk *own = &o->talks[ask->connection->label];
    size_t n = 0;
    for (int i = 0; i < o->w->n_connections; i++) {
        const struct connection *c = &o->w->connections[i];
        const struct talk *t = &o->talks[i];
        for (size_t k = 0; k < t->n_waits && c->is_open && c->by->uid == uid; k++)
            n += t->waits[k].method == METHOD_WAIT && !t->waits[k].written;
    }
    for (size_t i = own->n_done; i < own->n_asks && &own->asks[i] != ask; i++)
        n += own->asks[i].method == METHOD_WAIT && own->asks[i].message;
    return n;
}

static size_t listeners_of(const struct oracle *o, uint32_t uid)
{
    size_t n = 0;
    for (int i = 0; i < o->w->n_connections; i++) {
        const struct connection *c = &o->w->connections[i];
        n += c->is_open && c->by->uid == uid &&
             (o->talks[i].listener.is_on || o->talks[i].listener.is_unsure);
    }
    return n;
}

static uint64_t cap(uint64_t setting, uint64_t otherwise)
{
    return setting ? setting : otherwise;
}

/* The part of a total that is not kept for admins. */
static uint64_t total_for(const struct oracle *o, const struct process *p, uint64_t total,
                          uint64_t unit)
{
    return model_is_admin(&o->m, p) || total == UINT64_MAX ? total
                                                           : total - total / 16 / unit * unit;
}

/* Whose the new segment is charged to. */
static uint32_t charged_to(const struct ask *ask, const struct answer *a)
{
    const struct sysv_stat *k = a->foreign;
    if (!k)
        return ask->connection->by->uid;
    return k->cuid == DAEMON_UID && k->uid != DAEMON_UID ? k->uid : k->cuid;
}

static uint64_t size_of(const struct ask *ask, const struct answer *a)
{
    return a->foreign ? a->foreign->size : (uint64_t)model_int(ask->params, "size", 0);
}

/* A quota that the new segment needs. */
struct room {
    const char *quota;
    struct used used;
    uint64_t cap, amount;
};

enum { ROOMS = 4 };

static void find_rooms(const struct oracle *o, const struct ask *ask, const struct answer *a,
                       struct room ret[ROOMS])
{
    const struct limits *l = &o->w->settings.limits;
    const struct process *p = ask->connection->by;
    const uint32_t uid = charged_to(ask, a);
    const uint64_t size = size_of(ask, a);
    const uint64_t memory = o->w->machine.memory + o->w->machine.swap;
    const struct room rooms[ROOMS] = {
        {"max_segments_per_uid", segments_of(o, &uid, false),
         cap(l->max_segments_per_uid, UINT64_MAX), 1},
        {"max_bytes_per_uid", segments_of(o, &uid, true), cap(l->max_bytes_per_uid, memory), size},
        {"max_segments", segments_of(o, NULL, false),
         total_for(o, p, cap(l->max_segments, UINT64_MAX), 1), 1},
        {"max_bytes", segments_of(o, NULL, true),
         total_for(o, p, cap(l->max_bytes, UINT64_MAX), 1 << 20), size},
    };
    memcpy(ret, rooms, sizeof(rooms));
}

static bool is_full(const struct room *r, uint64_t used)
{
    return r->amount > r->cap || used > r->cap - r->amount;
}

/* Whether one of the quotas that the new segment needs may refuse it, or must. */
void quotas_judge_room(const struct oracle *o, const struct ask *ask, const struct answer *a,
                       bool *ret_may, bool *ret_must)
{
    struct room rooms[ROOMS];
    find_rooms(o, ask, a, rooms);
    *ret_may = *ret_must = false;
    for (size_t i = 0; i < ROOMS; i++) {
        *ret_may |= is_full(&rooms[i], rooms[i].used.most);
        *ret_must |= is_full(&rooms[i], rooms[i].used.least);
    }
}

/* What DATA tells of a refusal: of at most MOST, so many are USED that the next would be too many.
 */
static bool is_told(const json_t *data, struct used used, uint64_t most)
{
    const long long shown = model_int(data, "used", -1), max = model_int(data, "max", -1);
    return shown >= 0 && (uint64_t)shown >= used.least && (uint64_t)shown <= used.most &&
           max == (most > INT64_MAX ? INT64_MAX : (long long)most);
}

static enum lifetime lifetime_asked(const struct ask *ask)
{
    const char *word = json_string_value(json_object_get(ask->params, "lifetime"));
    return word ? (enum lifetime)term_find(lifetime_words, word) : LIFETIME_PERSISTENT;
}

/* Whether a segment of LIFETIME depends on a process. */
static bool needs_process(enum lifetime lifetime)
{
    return lifetime == LIFETIME_PROCESS || lifetime == LIFETIME_ATTACHED;
}

/* Whether ASK may make something depend on its caller's process. */
static bool may_tie_process(const struct ask *ask, const struct answer *a)
{
    if (a->adds_holder && a->segment->lifetime == LIFETIME_PROCESS)
        return true;
    if (ask->method == METHOD_SET || a->makes)
        return needs_process(lifetime_asked(ask)) ||
               json_is_false(json_object_get(ask->params, "ready"));
    return false;
}

/* Bytes of segments of UID that are locked, or charged as such: huge pages, until a sweep, and what
 * is being removed, until a restart. */
static uint64_t locked_at_most(const struct oracle *o, uint32_t uid)
{
    uint64_t n = lingering(o, &uid, true);
    for (size_t i = 0; i < o->m.n_live; i++) {
        const struct model_segment *s = o->m.live[i];
        const bool may_be = s->kernel.locked || s->huge_page_size != 0 ||
                            s->state == STATE_REMOVING || s->is_unsure || o->had_fault;
        n += s->creator_uid == uid && may_be ? s->kernel.size : 0;
    }
    return n;
}

/* What ASK wants to lock, or to anchor. */
static uint64_t amount_of(const struct ask *ask, const struct answer *a)
{
    return a->segment ? a->segment->kernel.size : size_of(ask, a);
}

static bool may_be_too_much_locked(const struct oracle *o, const struct ask *ask,
                                   const struct answer *a, const char *quota, const json_t *data)
{
    const uint32_t uid = a->segment ? a->segment->creator_uid : charged_to(ask, a);
    const uint64_t own = o->w->settings.limits.max_locked_bytes_per_uid;
    const uint64_t used = (uint64_t)model_int(data, "used", 0);
    const uint64_t max = (uint64_t)model_int(data, "max", 0);
    const bool is_of_uid = strcmp(quota, "max_locked_bytes_per_uid") == 0;
    if (!json_is_true(json_object_get(ask->params, "locked")))
        return false;
    if (is_of_uid && ((own != 0 && max != own) || used > locked_at_most(o, uid)))
        return false;
    return used > max || amount_of(ask, a) > max - used;
}

static bool may_be_too_much_anchored(const struct oracle *o, const struct ask *ask,
                                     const struct answer *a, const json_t *data)
{
    const uint64_t used = (uint64_t)model_int(data, "used", 0);
    const uint64_t max = (uint64_t)model_int(data, "max", 0);
    if (lifetime_asked(ask) != LIFETIME_ATTACHED && !o->w->core.rmid_forced)
        return false;
    return used <= segments_of(o, NULL, true).most &&
           (used > max || amount_of(ask, a) > max - used);
}

/* How many may hold the segment of A until ASK is refused: the last quarter is for those who may
 * change it. */
static uint64_t places_for(const struct oracle *o, const struct ask *ask, const struct answer *a)
{
    const uint64_t most = o->w->settings.limits.max_holders_per_segment;
    return model_may_change(&o->m, ask->connection->by, a->segment) ? most : most - most / 4;
}

static bool is_tied(const struct oracle *o, const struct process *p);

/* Whether ASK, which the model would grant, may be refused for a quota. */
bool quotas_may_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a,
                       const json_t *data)
{
    const struct limits *l = &o->w->settings.limits;
    const struct process *p = ask->connection->by;
    const char *quota = json_string_value(json_object_get(data, "quota"));
    struct room rooms[ROOMS];
    if (!quota)
        return false;
    if (a->makes && !a->segment)
        find_rooms(o, ask, a, rooms);
    for (size_t i = 0; i < ROOMS && a->makes && !a->segment; i++)
        if (strcmp(quota, rooms[i].quota) == 0)
            return is_full(&rooms[i], rooms[i].used.most) &&
                   is_told(data, rooms[i].used, rooms[i].cap);
    if (strcmp(quota, "max_processes_per_uid") == 0) {
        const struct used used = processes_of(o, p->uid);
        return may_tie_process(ask, a) && used.most >= l->max_processes_per_uid &&
               !(p->pid != 0 && !o->had_fault && is_tied(o, p)) &&
               is_told(data, used, l->max_processes_per_uid);
    }
    if (strcmp(quota, "max_waiters_per_uid") == 0) {
        const struct used used = {0, waits_of(o, p->uid, ask)};
        return a->code == CODE_WAITS && used.most >= l->max_waiters_per_uid &&
               is_told(data, used, l->max_waiters_per_uid);
    }
    if (strcmp(quota, "max_subscriptions_per_uid") == 0) {
        const struct used used = {0, listeners_of(o, p->uid)};
        return ask->method == METHOD_SUBSCRIBE && used.most >= l->max_subscriptions_per_uid &&
               is_told(data, used, l->max_subscriptions_per_uid);
    }
    if (strcmp(quota, "max_holders_per_segment") == 0 && a->segment) {
        const uint64_t max = places_for(o, ask, a);
        const struct used used = {0, a->segment->n_holders};
        return a->adds_holder && used.most >= max && is_told(data, used, max);
    }
    if (strncmp(quota, "max_locked_bytes", 16) == 0)
        return may_be_too_much_locked(o, ask, a, quota, data);
    if (strncmp(quota, "max_anchored_bytes", 18) == 0)
        return may_be_too_much_anchored(o, ask, a, data);
    return false;
}

/* What is locked, by whole pages. */
static uint64_t locked_bytes(const struct fake_sysv *k)
{
    uint64_t n = 0;
    for (size_t i = 0; i < k->end; i++) {
        const struct sysv_stat *s = fake_sysv_at(k, i);
        n += s && s->locked ? (s->size + k->page_size - 1) / k->page_size * k->page_size : 0;
    }
    return n;
}

/* The kernel's limits, which are the fake's to keep: whether the one that DATA names is reached. */
bool quotas_kernel_may_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a,
                              const json_t *data)
{
    const struct fake_sysv *k = o->w->k;
    const json_t *p = ask->params;
    const char *named = json_string_value(json_object_get(data, "limit"));
    const uint64_t size = amount_of(ask, a);
    const uint64_t pages = size / k->page_size + (size % k->page_size != 0);
    const bool makes = a->makes && !a->foreign && !a->segment;
    const bool is_huge = model_int(p, "huge_page_size", 0) != 0;
    const bool locks = (a->makes || ask->method == METHOD_SET) &&
                       json_is_true(json_object_get(p, "locked")) && k->memlock_max != UINT64_MAX;
    const struct {
        const char *name;
        bool is_reached;
    } limits[] = {
        {"kernel.shmmni", makes && fake_sysv_count(k) >= k->shmmni},
        {"kernel.shmall", makes && k->pages + pages > k->shmall},
        {"kernel.shmmax", makes && size > k->shmmax},
        {"memory", makes && (size > k->memory_max || k->memory_is_counted)},
        {"hugepages", makes && is_huge},
        {"RLIMIT_MEMLOCK", locks && (size > k->memlock_max ||
                                     locked_bytes(k) + pages * k->page_size > k->memlock_max)},
    };
    for (size_t i = 0; named && i < sizeof(limits) / sizeof(limits[0]); i++)
        if (strcmp(named, limits[i].name) == 0)
            return limits[i].is_reached;
    return false;
}

/* --- what is used for sure: nothing can have ended it that is still to be dealt with */

static bool stays_open(const struct connection *c)
{
    return c->is_open && !c->client_closed && !c->client_ended && !c->by->is_dead &&
           !c->session.outbox.is_closed && !c->session.outbox.is_cut_off;
}

static bool is_timed_out(const struct oracle *o, const struct ask *ask)
{
    const long long timeout = model_int(ask->params, "timeout_ms", -1);
    return timeout >= 0 && o->w->clock.boot_ms >= ask->asked_at_ms + timeout;
}

/* Of other connections than ASK's, which may have one in the place of which another comes. */
static uint64_t sure_listeners_but(const struct oracle *o, const struct ask *ask)
{
    uint64_t n = 0;
    for (int i = 0; i < o->w->n_connections; i++) {
        const struct connection *c = &o->w->connections[i];
        n += c->is_used && c->by->uid == ask->connection->by->uid && c != ask->connection &&
             stays_open(c) && o->talks[i].listener.is_on;
    }
    return n;
}

static uint64_t sure_waits_of(const struct oracle *o, uint32_t uid)
{
    uint64_t n = 0;
    /* The daemon's end is the end of all waits. */
    for (int i = 0; i < o->w->n_connections && !o->w->rpc.is_shutting_down; i++) {
        const struct connection *c = &o->w->connections[i];
        const struct talk *t = &o->talks[i];
        if (!c->is_used || c->by->uid != uid || !stays_open(c))
            continue;
        for (size_t k = 0; k < t->n_waits; k++) {
            const char *name = json_string_value(json_object_get(t->waits[k].params, "name"));
            n += t->waits[k].method == METHOD_WAIT && !t->waits[k].written && name &&
                 !model_by_name(&o->m, name) && !is_timed_out(o, &t->waits[k]);
        }
    }
    return n;
}

static bool is_sure_segment(const struct oracle *o, const struct model_segment *s)
{
    return !s->is_unsure && !s->may_be_recorded && s->outside == OUTSIDE_NOTHING &&
           !model_may_be_gone(&o->m, s);
}

static bool is_sure_holder(const struct model_segment *s, const struct holder *h)
{
    return s->lifetime == LIFETIME_CONNECTION ? h->connection && stays_open(h->connection)
                                              : h->process && !h->process->is_dead;
}

static uint64_t sure_holders_of(const struct oracle *o, const struct model_segment *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_holders && is_sure_segment(o, s); i++)
        n += is_sure_holder(s, &s->holders[i]);
    return n;
}

static bool is_tied(const struct oracle *o, const struct process *p)
{
    for (size_t i = 0; i < o->m.n_live; i++) {
        const struct model_segment *s = o->m.live[i];
        bool is_held = false;
        for (size_t k = 0; k < s->n_holders && s->lifetime == LIFETIME_PROCESS; k++)
            is_held |= s->holders[k].process == p;
        if ((is_held || s->initialiser == p) && is_sure_segment(o, s))
            return true;
    }
    return false;
}

static uint64_t sure_processes_of(const struct oracle *o, uint32_t uid)
{
    uint64_t n = 0;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *p = &o->w->processes[i];
        n += p->is_used && p->uid == uid && p->pid != 0 && !p->is_dead && is_tied(o, p);
    }
    return n;
}

static uint64_t sure_locked_of(const struct oracle *o, uint32_t uid)
{
    uint64_t n = 0;
    for (size_t i = 0; i < o->m.n_live; i++) {
        const struct model_segment *s = o->m.live[i];
        /* One that is being removed is charged until a restart. */
        if (s->creator_uid == uid && s->kernel.locked && !s->adopted &&
            s->state != STATE_REMOVING && is_sure_segment(o, s))
            n += s->kernel.size;
    }
    return n;
}

/* Whether ASK makes something depend on its caller's process. */
static bool ties_process(const struct ask *ask, const struct answer *a)
{
    const char *lifetime = json_string_value(json_object_get(ask->params, "lifetime"));
    if (a->segment)
        return a->adds_holder && a->segment->lifetime == LIFETIME_PROCESS;
    return ask->method == METHOD_CREATE && a->makes &&
           (json_is_false(json_object_get(ask->params, "ready")) ||
            (lifetime && strcmp(lifetime, "process") == 0 &&
             !json_is_false(json_object_get(ask->params, "hold"))));
}

/* Of other connections than ASK's, whose answers may be on their way. */
static uint64_t sure_bytes_of(const struct oracle *o, const struct ask *ask)
{
    uint64_t n = 0;
    for (int i = 0; i < o->w->n_connections; i++) {
        const struct connection *c = &o->w->connections[i];
        if (c != ask->connection && c->is_open && c->by->uid == ask->connection->by->uid)
            n += outbox_unsent(&c->session.outbox);
    }
    return n;
}

/* Whether ASK locks so much that its uid has more than it may. */
static bool locks_too_much(const struct oracle *o, const struct ask *ask, const struct answer *a)
{
    const uint64_t most = o->w->settings.limits.max_locked_bytes_per_uid;
    const struct model_segment *s = a->segment;
    return most > 0 && ask->method == METHOD_SET && s && !s->kernel.locked && !s->adopted &&
           json_is_true(json_object_get(ask->params, "locked")) &&
           sure_locked_of(o, s->creator_uid) + s->kernel.size > most;
}

bool quotas_must_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a)
{
    const struct limits *l = &o->w->settings.limits;
    const struct process *p = ask->connection->by;
    if (o->had_fault || oracle_had_fault(o))
        return false;
    if (ask->method == METHOD_WAIT && a->code == CODE_WAITS)
        return sure_waits_of(o, p->uid) >= l->max_waiters_per_uid;
    if (ask->method == METHOD_SUBSCRIBE)
        return sure_listeners_but(o, ask) >= l->max_subscriptions_per_uid;
    if (a->adds_holder && a->segment && sure_holders_of(o, a->segment) >= places_for(o, ask, a))
        return true;
    if (locks_too_much(o, ask, a))
        return true;
    return ties_process(ask, a) && p->pid != 0 && !is_tied(o, p) &&
           sure_processes_of(o, p->uid) >= l->max_processes_per_uid;
}

/* --- what is counted and shown as used */

static void check_counted(struct oracle *o, uint32_t uid, enum quota_kind kind, const char *what,
                          uint64_t least)
{
    const uint64_t counted = quota_used(&o->w->core.quota, uid, kind);
    if (counted < least)
        world_fail(o->w, "of uid %u %" PRIu64 " %s are counted, and it has %" PRIu64, uid, counted,
                   what, least);
}

void quotas_check_counts(struct oracle *o)
{
    if (o->had_fault || oracle_had_fault(o))
        return;
    for (size_t i = 0; i < PROCESSES_MAX && !o->w->has_failed; i++) {
        const struct process *p = &o->w->processes[i];
        if (!p->is_used || p->is_dead)
            continue;
        check_counted(o, p->uid, QUOTA_WAITERS, "waiters", sure_waits_of(o, p->uid));
        check_counted(o, p->uid, QUOTA_PROCESSES, "processes", sure_processes_of(o, p->uid));
        check_counted(o, p->uid, QUOTA_LOCKED_BYTES, "locked bytes", sure_locked_of(o, p->uid));
    }
}

static void check_used(struct oracle *o, const struct ask *ask, const json_t *result,
                       const char *quota, uint64_t least)
{
    const json_t *limit = json_object_get(json_object_get(result, "limits"), quota);
    const long long shown = model_int(limit, "used", -1);
    if (shown < 0 || (uint64_t)shown < least)
        world_fail(o->w, "request %lld: info shows %lld of %s, of which %" PRIu64 " are used",
                   ask->id, shown, quota, least);
}

void quotas_check_info(struct oracle *o, const struct ask *ask, const json_t *result)
{
    const json_t *usage = json_object_get(result, "usage");
    const uint32_t uid = ask->connection->by->uid;
    const struct used n = segments_of(o, &uid, false), bytes = segments_of(o, &uid, true);
    const long long shown = model_int(usage, "segments", -1), size = model_int(usage, "bytes", -1);
    if (o->had_fault || oracle_had_fault(o))
        return;
    if (shown < (long long)n.least || shown > (long long)n.most)
        world_fail(o->w,
                   "request %lld: info shows %lld segments of uid %u instead of %" PRIu64
                   " to %" PRIu64,
                   ask->id, shown, uid, n.least, n.most);
    if (size < (long long)bytes.least || (bytes.most <= INT64_MAX && size > (long long)bytes.most))
        world_fail(o->w,
                   "request %lld: info shows %lld bytes of uid %u instead of %" PRIu64
                   " to %" PRIu64,
                   ask->id, size, uid, bytes.least, bytes.most);
    check_used(o, ask, result, "max_waiters_per_uid", sure_waits_of(o, uid));
    check_used(o, ask, result, "max_processes_per_uid", sure_processes_of(o, uid));
    check_used(o, ask, result, "max_locked_bytes_per_uid", sure_locked_of(o, uid));
    check_used(o, ask, result, "max_buffer_bytes_per_uid", sure_bytes_of(o, ask));
}
