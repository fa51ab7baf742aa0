/* SPDX-License-Identifier: MIT */
#include "tests/simulation/model.h"

#include <stdlib.h>
#include <string.h>

#include "tests/simulation/shown.h"

#define SIZE_OF_ADDRESSES (INT64_C(1) << 47)

static const char *text_of(const json_t *params, const char *key)
{
    return json_string_value(json_object_get(params, key));
}

long long model_int(const json_t *params, const char *key, long long otherwise)
{
    const json_t *value = json_object_get(params, key);
    if (json_is_real(value)) /* without a fraction, it is an integer */
        return (long long)json_real_value(value);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static bool has(const json_t *params, const char *key)
{
    return json_object_get(params, key) != NULL;
}

static bool flag(const json_t *params, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(params, key);
    return value ? json_is_true(value) : otherwise;
}

static int64_t now_ms(const struct model *m)
{
    return m->w->clock.boot_ms;
}

/* --- the records */

void model_free(struct model *m)
{
    for (size_t i = 0; i < m->n_all; i++) {
        json_decref(m->all[i]->labels);
        free(m->all[i]);
    }
    free(m->dues);
}

struct model_segment *model_add(struct model *m)
{
    struct model_segment *s = calloc(1, sizeof(*s));
    if (!s || m->n_all == SEGMENTS_MAX || m->n_live == LIVE_MAX)
        abort();
    m->all[m->n_all++] = s;
    m->live[m->n_live++] = s;
    return s;
}

void model_end(struct model *m, struct model_segment *s)
{
    size_t i = 0;
    while (i < m->n_live && m->live[i] != s)
        i++;
    if (i == m->n_live)
        return;
    memmove(&m->live[i], &m->live[i + 1], (m->n_live - i - 1) * sizeof(m->live[0]));
    m->n_live--;
    s->has_ended = true;
    if (s->state != STATE_REMOVING)
        memcpy(s->new_name, s->name, sizeof(s->name));
    s->name[0] = '\0';
}

/* What S is from now on: nobody's, until those who have it attached are gone. */
static void begin_removal(struct model_segment *s)
{
    s->state = STATE_REMOVING;
    s->replaces = 0;
    s->expires_at_ms = s->idle_ttl_ms = 0;
    s->n_holders = 0;
    s->initialiser = s->attacher = NULL;
}

void model_remove(struct model *m, struct model_segment *s)
{
    if (s->state == STATE_REMOVING)
        return;
    s->kernel.destroyed = true;
    s->kernel.key = 0;
    if (model_attachments(m, s) == 0) {
        model_end(m, s);
        return;
    }
    begin_removal(s);
    memcpy(s->new_name, s->name, sizeof(s->name));
    s->name[0] = '\0';
}

void model_keep(struct model *m, struct model_segment *s)
{
    if (m->n_live == LIVE_MAX)
        abort();
    m->live[m->n_live++] = s;
    s->has_ended = false;
    s->outside = OUTSIDE_NOTHING;
    begin_removal(s);
}

void model_remove_by(struct model *m, struct model_segment *s, unsigned reasons)
{
    /* Its initialiser may have left before, and that is what those who wait for it hear. */
    const bool has_left =
        s->state == STATE_INITIALISING && (!s->initialiser || s->initialiser->is_dead);
    if (s->ended_by == 0 && s->state != STATE_REMOVING)
        /* What a request has ended may have ended of itself just before. */
        s->ended_by =
            reasons | model_reasons(m, s) | (has_left ? 1U << REASON_INITIALISER_DIED : 0);
    model_remove(m, s);
}

void model_end_by_itself(struct model *m, struct model_segment *s)
{
    if (s->ended_by == 0 && s->state != STATE_REMOVING)
        s->ended_by = model_reasons(m, s);
    if (model_attachments(m, s) > 0)
        model_remove(m, s);
    else
        model_end(m, s);
}

/* --- what is told */

void model_tell(struct model *m, const struct model_segment *s, enum event_kind kind, bool is_sure)
{
    if (m->n_dues == m->dues_capacity) {
        m->dues_capacity = m->dues_capacity ? m->dues_capacity * 2 : 64;
        m->dues = realloc(m->dues, m->dues_capacity * sizeof(*m->dues));
        if (!m->dues)
            abort();
    }
    struct due *due = &m->dues[m->n_dues++];
    *due = (struct due){.kind = kind, .is_sure = is_sure, .at_ms = m->w->clock.real_ms};
    shown_by_model(m, s, &due->shows);
}

void model_note_times(struct model_segment *s, const struct sysv_stat *k)
{
    if (k && k->atime > s->users.last_came_s)
        s->users.last_came_s = k->atime;
    if (k && k->dtime > s->users.last_went_s)
        s->users.last_went_s = k->dtime;
}

void model_begin_use(struct model *m, struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(m->w->k, s->kernel.shmid);
    memset(&s->users, 0, sizeof(s->users));
    if (!k)
        return;
    s->users.n = s->users.n_told = model_attachments(m, s);
    model_note_times(s, k);
}

struct model_segment *model_by_serial(const struct model *m, uint64_t serial)
{
    for (size_t i = 0; i < m->n_live; i++)
        if (m->live[i]->serial == serial && !m->live[i]->is_hidden)
            return m->live[i];
    return NULL;
}

struct model_segment *model_by_name(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n_live; i++)
        if (!m->live[i]->is_hidden && m->live[i]->name[0] && strcmp(m->live[i]->name, name) == 0)
            return m->live[i];
    return NULL;
}

struct model_segment *model_by_shmid(const struct model *m, int32_t shmid)
{
    for (size_t i = 0; i < m->n_live; i++)
        if (!m->live[i]->is_hidden && m->live[i]->kernel.shmid == shmid)
            return m->live[i];
    return NULL;
}

uint32_t model_key(const struct model *m, const struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(m->w->k, s->kernel.shmid);
    if (s->state != STATE_REMOVING)
        return s->kernel.key;
    return k && s->outside != OUTSIDE_RECYCLED ? k->key : 0;
}

static struct model_segment *by_key_if(const struct model *m, uint32_t key, bool is_removing)
{
    for (size_t i = 0; i < m->n_live && key != 0; i++)
        if (!m->live[i]->is_hidden && (m->live[i]->state == STATE_REMOVING) == is_removing &&
            model_key(m, m->live[i]) == key)
            return m->live[i];
    return NULL;
}

static struct model_segment *by_key(const struct model *m, uint32_t key)
{
    return by_key_if(m, key, false);
}

const struct sysv_stat *model_foreign(const struct model *m, int32_t shmid)
{
    for (size_t i = 0; i < m->n_foreign; i++)
        if (m->foreign[i].shmid == shmid)
            return &m->foreign[i];
    return NULL;
}

static const struct sysv_stat *foreign_by_key(const struct model *m, uint32_t key)
{
    for (size_t i = 0; i < m->n_foreign && key != 0; i++)
        if (m->foreign[i].key == key)
            return &m->foreign[i];
    return NULL;
}

uint64_t model_attachments(const struct model *m, const struct model_segment *s)
{
    if (s->outside == OUTSIDE_GONE || s->outside == OUTSIDE_RECYCLED)
        return 0;
    return fake_sysv_attachments(m->w->k, s->kernel.shmid, m->w->k->self.pid);
}

/* --- what the daemon has seen */

static void add_mode(struct model_segment *s, uint32_t mode)
{
    if (s->n_modes < MODES_MAX)
        s->modes[s->n_modes] = mode & 0777;
    if (s->n_modes <= MODES_MAX)
        s->n_modes++;
}

void model_note_mode(struct model_segment *s)
{
    if (s->n_modes == 0 ||
        (s->n_modes <= MODES_MAX && s->modes[s->n_modes - 1] != (s->kernel.mode & 0777)))
        add_mode(s, s->kernel.mode);
}

void model_note_look(struct model_segment *s)
{
    if (s->n_modes > MODES_MAX)
        return;
    model_note_mode(s);
    s->sure_from = s->n_modes > 0 ? s->n_modes - 1 : 0;
}

void model_begin_modes(struct model_segment *s)
{
    s->n_modes = s->sure_from = 0;
    add_mode(s, 0600);
    model_note_mode(s);
}

void model_forget_modes(struct model_segment *s)
{
    if (s->sure_from == 0 || s->n_modes > MODES_MAX)
        return;
    s->n_modes -= s->sure_from;
    memmove(s->modes, s->modes + s->sure_from, s->n_modes * sizeof(s->modes[0]));
    s->sure_from = 0;
}

bool model_may_have_seen(const struct model_segment *s, uint32_t mode)
{
    for (size_t i = 0; i < s->n_modes && s->n_modes <= MODES_MAX; i++)
        if (s->modes[i] == (mode & 0777))
            return true;
    return s->n_modes == 0 || s->n_modes > MODES_MAX;
}

/* --- what may have ended it */

bool model_is_holder_gone(const struct model *m, const struct holder *h)
{
    (void)m;
    const struct connection *c = h->connection;
    return h->process->is_dead || (c && (c->client_closed || c->client_ended || !c->is_open));
}

static bool is_process_gone(const struct model *m, const struct process *p)
{
    return p && p->is_dead && m;
}

static bool has_holders(enum lifetime lifetime)
{
    return lifetime == LIFETIME_PROCESS || lifetime == LIFETIME_CONNECTION;
}

/* A connection's holder is gone with the connection, a process's with the process. */
static bool is_tie_gone(const struct model_segment *s, const struct holder *h)
{
    if (s->lifetime == LIFETIME_CONNECTION) {
        const struct connection *c = h->connection;
        return c->client_closed || c->client_ended || !c->is_open;
    }
    return h->process->is_dead;
}

unsigned model_reasons(const struct model *m, const struct model_segment *s)
{
    unsigned reasons = 0;
    const uint64_t attached = model_attachments(m, s);
    size_t gone = 0;
    if (s->outside == OUTSIDE_RECYCLED)
        reasons |= 1U << REASON_RECYCLED;
    else if (s->outside != OUTSIDE_NOTHING)
        reasons |= 1U << REASON_OUT_OF_BAND | 1U << REASON_LAST_DETACH;
    if (s->expires_at_ms != 0 && now_ms(m) >= s->expires_at_ms)
        reasons |= 1U << REASON_EXPIRED;
    if (s->idle_ttl_ms != 0 && attached == 0 && now_ms(m) >= s->idle_since_ms + s->idle_ttl_ms)
        reasons |= 1U << REASON_EXPIRED;
    for (size_t i = 0; i < s->n_holders; i++)
        gone += is_tie_gone(s, &s->holders[i]);
    if (has_holders(s->lifetime) && gone == s->n_holders && s->state != STATE_REMOVING &&
        !(s->is_left_behind && attached > 0))
        reasons |= s->lifetime == LIFETIME_PROCESS ? 1U << REASON_LAST_HOLDER_EXITED
                                                   : 1U << REASON_CONNECTION_CLOSED;
    if (s->state == STATE_INITIALISING && (!s->initialiser || is_process_gone(m, s->initialiser)) &&
        !(s->is_left_behind && attached > 0))
        reasons |= 1U << REASON_INITIALISER_DIED;
    if (s->lifetime == LIFETIME_ATTACHED && attached == 0 &&
        (s->was_attached || !s->attacher || is_process_gone(m, s->attacher) ||
         now_ms(m) >= s->anchor_until_ms))
        reasons |= 1U << REASON_LAST_DETACH;
    /* A wait hears of its initialiser's end however that shows. */
    if (s->state == STATE_INITIALISING && reasons != 0)
        reasons |= 1U << REASON_INITIALISER_DIED;
    return reasons;
}

bool model_may_be_gone(const struct model *m, const struct model_segment *s)
{
    return model_reasons(m, s) != 0;
}

/* --- rights: PROTOCOL.md, «Rights» */

static bool in_group(const struct process *p, uint32_t gid)
{
    return p->gid == gid || (p->group != 0 && p->group == gid);
}

bool model_is_admin(const struct model *m, const struct process *p)
{
    const struct access *a = &m->w->settings.access;
    return p->uid == 0 || p->uid == DAEMON_UID ||
           (a->has_admin_group && in_group(p, a->admin_group));
}

bool model_may_read(const struct model *m, const struct process *p, const struct sysv_stat *k)
{
    uint32_t bits = k->mode;
    if (p->uid == k->uid || p->uid == k->cuid)
        bits >>= 6;
    else if (in_group(p, k->gid) || in_group(p, k->cgid))
        bits >>= 3;
    return (bits & 4) || model_is_admin(m, p);
}

bool model_may_change(const struct model *m, const struct process *p, const struct model_segment *s)
{
    return p->uid == s->kernel.uid || p->uid == s->creator_uid || model_is_admin(m, p);
}

bool model_may_see(const struct model *m, const struct process *p, const struct model_segment *s)
{
    return model_may_read(m, p, &s->kernel) || (s->kernel.mode == 0 && model_may_change(m, p, s));
}

/* The longest of the reserved prefixes that fit tells for whom NAME is. */
static bool may_use_name(const struct model *m, const struct process *p, const char *name)
{
    const struct access *a = &m->w->settings.access;
    const struct name_rule *rule = NULL;
    for (size_t i = 0; name && i < a->n_names; i++) {
        const size_t n = strlen(a->names[i].prefix);
        if (strncmp(name, a->names[i].prefix, n) == 0 && (!rule || n > strlen(rule->prefix)))
            rule = &a->names[i];
    }
    if (!rule || model_is_admin(m, p))
        return true;
    return rule->is_group ? in_group(p, rule->id) : p->uid == rule->id;
}

static bool is_trusted(uint32_t uid, uint32_t whose)
{
    return whose == uid || whose == 0 || whose == DAEMON_UID;
}

/* Whether it is UID's own, root's or the daemon's. */
static bool is_of(uint32_t uid, const struct model_segment *s, const struct sysv_stat *k)
{
    const uint32_t creator = s ? s->creator_uid : k->cuid;
    return is_trusted(uid, k->uid) && ((s && s->creator_was_admin) || is_trusted(uid, creator));
}

static bool daemon_controls(const struct sysv_stat *k)
{
    return k->uid == DAEMON_UID || k->cuid == DAEMON_UID;
}

static bool daemon_may_attach(const struct sysv_stat *k)
{
    return daemon_controls(k)                              ? k->mode & 0400
           : k->gid == DAEMON_UID || k->cgid == DAEMON_UID ? k->mode & 040
                                                           : k->mode & 04;
}

static bool daemon_may_remove(const struct model_segment *s)
{
    return s->lifetime == LIFETIME_ATTACHED || daemon_controls(&s->kernel);
}

/* --- processes */

bool model_can_find(const struct model *m, const struct process *p)
{
    return !p->is_dead && !(m->w->p.no_open_peer && p->pid == 0);
}

/* The process, or on kernels that tell no more of it, the connection. */
static bool is_same_party(const struct model *m, const struct model_segment *s,
                          const struct holder *h, const struct connection *c)
{
    if (s->lifetime == LIFETIME_CONNECTION ||
        (m->w->p.no_pidfs && c->by->pid == 0 && h->process->pid == 0))
        return h->connection == c;
    return h->process == c->by;
}

static bool is_holder(const struct model *m, const struct model_segment *s,
                      const struct connection *c)
{
    for (size_t i = 0; i < s->n_holders; i++)
        if (is_same_party(m, s, &s->holders[i], c))
            return true;
    return false;
}

bool model_add_holder(struct model *m, struct model_segment *s, struct connection *c)
{
    if (!has_holders(s->lifetime) || s->state == STATE_REMOVING || is_holder(m, s, c) ||
        s->n_holders == HOLDERS_MAX)
        return false;
    s->holders[s->n_holders++] = (struct holder){c->by, c};
    s->has_unseen |= s->lifetime == LIFETIME_PROCESS && c->by->pid == 0;
    return true;
}

void model_hold(struct model *m, struct model_segment *s, struct connection *c)
{
    if (model_add_holder(m, s, c))
        model_tell(m, s, EVENT_CHANGED, true);
}

static void drop_holder(struct model *m, struct model_segment *s, const struct connection *c)
{
    for (size_t i = 0; i < s->n_holders; i++) {
        if (!is_same_party(m, s, &s->holders[i], c))
            continue;
        s->holders[i] = s->holders[--s->n_holders];
        return;
    }
}

/* --- finding what a request is about */

struct finding {
    int code;
    struct model_segment *segment;
    const struct sysv_stat *foreign;
};

/* What a look at S shows: the code that the answer has, 0: it is there. */
static int look(const struct model *m, const struct model_segment *s, bool by_name)
{
    switch (s->outside) {
    case OUTSIDE_GONE: return CODE_NO_SUCH_SEGMENT;
    case OUTSIDE_RECYCLED: return CODE_STALE_SEGMENT;
    case OUTSIDE_DYING:
        return by_name || model_attachments(m, s) == 0 ? CODE_NO_SUCH_SEGMENT : CODE_OK;
    case OUTSIDE_NOTHING: break;
    }
    /* It lets go of its anchor as it sees that somebody has been there. */
    return s->lifetime == LIFETIME_ATTACHED && s->was_attached && model_attachments(m, s) == 0 &&
                   s->state != STATE_REMOVING
               ? CODE_NO_SUCH_SEGMENT
               : CODE_OK;
}

static struct finding looked_at(const struct model *m, struct model_segment *s, bool by_name)
{
    int code = s ? look(m, s, by_name) : CODE_NO_SUCH_SEGMENT;
    return (struct finding){code, code == CODE_OK ? s : NULL, NULL};
}

static struct finding of_foreign(const struct sysv_stat *k)
{
    return (struct finding){k ? CODE_OK : CODE_NO_SUCH_SEGMENT, NULL, k};
}

static struct finding find(const struct model *m, const json_t *params)
{
    const char *name = text_of(params, "name");
    if (name)
        return looked_at(m, model_by_name(m, name), true);
    if (has(params, "shmid")) {
        int32_t shmid = (int32_t)model_int(params, "shmid", -1);
        struct model_segment *s = model_by_shmid(m, shmid);
        return s ? looked_at(m, s, false) : of_foreign(model_foreign(m, shmid));
    }
    if (has(params, "key")) {
        uint32_t key = (uint32_t)model_int(params, "key", 0);
        struct model_segment *s = by_key(m, key);
        if (s && look(m, s, true) == CODE_OK)
            return (struct finding){CODE_OK, s, NULL};
        /* It is recorded as removed, and the kernel has not taken its key away yet. */
        if ((s = by_key_if(m, key, true)))
            return looked_at(m, s, false);
        return of_foreign(foreign_by_key(m, key));
    }
    return looked_at(m, model_by_serial(m, (uint64_t)model_int(params, "serial", 0)), false);
}

/* The same, with the serial as a guard. */
static struct finding find_target(const struct model *m, const json_t *params)
{
    struct finding t = find(m, params);
    const uint64_t serial = (uint64_t)model_int(params, "serial", 0);
    if (serial == 0 || t.code == CODE_STALE_SEGMENT)
        return t;
    if (t.code == CODE_OK && t.segment && t.segment->serial == serial)
        return t;
    struct model_segment *named = model_by_serial(m, serial);
    bool is_known = named && (t.code == CODE_OK || look(m, named, true) == CODE_OK ||
                              named->kernel.shmid != (int32_t)model_int(params, "shmid", -1));
    if (t.code != CODE_OK && !is_known)
        return t;
    return (struct finding){CODE_STALE_SEGMENT, NULL, NULL};
}

/* --- the methods */

static struct answer refused(int code)
{
    return (struct answer){.code = code};
}

static struct answer about(struct model_segment *s)
{
    return (struct answer){.segment = s};
}

static const struct process *asker(const struct ask *ask)
{
    return ask->connection->by;
}

static uint32_t mode_in(const json_t *params, uint32_t otherwise)
{
    const char *text = text_of(params, "mode");
    return text ? (uint32_t)strtoul(text, NULL, 8) : otherwise;
}

static enum lifetime lifetime_in(const json_t *params, enum lifetime otherwise)
{
    const char *word = text_of(params, "lifetime");
    return word ? (enum lifetime)term_find(lifetime_words, word) : otherwise;
}

static bool may_give(const struct model *m, const struct ask *ask)
{
    const struct process *p = asker(ask);
    const uint32_t uid = (uint32_t)model_int(ask->params, "uid", p->uid);
    const uint32_t gid = (uint32_t)model_int(ask->params, "gid", p->gid);
    return model_is_admin(m, p) || ((uid == p->uid || uid == DAEMON_UID) && in_group(p, gid));
}

/* What the caller depends on for a segment of LIFETIME: a process that can be found. */
static int find_party(const struct model *m, const struct ask *ask, enum lifetime lifetime)
{
    if (lifetime == LIFETIME_PERSISTENT || lifetime == LIFETIME_CONNECTION)
        return CODE_OK;
    return model_can_find(m, asker(ask)) ? CODE_OK : CODE_NOT_SUPPORTED;
}

static struct answer hold(const struct model *m, const struct ask *ask, struct model_segment *s)
{
    struct answer a = about(s);
    if (s->state == STATE_REMOVING || s->outside == OUTSIDE_DYING || !has_holders(s->lifetime))
        return refused(CODE_NOT_HOLDABLE);
    a.code = find_party(m, ask, s->lifetime);
    a.adds_holder = !is_holder(m, s, ask->connection);
    return a;
}

static struct answer use_existing(const struct model *m, const struct ask *ask,
                                  struct model_segment *s)
{
    const json_t *p = ask->params;
    const char *name = text_of(p, "name");
    const uint32_t key = (uint32_t)model_int(p, "key", 0);
    if ((name && strcmp(name, s->name) != 0) || (key != 0 && key != s->kernel.key)) {
        struct model_segment *other = by_key(m, key);
        if (other && look(m, other, true) == CODE_OK)
            return refused(CODE_SEGMENT_EXISTS);
        return refused(foreign_by_key(m, key) ? CODE_KEY_IN_USE : CODE_SEGMENT_EXISTS);
    }
    if (flag(p, "exclusive", false))
        return refused(CODE_SEGMENT_EXISTS);
    if (!model_may_read(m, asker(ask), &s->kernel))
        return refused(CODE_PERMISSION_DENIED);
    if (!flag(p, "any_owner", false) && !is_of(asker(ask)->uid, s, &s->kernel))
        return refused(CODE_PERMISSION_DENIED);
    if ((uint64_t)model_int(p, "size", 0) > s->kernel.size)
        return refused(CODE_SIZE_MISMATCH);
    if (!flag(p, "hold", true) || !has_holders(s->lifetime))
        return about(s);
    return hold(m, ask, s);
}

static int check_sense(const struct model *m, const json_t *p)
{
    const long long huge = model_int(p, "huge_page_size", 0);
    if (model_int(p, "size", 0) > SIZE_OF_ADDRESSES)
        return CODE_LIMIT_REACHED;
    if (lifetime_in(p, LIFETIME_PERSISTENT) == LIFETIME_ATTACHED &&
        ((uint32_t)model_int(p, "key", 0) != 0 || !(mode_in(p, 0600) & 0400)))
        return CODE_INVALID_PARAMETER;
    return huge == 0 || (uint64_t)huge == m->w->machine.huge_page_sizes[0] ? CODE_OK
                                                                           : CODE_INVALID_PARAMETER;
}

static struct answer answer_create(const struct model *m, const struct ask *ask)
{
    const json_t *p = ask->params;
    const char *name = text_of(p, "name");
    const uint32_t key = (uint32_t)model_int(p, "key", 0);
    const enum lifetime lifetime = lifetime_in(p, LIFETIME_PERSISTENT);
    struct answer a = {.makes = true};
    if (!may_give(m, ask))
        return refused(CODE_PERMISSION_DENIED);
    struct model_segment *old = name ? model_by_name(m, name) : NULL;
    if (old && look(m, old, true) != CODE_OK)
        old = NULL;
    if (!old && (old = by_key(m, key)) && look(m, old, true) != CODE_OK)
        old = NULL;
    if (old && !flag(p, "replace", false))
        return use_existing(m, ask, old);
    if (!may_use_name(m, asker(ask), name))
        return refused(CODE_PERMISSION_DENIED);
    if (old && (!model_may_change(m, asker(ask), old) || !daemon_may_remove(old)))
        return refused(CODE_PERMISSION_DENIED);
    a.code = check_sense(m, p);
    if (a.code != CODE_OK)
        return a;
    a.replaced = old;
    if (lifetime != LIFETIME_PERSISTENT)
        a.code = find_party(m, ask, lifetime);
    if (a.code == CODE_OK && !flag(p, "ready", true))
        a.code = find_party(m, ask, LIFETIME_PROCESS);
    a.needs_process = lifetime != LIFETIME_PERSISTENT || !flag(p, "ready", true);
    if (a.code == CODE_OK && foreign_by_key(m, key))
        a.code = CODE_KEY_IN_USE;
    return a;
}

static struct answer answer_stat(const struct model *m, const struct ask *ask,
                                 const struct finding *t)
{
    if (t->segment && !model_may_read(m, asker(ask), &t->segment->kernel))
        return refused(CODE_PERMISSION_DENIED);
    if (has(ask->params, "owner") &&
        !is_of((uint32_t)model_int(ask->params, "owner", 0), t->segment,
               t->segment ? &t->segment->kernel : t->foreign))
        return refused(CODE_PERMISSION_DENIED);
    return (struct answer){.segment = t->segment, .foreign = t->foreign};
}

static bool is_removing(const struct model_segment *s)
{
    return s->state == STATE_REMOVING || s->outside == OUTSIDE_DYING;
}

static int check_lifetime(const struct ask *ask, const struct model_segment *s)
{
    const enum lifetime wanted = lifetime_in(ask->params, s->lifetime);
    if (wanted == s->lifetime)
        return CODE_OK;
    if (s->lifetime == LIFETIME_ATTACHED)
        return CODE_NOT_SUPPORTED;
    if (wanted == LIFETIME_ATTACHED &&
        (s->kernel.key != 0 || !(mode_in(ask->params, s->kernel.mode) & 0400)))
        return CODE_INVALID_PARAMETER;
    return CODE_OK;
}

static struct answer answer_set(const struct model *m, const struct ask *ask,
                                struct model_segment *s)
{
    const json_t *p = ask->params;
    const char *new_name = text_of(p, "new_name");
    struct answer a = about(s);
    if (is_removing(s) &&
        (new_name || has(p, "lifetime") || has(p, "ttl_ms") || has(p, "idle_ttl_ms")))
        return refused(CODE_INVALID_PARAMETER);
    if (!may_give(m, ask))
        return refused(CODE_PERMISSION_DENIED);
    if (has(p, "uid") && s->adopted)
        return refused(CODE_NOT_SUPPORTED);
    a.code = check_lifetime(ask, s);
    if (a.code == CODE_OK && new_name && s->replaces && strcmp(new_name, s->name) != 0)
        a.code = CODE_INVALID_PARAMETER;
    if (a.code == CODE_OK && new_name && strcmp(new_name, s->name) != 0 &&
        !may_use_name(m, asker(ask), new_name))
        a.code = CODE_PERMISSION_DENIED;
    struct model_segment *other = new_name ? model_by_name(m, new_name) : NULL;
    if (a.code == CODE_OK && other && other != s && look(m, other, true) == CODE_OK)
        a.code = CODE_SEGMENT_EXISTS;
    const enum lifetime wanted = lifetime_in(p, s->lifetime);
    if (a.code == CODE_OK && wanted != s->lifetime)
        a.code = find_party(m, ask, wanted);
    const bool changes_lock = flag(p, "locked", s->kernel.locked) != s->kernel.locked;
    const bool changes_kernel = has(p, "mode") || has(p, "uid") || has(p, "gid") ||
                                (changes_lock && !m->w->k->cap_ipc_lock);
    if (a.code == CODE_OK && changes_kernel && !daemon_controls(&s->kernel))
        a.code = CODE_PERMISSION_DENIED;
    if (a.code == CODE_OK && wanted != s->lifetime && wanted == LIFETIME_ATTACHED) {
        struct sysv_stat k = s->kernel;
        k.mode = mode_in(p, k.mode);
        if (!daemon_may_attach(&k))
            a.code = CODE_PERMISSION_DENIED;
    }
    return a;
}

static struct answer answer_remove(const struct model *m, const struct ask *ask,
                                   struct model_segment *s)
{
    const bool only = flag(ask->params, "only_if_unattached", false);
    if (only && model_attachments(m, s) > 0)
        return refused(CODE_SEGMENT_BUSY);
    if (!is_removing(s) && !daemon_may_remove(s))
        return refused(CODE_PERMISSION_DENIED);
    return about(s);
}

static struct answer answer_release(const struct model *m, const struct ask *ask,
                                    struct model_segment *s)
{
    struct answer a = about(s);
    const bool is_found = s->lifetime == LIFETIME_CONNECTION || model_can_find(m, asker(ask));
    if (!model_may_read(m, asker(ask), &s->kernel) &&
        !(has_holders(s->lifetime) && is_found && is_holder(m, s, ask->connection)))
        return refused(CODE_PERMISSION_DENIED);
    if (is_removing(s) || !has_holders(s->lifetime))
        return refused(CODE_NOT_HOLDABLE);
    if (s->lifetime == LIFETIME_PROCESS && !model_can_find(m, asker(ask)))
        return refused(CODE_NOT_SUPPORTED);
    if (is_holder(m, s, ask->connection) && s->n_holders == 1 && !daemon_controls(&s->kernel))
        return refused(CODE_PERMISSION_DENIED);
    return a;
}

static struct answer answer_ready(const struct model *m, const struct process *p,
                                  struct model_segment *s)
{
    struct answer a = about(s);
    if (is_removing(s))
        return refused(CODE_INVALID_PARAMETER);
    if (s->state != STATE_INITIALISING || s->replaces == 0)
        return a;
    /* Who began it may have used the name by a group that P has not. */
    if (!may_use_name(m, p, s->new_name))
        return refused(CODE_PERMISSION_DENIED);
    struct model_segment *old = model_by_name(m, s->new_name);
    if (!old || look(m, old, true) != CODE_OK)
        return a;
    /* Another one as the owner gives nobody that one's rights: the creator must have them, too. */
    const struct process creator = {.uid = s->creator_uid, .gid = s->creator_gid};
    const struct process owner = {.uid = s->kernel.uid, .gid = UINT32_MAX};
    const bool creator_may = s->creator_was_admin || model_may_change(m, &creator, old);
    const bool owner_may =
        owner.uid == creator.uid || owner.uid == DAEMON_UID || model_may_change(m, &owner, old);
    if (!creator_may || !owner_may || !daemon_may_remove(old))
        return refused(CODE_PERMISSION_DENIED);
    a.replaced = old;
    return a;
}

static struct answer answer_disown(const struct model *m, const struct process *p,
                                   struct model_segment *s)
{
    if (is_removing(s))
        return refused(CODE_INVALID_PARAMETER);
    if (s->lifetime == LIFETIME_ATTACHED ||
        (m->w->k->shm_rmid_forced && model_attachments(m, s) == 0))
        return refused(CODE_NOT_SUPPORTED);
    /* What the daemon has made for itself would be nobody's but the daemon's. */
    if (s->creator_uid == DAEMON_UID && !model_is_admin(m, p))
        return refused(CODE_PERMISSION_DENIED);
    return about(s);
}

static struct answer answer_of_target(struct model *m, const struct ask *ask)
{
    const struct process *p = asker(ask);
    const struct finding t = find_target(m, ask->params);
    struct model_segment *s = t.segment;
    if (t.code != CODE_OK)
        return refused(t.code);
    if (ask->method == METHOD_STAT)
        return answer_stat(m, ask, &t);
    if (!s)
        return refused(CODE_NO_SUCH_SEGMENT);
    if (ask->method == METHOD_HOLD) {
        struct answer a = answer_stat(m, ask, &t);
        return a.code == CODE_OK ? hold(m, ask, s) : a;
    }
    if (ask->method == METHOD_RELEASE)
        return answer_release(m, ask, s);
    if (!model_may_change(m, p, s))
        return refused(CODE_PERMISSION_DENIED);
    switch (ask->method) {
    case METHOD_SET: return answer_set(m, ask, s);
    case METHOD_REMOVE: return answer_remove(m, ask, s);
    case METHOD_READY: return answer_ready(m, p, s);
    default: return answer_disown(m, p, s);
    }
}

static int check_adopted(const struct model *m, const struct ask *ask, const struct sysv_stat *k)
{
    const struct process *p = asker(ask);
    const json_t *params = ask->params;
    const char *name = text_of(params, "name");
    if (p->uid != k->uid && p->uid != k->cuid && !model_is_admin(m, p))
        return CODE_PERMISSION_DENIED;
    if (k->destroyed)
        return CODE_INVALID_PARAMETER;
    if (!daemon_controls(k))
        return CODE_PERMISSION_DENIED;
    if (k->size > (uint64_t)SIZE_OF_ADDRESSES)
        return CODE_LIMIT_REACHED;
    if (lifetime_in(params, LIFETIME_PERSISTENT) == LIFETIME_ATTACHED &&
        (k->key != 0 || !(k->mode & 0400)))
        return CODE_INVALID_PARAMETER;
    if (!may_use_name(m, p, name))
        return CODE_PERMISSION_DENIED;
    struct model_segment *other = name ? model_by_name(m, name) : NULL;
    if (other && look(m, other, true) == CODE_OK)
        return CODE_SEGMENT_EXISTS;
    return find_party(m, ask, lifetime_in(params, LIFETIME_PERSISTENT));
}

static struct answer answer_adopt(const struct model *m, const struct ask *ask)
{
    json_t *by_id = json_object();
    const char *const keys[] = {"shmid", "key"};
    for (size_t i = 0; i < 2; i++)
        if (has(ask->params, keys[i]))
            json_object_set(by_id, keys[i], json_object_get(ask->params, keys[i]));
    struct finding t = find(m, by_id);
    if (t.code == CODE_STALE_SEGMENT) /* the old record is gone: now it is a foreign segment */
        t = of_foreign(model_foreign(m, (int32_t)model_int(by_id, "shmid", -1)));
    json_decref(by_id);
    if (t.code != CODE_OK)
        return refused(t.code);
    if (t.segment)
        return refused(model_may_change(m, asker(ask), t.segment) &&
                               model_may_read(m, asker(ask), &t.segment->kernel)
                           ? CODE_SEGMENT_EXISTS
                           : CODE_PERMISSION_DENIED);
    return (struct answer){
        .code = check_adopted(m, ask, t.foreign), .foreign = t.foreign, .makes = true};
}

static struct answer answer_wait(const struct model *m, const struct ask *ask)
{
    const json_t *p = ask->params;
    struct model_segment *s = model_by_name(m, text_of(p, "name"));
    const bool only_looks = has(p, "timeout_ms") && model_int(p, "timeout_ms", 0) == 0;
    const int waits = only_looks ? CODE_TIMED_OUT : CODE_WAITS;
    if (!s || look(m, s, true) != CODE_OK)
        return refused(waits);
    if (!model_may_read(m, asker(ask), &s->kernel) ||
        (has(p, "owner") && !is_of((uint32_t)model_int(p, "owner", 0), s, &s->kernel)))
        return refused(CODE_PERMISSION_DENIED);
    if (s->state == STATE_INITIALISING)
        return refused(waits);
    if (flag(p, "hold", false) && has_holders(s->lifetime))
        return hold(m, ask, s);
    return about(s);
}

struct answer model_answer(struct model *m, const struct ask *ask)
{
    switch (ask->method) {
    case METHOD_CREATE: return answer_create(m, ask);
    case METHOD_ADOPT: return answer_adopt(m, ask);
    case METHOD_WAIT: return answer_wait(m, ask);
    case METHOD_RELOAD:
        return refused(model_is_admin(m, asker(ask)) ? CODE_OK : CODE_PERMISSION_DENIED);
    case METHOD_STAT:
    case METHOD_SET:
    case METHOD_REMOVE:
    case METHOD_READY:
    case METHOD_HOLD:
    case METHOD_RELEASE:
    case METHOD_DISOWN: return answer_of_target(m, ask);
    default: return (struct answer){0};
    }
}

/* --- what may be so or so */

static void add_doubt(const struct model *m, struct model_segment *s, struct model_segment **ret,
                      size_t *n, size_t max)
{
    if (!s || *n == max || !model_may_be_gone(m, s))
        return;
    for (size_t i = 0; i < *n; i++)
        if (ret[i] == s)
            return;
    ret[(*n)++] = s;
}

size_t model_doubtful(const struct model *m, const struct ask *ask, struct model_segment **ret,
                      size_t max)
{
    const json_t *p = ask->params;
    size_t n = 0;
    const char *const names[] = {"name", "new_name"};
    for (size_t i = 0; i < 2; i++) {
        const char *name = text_of(p, names[i]);
        if (name)
            add_doubt(m, model_by_name(m, name), ret, &n, max);
    }
    if (has(p, "shmid"))
        add_doubt(m, model_by_shmid(m, (int32_t)model_int(p, "shmid", -1)), ret, &n, max);
    if (has(p, "key"))
        add_doubt(m, by_key(m, (uint32_t)model_int(p, "key", 0)), ret, &n, max);
    if (has(p, "serial"))
        add_doubt(m, model_by_serial(m, (uint64_t)model_int(p, "serial", 0)), ret, &n, max);
    if (ask->method == METHOD_READY) {
        const struct finding t = find_target(m, p);
        if (t.segment && t.segment->replaces)
            add_doubt(m, model_by_name(m, t.segment->new_name), ret, &n, max);
    }
    return n;
}

/* --- what follows */

void model_heed(struct model *m, struct model_segment *s)
{
    if (s->outside != OUTSIDE_DYING)
        return;
    const unsigned reasons = model_reasons(m, s);
    s->outside = OUTSIDE_NOTHING;
    model_remove_by(m, s, reasons);
}

static void set_labels(struct model_segment *s, const json_t *labels)
{
    json_decref(s->labels);
    s->labels = labels ? json_deep_copy(labels) : json_object();
}

static int64_t later(const struct model *m, long long ms)
{
    return ms > 0 ? now_ms(m) + ms : 0;
}

static void begin_lifetime(struct model *m, struct model_segment *s, struct connection *c)
{
    s->n_holders = 0;
    s->attacher = NULL;
    model_add_holder(m, s, c);
    if (s->lifetime != LIFETIME_ATTACHED)
        return;
    s->attacher = c->by;
    s->has_unseen |= c->by->pid == 0;
    s->was_attached = model_attachments(m, s) > 0;
    s->anchor_until_ms = now_ms(m) + m->w->settings.attach_timeout_ms;
}

void model_copy_name(char to[NAME_BYTES], const char *name)
{
    const size_t n = name ? strnlen(name, NAME_BYTES - 1) : 0;
    char copy[NAME_BYTES] = "";
    if (n > 0)
        memcpy(copy, name, n);
    memcpy(to, copy, NAME_BYTES);
}

/* In the kernel, as its creation and its hand-over leave it. */
static struct sysv_stat made(const struct model *m, const struct ask *ask, int32_t shmid)
{
    const struct process *by = asker(ask);
    const json_t *p = ask->params;
    const bool is_attached = lifetime_in(p, LIFETIME_PERSISTENT) == LIFETIME_ATTACHED;
    return (struct sysv_stat){
        .shmid = shmid,
        .key = (uint32_t)model_int(p, "key", 0),
        .size = (uint64_t)model_int(p, "size", 0),
        .uid = (uint32_t)model_int(p, "uid", by->uid),
        .gid = (uint32_t)model_int(p, "gid", by->gid),
        .cuid = DAEMON_UID,
        .cgid = DAEMON_UID,
        .cpid = m->w->k->self.pid,
        .mode = mode_in(p, 0600),
        .destroyed = is_attached,
        .locked = flag(p, "locked", false) && model_int(p, "huge_page_size", 0) == 0,
    };
}

/* What ASK makes, in place of REPLACED (NULL: nothing). */
static void fill_created(struct model *m, const struct ask *ask,
                         const struct model_segment *replaced, const json_t *shown,
                         struct model_segment *s)
{
    const json_t *p = ask->params;
    const struct process *by = asker(ask);
    const char *name = text_of(p, "name");
    s->serial = (uint64_t)model_int(shown, "serial", 0);
    s->kernel = made(m, ask, (int32_t)model_int(shown, "shmid", -1));
    s->creator_uid = by->uid;
    s->creator_gid = by->gid;
    s->creator_pid = by->pid;
    s->creator_was_admin = model_is_admin(m, by);
    s->state = flag(p, "ready", true) ? STATE_READY : STATE_INITIALISING;
    s->lifetime = lifetime_in(p, LIFETIME_PERSISTENT);
    s->is_kept = m->rmid_is_forced && s->lifetime != LIFETIME_ATTACHED;
    s->noreserve = flag(p, "noreserve", false);
    s->huge_page_size = (uint64_t)model_int(p, "huge_page_size", 0);
    s->expires_at_ms = later(m, model_int(p, "ttl_ms", 0));
    s->idle_ttl_ms = model_int(p, "idle_ttl_ms", 0);
    s->idle_since_ms = s->idle_by_ms = now_ms(m);
    set_labels(s, json_object_get(p, "labels"));
    begin_lifetime(m, s, ask->connection);
    if (s->state == STATE_INITIALISING) {
        s->initialiser = by;
        s->has_unseen |= by->pid == 0;
    }
    const bool replaces_later = replaced && s->state == STATE_INITIALISING;
    if (replaces_later)
        s->replaces = replaced->serial;
    model_copy_name(replaces_later ? s->new_name : s->name, name);
}

static void apply_create(struct model *m, const struct ask *ask, const struct answer *a,
                         const json_t *shown)
{
    if (a->segment) {
        if (a->adds_holder)
            model_hold(m, a->segment, ask->connection);
        return;
    }
    struct model_segment *s = model_add(m);
    fill_created(m, ask, a->replaced, shown, s);
    model_begin_use(m, s);
    if (a->replaced && s->state != STATE_INITIALISING)
        model_remove_by(m, a->replaced, 1U << REASON_REPLACED);
    model_tell(m, s, EVENT_CREATED, true);
}

/* What a `set` may ask for, and whether S has it all. */
static bool names_change(const json_t *p)
{
    static const char *const keys[] = {"mode",     "uid",    "gid",         "new_name", "labels",
                                       "lifetime", "ttl_ms", "idle_ttl_ms", "locked"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (has(p, keys[i]))
            return true;
    return false;
}

static void fill_set(struct model *m, const struct ask *ask, struct model_segment *s)
{
    const json_t *p = ask->params;
    const enum lifetime wanted = lifetime_in(p, s->lifetime);
    s->kernel.mode = mode_in(p, s->kernel.mode);
    s->kernel.uid = (uint32_t)model_int(p, "uid", s->kernel.uid);
    s->kernel.gid = (uint32_t)model_int(p, "gid", s->kernel.gid);
    if (s->huge_page_size == 0)
        s->kernel.locked = flag(p, "locked", s->kernel.locked);
    if (has(p, "labels"))
        set_labels(s, json_object_get(p, "labels"));
    if (has(p, "ttl_ms"))
        s->expires_at_ms = later(m, model_int(p, "ttl_ms", 0));
    if (has(p, "idle_ttl_ms")) {
        const int64_t idle = model_int(p, "idle_ttl_ms", 0);
        if (idle != s->idle_ttl_ms) {
            s->idle_since_ms = now_ms(m);
            if (s->idle_by_ms < now_ms(m)) /* else a use of it may be unseen yet */
                s->idle_by_ms = now_ms(m);
        }
        s->idle_ttl_ms = idle;
    }
    if (text_of(p, "new_name"))
        model_copy_name(s->name, text_of(p, "new_name"));
    if (wanted != s->lifetime) {
        s->lifetime = wanted;
        s->is_kept = false;
        begin_lifetime(m, s, ask->connection);
        s->kernel.destroyed = wanted == LIFETIME_ATTACHED;
    }
}

static void apply_set(struct model *m, const struct ask *ask, struct model_segment *s)
{
    const json_t *p = ask->params;
    const int64_t idle_before = s->idle_ttl_ms;
    struct shown before, now;
    shown_by_model(m, s, &before);
    fill_set(m, ask, s);
    shown_by_model(m, s, &now);
    /* A time that is given begins anew. */
    const bool is_other =
        shown_difference(&before, &now, true) || has(p, "ttl_ms") || idle_before != s->idle_ttl_ms;
    if (names_change(p))
        model_tell(m, s, EVENT_CHANGED, is_other);
}

/* K, as ASK takes it over. */
static void fill_adopted(struct model *m, const struct ask *ask, const struct sysv_stat *k,
                         const json_t *shown, struct model_segment *s)
{
    const json_t *p = ask->params;
    const bool was_ours = k->cuid == DAEMON_UID && k->uid != DAEMON_UID;
    s->serial = (uint64_t)model_int(shown, "serial", 0);
    s->kernel = *k;
    s->adopted = true;
    s->creator_uid = was_ours ? k->uid : k->cuid;
    s->creator_gid = was_ours ? k->gid : k->cgid;
    s->creator_pid = was_ours ? 0 : k->cpid;
    s->creator_was_admin = !was_ours && k->cuid == 0;
    s->state = STATE_READY;
    s->lifetime = lifetime_in(p, LIFETIME_PERSISTENT);
    s->expires_at_ms = later(m, model_int(p, "ttl_ms", 0));
    s->idle_since_ms = s->idle_by_ms = now_ms(m);
    set_labels(s, json_object_get(p, "labels"));
    if (text_of(p, "name"))
        model_copy_name(s->name, text_of(p, "name"));
    begin_lifetime(m, s, ask->connection);
    s->kernel.destroyed = s->lifetime == LIFETIME_ATTACHED;
}

static void take_over(struct model *m, const struct ask *ask, const struct sysv_stat *k,
                      const json_t *shown)
{
    struct model_segment *s = model_add(m);
    fill_adopted(m, ask, k, shown, s);
    model_begin_use(m, s);
    model_tell(m, s, EVENT_ADOPTED, true);
    size_t i = (size_t)(k - m->foreign);
    m->foreign[i] = m->foreign[--m->n_foreign];
}

static void apply_disown(struct model *m, struct model_segment *s)
{
    struct sysv_stat k = s->kernel;
    if (daemon_controls(&k)) {
        k.uid = s->creator_uid;
        k.gid = s->creator_gid;
        k.locked = false;
    }
    s->is_disowned = true;
    model_tell(m, s, EVENT_CHANGED, true);
    shown_as_foreign(&k, &m->dues[m->n_dues - 1].shows);
    model_end(m, s);
    m->foreign[m->n_foreign++] = k;
}

/* Those who are gone may have been noticed, and the caller was the last then. */
static void apply_release(struct model *m, const struct ask *ask, struct model_segment *s,
                          const json_t *shown)
{
    size_t sure = 0;
    const char *state = shown ? text_of(shown, "state") : "";
    if (!is_holder(m, s, ask->connection))
        return;
    drop_holder(m, s, ask->connection);
    for (size_t i = 0; i < s->n_holders; i++)
        sure += !is_tie_gone(s, &s->holders[i]);
    /* The caller may have been no holder any more, too. */
    const bool is_over = strncmp(state, "remov", 5) == 0;
    if (s->n_holders == 0 && !is_over && asker(ask)->is_dead)
        return;
    if (s->n_holders == 0 || (sure == 0 && is_over))
        model_remove_by(m, s,
                        s->lifetime == LIFETIME_PROCESS ? 1U << REASON_LAST_HOLDER_EXITED
                                                        : 1U << REASON_CONNECTION_CLOSED);
    else
        model_tell(m, s, EVENT_CHANGED, !asker(ask)->is_dead && (shown || sure > 0));
}

static void apply_ready(struct model *m, const struct answer *a, struct model_segment *s)
{
    if (s->state != STATE_INITIALISING)
        return;
    if (a->replaced)
        model_remove_by(m, a->replaced, 1U << REASON_REPLACED);
    s->state = STATE_READY;
    s->initialiser = NULL;
    if (s->replaces)
        model_copy_name(s->name, s->new_name);
    if (s->replaces)
        s->new_name[0] = '\0';
    s->replaces = 0;
    model_tell(m, s, EVENT_READY, true);
}

/* S has its name, key and shmid alone: who had them was found to be gone. */
static void end_others(struct model *m, const struct model_segment *s)
{
    for (size_t i = 0; i < m->n_live; i++) {
        struct model_segment *other = m->live[i];
        const bool is_like = (s->name[0] && strcmp(other->name, s->name) == 0) ||
                             (s->kernel.key != 0 && model_key(m, other) == s->kernel.key) ||
                             other->kernel.shmid == s->kernel.shmid;
        if (other == s || !is_like)
            continue;
        other->ended_by = other->ended_by ? other->ended_by : model_reasons(m, other);
        if (model_attachments(m, other) > 0) {
            other->outside = OUTSIDE_NOTHING;
            model_remove(m, other);
            continue;
        }
        model_end(m, other);
        i--;
    }
}

static void apply(struct model *m, const struct ask *ask, const struct answer *a,
                  const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    struct model_segment *s = a->segment;
    switch (ask->method) {
    case METHOD_CREATE: apply_create(m, ask, a, shown); return;
    case METHOD_ADOPT: take_over(m, ask, a->foreign, shown); return;
    case METHOD_SET: apply_set(m, ask, s); return;
    case METHOD_REMOVE: model_remove_by(m, s, 1U << REASON_REQUEST); return;
    case METHOD_READY: apply_ready(m, a, s); return;
    case METHOD_RELEASE: apply_release(m, ask, s, shown); return;
    case METHOD_DISOWN: apply_disown(m, s); return;
    case METHOD_HOLD:
    case METHOD_WAIT:
        if (a->adds_holder)
            model_hold(m, s, ask->connection);
        return;
    default: return;
    }
}

void model_apply(struct model *m, const struct ask *ask, const struct answer *a,
                 const json_t *result)
{
    const size_t before = m->n_all;
    apply(m, ask, a, result);
    if (m->n_all > before)
        model_note_mode(m->all[before]);
    else if (a->segment)
        model_note_mode(a->segment);
    if (m->n_all > before)
        end_others(m, m->all[before]);
    else if (ask->method == METHOD_SET || ask->method == METHOD_READY)
        end_others(m, a->segment);
}

bool model_would_make(struct model *m, const struct ask *ask, const struct answer *a,
                      struct model_segment *ret)
{
    *ret = (struct model_segment){0};
    if (!a->makes || a->segment)
        return false;
    if (a->foreign)
        fill_adopted(m, ask, a->foreign, NULL, ret);
    else if (ask->method == METHOD_CREATE)
        fill_created(m, ask, a->replaced, NULL, ret);
    return ask->method == METHOD_CREATE || a->foreign;
}

void model_would_set(struct model *m, const struct ask *ask, const struct model_segment *s,
                     struct model_segment *ret)
{
    *ret = *s;
    ret->labels = json_incref(s->labels);
    fill_set(m, ask, ret);
}
