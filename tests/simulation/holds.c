/* SPDX-License-Identifier: MIT */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <string.h>

/* --- what happened without the daemon */

static bool is_same_segment(const struct sysv_stat *a, const struct sysv_stat *b)
{
    return a->shmid == b->shmid && a->cuid == b->cuid && a->cpid == b->cpid && a->size == b->size;
}

/* What the owner of a segment, and the kernel, may change. */
static void take_kernel(struct model_segment *s, const struct sysv_stat *k)
{
    s->kernel.uid = k->uid;
    s->kernel.gid = k->gid;
    s->kernel.mode = k->mode;
    s->kernel.locked = k->locked;
    s->kernel.destroyed = k->destroyed;
    s->kernel.key = k->key;
    model_note_mode(s);
}

/* The daemon sees by its next sweep that somebody has come or gone. */
static void note_use(const struct oracle *o, struct model_segment *s, const struct sysv_stat *k)
{
    if (k->nattch == s->use.nattch && k->atime == s->use.atime && k->dtime == s->use.dtime)
        return;
    s->use.nattch = k->nattch;
    s->use.atime = k->atime;
    s->use.dtime = k->dtime;
    s->idle_by_ms = o->w->clock.boot_ms + o->w->settings.reconcile_ms;
}

/* Who has attached and detached it since the last look of the daemon's, as far as the kernel shows
 * that: it keeps whole seconds. */
static void note_users(const struct oracle *o, struct model_segment *s, const struct sysv_stat *k)
{
    const uint64_t n = model_attachments(&o->m, s);
    if (n != s->users.n) {
        s->users.since_ms = o->w->clock.boot_ms;
        s->users.is_in_sweep = o->w->is_running && o->w->core.sweep.is_under_way;
    }
    if (n > s->users.n) {
        s->was_attached = true;
        s->users.may_tell_came = true;
        s->users.must_tell_came |= k->atime > s->users.last_came_s;
    } else if (n < s->users.n) {
        s->users.may_tell_went = true;
        s->idle_since_ms = o->w->clock.boot_ms;
        s->users.must_tell_went |= k->dtime > s->users.last_went_s;
    }
    s->users.n = n;
    model_note_times(s, k);
}

static void look_at(const struct oracle *o, struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    const bool expects_end = s->lifetime == LIFETIME_ATTACHED || s->state == STATE_REMOVING;
    if (!k && s->is_kept && o->m.rmid_is_forced && s->outside == OUTSIDE_NOTHING &&
        s->state != STATE_REMOVING && !s->kernel.destroyed && !s->is_unsure &&
        !model_may_be_gone(&o->m, s))
        world_fail(
            o->w, "segment %" PRIu64 " is gone with its last detach, and the daemon was to keep it",
            s->serial);
    if (!k)
        s->outside = OUTSIDE_GONE;
    else if (!is_same_segment(k, &s->kernel))
        s->outside = OUTSIDE_RECYCLED;
    else {
        if (k->destroyed && !expects_end)
            s->outside = OUTSIDE_DYING;
        const uint32_t key = s->kernel.key;
        take_kernel(s, k);
        note_use(o, s, k);
        note_users(o, s, k);
        /* By its key it is found until the daemon looks at it. */
        if (s->outside == OUTSIDE_DYING)
            s->kernel.key = key;
    }
}

static bool is_unacknowledged(const struct oracle *o, const struct sysv_stat *k)
{
    for (size_t i = 0; i < o->n_unacknowledged; i++)
        if (is_same_segment(&o->unacknowledged[i], k))
            return true;
    return false;
}

/* What the daemon was about to make when it was killed. */
void holds_note_unacknowledged(struct oracle *o)
{
    for (size_t i = 0; i < o->w->k->end && o->is_unsure_of_new; i++) {
        const struct sysv_stat *k = fake_sysv_at(o->w->k, i);
        if (k && k->cuid == DAEMON_UID && !model_by_shmid(&o->m, k->shmid) &&
            !model_foreign(&o->m, k->shmid) && !is_unacknowledged(o, k) &&
            o->n_unacknowledged < CODES_MAX)
            o->unacknowledged[o->n_unacknowledged++] = *k;
    }
}

const struct sysv_stat *holds_as_made(const struct oracle *o, const struct segment *r)
{
    const struct sysv_stat was = {
        .shmid = r->shmid, .cuid = r->cuid, .cpid = r->cpid, .size = r->size};
    for (size_t i = 0; i < o->n_unacknowledged; i++)
        if (is_same_segment(&o->unacknowledged[i], &was))
            return &o->unacknowledged[i];
    return fake_sysv_segment(o->w->k, r->shmid);
}

/* It is recorded as removed, and the kernel refused that: the next sweep does it. */
static bool is_lingering(const struct oracle *o, const struct sysv_stat *k)
{
    const struct segment *r =
        o->w->is_running ? registry_by_shmid(&o->w->core.registry, k->shmid) : NULL;
    /* Another may have the id by now. */
    const bool is_its_own = r && r->cuid == k->cuid && r->cpid == k->cpid && r->size == k->size;
    return is_its_own && r->state == STATE_REMOVING && o->last_fault_ms > 0;
}

static void take_foreign(struct oracle *o)
{
    o->m.n_foreign = 0;
    for (size_t i = 0; i < o->w->k->end; i++) {
        const struct sysv_stat *k = fake_sysv_at(o->w->k, i);
        if (!k)
            continue;
        const struct model_segment *s = model_by_shmid(&o->m, k->shmid);
        if ((!s || s->outside == OUTSIDE_RECYCLED) && !is_unacknowledged(o, k) &&
            !is_lingering(o, k))
            o->m.foreign[o->m.n_foreign++] = *k;
    }
}

bool holds_has_key_still(const struct oracle *o, uint32_t key)
{
    for (size_t i = 0; i < o->w->k->end && key != 0; i++) {
        const struct sysv_stat *k = fake_sysv_at(o->w->k, i);
        if (k && k->key == key && is_lingering(o, k))
            return true;
    }
    return false;
}

/* What the kernel has refused to remove may be attached again. Then it is being removed, as what
 * was attached when it was removed; until they are gone before the kernel has marked it. */
static void look_at_lingering(struct oracle *o, struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    const struct segment *r =
        k && is_lingering(o, k) ? registry_by_shmid(&o->w->core.registry, k->shmid) : NULL;
    if (!r || r->serial != s->serial || k->destroyed)
        return;
    const bool is_used = fake_sysv_attachments(o->w->k, k->shmid, o->w->k->self.pid) > 0;
    if (s->has_ended && is_used)
        model_keep(&o->m, s);
    else if (s->state == STATE_REMOVING && !s->has_ended && !is_used)
        model_end(&o->m, s);
}

bool oracle_has_left(const struct oracle *o, int32_t pid, uint64_t size)
{
    for (size_t i = 0; i < o->n_unacknowledged; i++) {
        const struct sysv_stat *k = fake_sysv_segment(o->w->k, o->unacknowledged[i].shmid);
        if (k && is_same_segment(k, &o->unacknowledged[i]) && k->cpid == pid && k->size == size &&
            k->nattch == 0 && k->lpid == 0)
            return true;
    }
    return false;
}

void holds_look_outside(struct oracle *o)
{
    o->m.rmid_is_forced &= o->w->k->shm_rmid_forced;
    for (size_t i = 0; i < o->m.n_live; i++)
        look_at(o, o->m.live[i]);
    for (size_t i = 0; i < o->m.n_all; i++)
        look_at_lingering(o, o->m.all[i]);
    take_foreign(o);
}

/* How many segments may be the one that K was to become: of more than one, none is removed. */
static unsigned count_alike(const struct oracle *o, const struct sysv_stat *k)
{
    unsigned n = 0;
    for (size_t i = 0; i < o->w->k->end; i++) {
        const struct sysv_stat *other = fake_sysv_at(o->w->k, i);
        n += other && other->cuid == k->cuid && other->cpid == k->cpid && other->size == k->size &&
             other->key == k->key && !registry_by_shmid(&o->w->core.registry, other->shmid);
    }
    return n;
}

static bool is_disowned(const struct oracle *o, const struct sysv_stat *k)
{
    for (size_t i = 0; i < o->m.n_all; i++)
        if (o->m.all[i]->is_disowned && is_same_segment(&o->m.all[i]->kernel, k))
            return true;
    return false;
}

/* Or be what a kill or a fault has left of a creation. What was given up is neither. */
static bool could_be_adopted(const struct oracle *o, const struct sysv_stat *k)
{
    return k->uid == DAEMON_UID ||
           (k->cuid == DAEMON_UID && (o->is_unsure_of_adopted || !is_disowned(o, k)));
}

void holds_forget_adopted(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_foreign; i++) {
        const struct sysv_stat *was = &o->m.foreign[i];
        if (could_be_adopted(o, was) && !fake_sysv_segment(o->w->k, was->shmid))
            o->m.foreign[i--] = o->m.foreign[--o->m.n_foreign];
    }
}

/* Whether the daemon that has made K had given up one of its size: K cannot be told from that. */
static bool looks_disowned(const struct oracle *o, const struct sysv_stat *k)
{
    for (size_t i = 0; i < o->m.n_all; i++) {
        const struct model_segment *s = o->m.all[i];
        if ((s->is_disowned || s->may_be_disowned) && s->kernel.cpid == k->cpid &&
            s->kernel.size == k->size)
            return true;
    }
    return false;
}

void holds_check_unacknowledged(struct oracle *o, bool had_fault)
{
    for (size_t i = 0; i < o->n_unacknowledged; i++) {
        const struct sysv_stat *k = &o->unacknowledged[i];
        const struct sysv_stat *now = fake_sysv_segment(o->w->k, k->shmid);
        if (!now || !is_same_segment(now, k) || registry_by_shmid(&o->w->core.registry, k->shmid))
            continue;
        if (!looks_disowned(o, k) && count_alike(o, k) == 1 && !had_fault &&
            !o->may_have_left_rest && now->nattch == 0 && now->lpid == 0)
            world_fail(o->w,
                       "shmid %d, which no record has and nobody was told of, is left after "
                       "the start",
                       k->shmid);
        o->m.foreign[o->m.n_foreign++] = *now;
    }
    o->n_unacknowledged = 0;
    o->may_have_left_rest = false;
}

/* --- what a kill or a fault has left open */

static const struct segment *record_of(const struct oracle *o, uint64_t serial)
{
    return registry_by_serial(&o->w->core.registry, serial);
}

static const struct process *process_of(const struct oracle *o, const struct party *party)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *p = &o->w->processes[i];
        if (p->is_used && o->w->p.tasks[p->socket].inode == party->identity.inode)
            return p;
        if (p->is_used && party->identity.inode == 0 && party->identity.pid == p->pid &&
            (!p->is_dead || p->is_zombie))
            return p;
    }
    return NULL;
}

static const struct connection *connection_of(const struct oracle *o, const struct party *party)
{
    for (int i = 0; i < o->w->n_connections; i++)
        if (o->w->connections[i].is_open && o->w->connections[i].session.caller.party == party)
            return &o->w->connections[i];
    return NULL;
}

/* The connection of a process that the daemon cannot see, on a kernel that cannot tell it from
 * others: each of its connections is a party of its own. */
static const struct connection *unseen_connection(const struct oracle *o, const struct party *party)
{
    const struct process_identity *id = &party->identity;
    for (int i = 0; i < o->w->n_connections && id->pid == 0 && id->inode == 0; i++)
        if (o->w->connections[i].is_open &&
            o->w->connections[i].session.caller.unseen == id->started_at)
            return &o->w->connections[i];
    return NULL;
}

/* The holder behind PARTY. A connection that is closed has its tie until that is dealt with. */
static struct holder holder_of(const struct oracle *o, const struct party *party)
{
    static const struct process nobody = {.is_dead = true};
    static const struct connection closed = {.client_closed = true};
    const struct connection *c =
        party->is_connection ? connection_of(o, party) : unseen_connection(o, party);
    const struct process *p = c ? c->by : process_of(o, party);
    return (struct holder){p ? p : &nobody, party->is_connection && !c ? &closed : c};
}

static void learn_ties(const struct oracle *o, struct model_segment *s, const struct segment *r)
{
    const struct tie *tie;
    s->n_holders = 0;
    s->initialiser = s->attacher = NULL;
    LIST_FOREACH (tie, &r->ties, of_segment) {
        const struct holder h = holder_of(o, tie->party);
        if (tie->role == TIE_HOLDER && s->n_holders < HOLDERS_MAX)
            s->holders[s->n_holders++] = h;
        else if (tie->role == TIE_INITIALISER)
            s->initialiser = h.process;
        else if (tie->role == TIE_ATTACHER)
            s->attacher = h.process;
    }
}

static void learn_record(const struct oracle *o, struct model_segment *s, const struct segment *r)
{
    model_copy_name(s->name, r->name);
    model_copy_name(s->new_name, r->other_name);
    s->replaces = r->replaces;
    s->state = r->state;
    s->lifetime = r->lifetime;
    s->expires_at_ms = r->expires_at_ms;
    s->idle_ttl_ms = r->idle_ttl_ms;
    s->idle_by_ms = o->w->clock.boot_ms + o->w->settings.reconcile_ms;
    s->has_unseen = r->has_unseen;
    json_decref(s->labels);
    s->labels = json_object();
    for (size_t i = 0; i < r->n_labels; i++)
        json_object_set_new(s->labels, r->labels[i].key, json_string(r->labels[i].value));
    learn_ties(o, s, r);
    /* Whether another has marked it for destruction is told by its lifetime. */
    s->outside = OUTSIDE_NOTHING;
    look_at(o, s);
}

void holds_learn(struct oracle *o, struct model_segment *s)
{
    const struct segment *r = record_of(o, s->serial);
    s->is_unsure = false;
    s->is_news_unsure = o->has_unsure_news = true;
    /* Who would be told was not there, or it was recorded and not told before the kill. */
    s->is_of_the_past = true;
    if (r)
        cut_off_check_change(o, s, r);
    else
        cut_off_check_gone(o, s);
    if (r)
        learn_record(o, s, r);
    else
        model_end(&o->m, s);
    /* The kernel may have refused its removal. */
    look_at_lingering(o, s);
    /* What was disowned is there, and nobody's record. */
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    if (!r && k && is_same_segment(k, &s->kernel) && !model_foreign(&o->m, k->shmid))
        o->m.foreign[o->m.n_foreign++] = *k;
}

/* A record that nobody was told of: what a kill cut off was done. */
static void learn_new(struct oracle *o, const struct segment *r)
{
    cut_off_check_new(o, r);
    struct model_segment *s = model_add(&o->m);
    s->serial = r->serial;
    s->kernel = (struct sysv_stat){.shmid = r->shmid,
                                   .size = r->size,
                                   .cuid = r->cuid,
                                   .cgid = DAEMON_UID,
                                   .cpid = r->cpid,
                                   .key = r->key};
    s->creator_uid = r->creator.uid;
    s->creator_gid = r->creator.gid;
    s->creator_pid = r->creator.pid;
    s->creator_was_admin = r->creator.was_admin;
    s->adopted = r->adopted;
    s->noreserve = r->noreserve;
    s->huge_page_size = r->huge_page_size;
    s->idle_since_ms = r->idle_since_ms;
    s->was_attached = !r->anchor;
    s->anchor_until_ms = r->anchor_until_ms;
    s->is_of_the_past = r->state == STATE_REMOVING;
    s->is_news_unsure = o->has_unsure_news = true;
    learn_record(o, s, r);
    model_begin_use(&o->m, s);
    if (s->serial > o->last_serial)
        o->last_serial = s->serial;
    for (size_t i = 0; i < o->m.n_foreign; i++)
        if (o->m.foreign[i].shmid == r->shmid) {
            o->m.foreign[i] = o->m.foreign[--o->m.n_foreign];
            break;
        }
}

void holds_learn_disowned(struct oracle *o, const struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    for (size_t i = 0; i < o->m.n_foreign && k; i++) {
        struct sysv_stat *now = &o->m.foreign[i];
        if (now->shmid != k->shmid)
            continue;
        now->locked = s->kernel.locked && k->locked;
        if (s->adopted && k->uid == s->kernel.uid && k->gid == s->kernel.gid) {
            now->uid = k->uid;
            now->gid = k->gid;
        }
    }
}

/* --- the kernel is as the model has it */

static void check_segment(struct oracle *o, struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    const bool may_be_gone = model_may_be_gone(&o->m, s);
    if (s->outside != OUTSIDE_NOTHING || s->is_unsure)
        return;
    if (!k || !is_same_segment(k, &s->kernel)) {
        if (!may_be_gone)
            world_fail(o->w, "segment %" PRIu64 " (shmid %d) is gone, and nothing has ended it",
                       s->serial, s->kernel.shmid);
        return;
    }
    if (k->uid != s->kernel.uid || k->gid != s->kernel.gid || k->mode != s->kernel.mode)
        world_fail(o->w, "segment %" PRIu64 " is uid %u, gid %u, mode %o instead of %u, %u, %o",
                   s->serial, k->uid, k->gid, k->mode, s->kernel.uid, s->kernel.gid,
                   s->kernel.mode);
    if (k->locked != s->kernel.locked)
        world_fail(o->w, "segment %" PRIu64 " is %slocked", s->serial, k->locked ? "" : "not ");
    /* What the kernel has refused to mark the next sweep marks. */
    const bool is_to_be_marked = s->lifetime == LIFETIME_ATTACHED || s->state == STATE_REMOVING;
    if (is_to_be_marked && oracle_had_fault(o))
        s->kernel.destroyed = k->destroyed;
    else if (s->state == STATE_REMOVING)
        s->kernel.destroyed = true;
    if (k->destroyed != s->kernel.destroyed && !may_be_gone && !o->had_fault)
        world_fail(o->w, "segment %" PRIu64 " is %smarked for destruction", s->serial,
                   k->destroyed ? "" : "not ");
}

static unsigned long removals_refused(const struct oracle *o)
{
    return o->w->k->op_faults[FAKE_REMOVE] + o->w->k->op_faults[FAKE_STAT];
}

bool holds_could_not_remove(const struct oracle *o)
{
    return removals_refused(o) != o->removals_refused;
}

/* SHMID has no record, and is not foreign. */
static void check_unknown(struct oracle *o, const struct sysv_stat *k)
{
    if (is_lingering(o, k) && oracle_had_fault(o))
        return;
    /* A kill between shmget() and the record; or it came after what is below. */
    if (o->is_killed) {
        o->may_have_left_rest |= holds_could_not_remove(o);
        return;
    }
    /* What was made and could not be recorded is a rest, which is shown as foreign: if the kernel
     * has let the daemon neither look at it nor remove it. */
    if (o->is_unsure_of_new || holds_could_not_remove(o)) {
        o->m.foreign[o->m.n_foreign++] = *k;
        return;
    }
    world_fail(o->w, "shmid %d (uid %u, %" PRIu64 " bytes) is left, and nobody's", k->shmid, k->uid,
               k->size);
}

static void check_foreign(struct oracle *o, const struct sysv_stat *was)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, was->shmid);
    /* An adoption that a kill has just cut off. */
    if (o->is_killed && o->is_unsure_of_new && could_be_adopted(o, was))
        return;
    if (!k)
        world_fail(o->w, "shmid %d, which was not the daemon's, is gone", was->shmid);
    else if (k->uid != was->uid || k->gid != was->gid || k->mode != was->mode ||
             k->destroyed != was->destroyed || k->cuid != was->cuid || k->locked != was->locked)
        world_fail(
            o->w,
            "shmid %d, which is not the daemon's, has been changed from uid %u, gid %u, mode "
            "%o%s%s to %u, %u, %o%s%s",
            was->shmid, was->uid, was->gid, was->mode,
            was->destroyed ? ", marked for destruction" : "", was->locked ? ", locked" : "", k->uid,
            k->gid, k->mode, k->destroyed ? ", marked for destruction" : "",
            k->locked ? ", locked" : "");
}

/* It is gone, and was recorded as removed: the kernel refused that, and then the daemon ended. */
static bool is_late_removal(const struct oracle *o, const struct sysv_stat *was)
{
    if (o->last_fault_ms == 0 || fake_sysv_segment(o->w->k, was->shmid))
        return false;
    for (size_t i = 0; i < o->m.n_all; i++) {
        const struct model_segment *s = o->m.all[i];
        if (s->has_ended && !s->is_disowned && !s->may_be_disowned &&
            is_same_segment(&s->kernel, was))
            return true;
    }
    return false;
}

void oracle_check_kernel(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live && !o->w->has_failed; i++)
        check_segment(o, o->m.live[i]);
    for (size_t i = 0; i < o->m.n_foreign && !o->w->has_failed; i++)
        if (is_late_removal(o, &o->m.foreign[i]))
            o->m.foreign[i--] = o->m.foreign[--o->m.n_foreign];
        else
            check_foreign(o, &o->m.foreign[i]);
    for (size_t i = 0; i < o->w->k->end && !o->w->has_failed; i++) {
        const struct sysv_stat *k = fake_sysv_at(o->w->k, i);
        if (k && !model_by_shmid(&o->m, k->shmid) && !model_foreign(&o->m, k->shmid))
            check_unknown(o, k);
    }
    o->removals_refused = removals_refused(o);
}

/* --- the records are as the model has them */

static void check_record(struct oracle *o, struct model_segment *s, const struct segment *r)
{
    if (s->outside == OUTSIDE_DYING && r->state == STATE_REMOVING) {
        model_heed(&o->m, s);
        if (s->has_ended)
            return;
    }
    /* What was due has been done, and it is kept by those who have it attached. */
    if (r->state == STATE_REMOVING && s->state != STATE_REMOVING && model_may_be_gone(&o->m, s)) {
        s->ended_by = s->ended_by ? s->ended_by : model_reasons(&o->m, s);
        model_remove(&o->m, s);
        if (s->has_ended)
            return;
    }
    size_t sure = 0;
    for (size_t i = 0; i < s->n_holders; i++)
        sure += !model_is_holder_gone(&o->m, &s->holders[i]);
    const char *what = NULL;
    if (strcmp(r->name ? r->name : "", s->name) != 0)
        what = "name";
    else if (r->state != s->state)
        what = "state";
    else if (r->lifetime != s->lifetime)
        what = "lifetime";
    else if (r->shmid != s->kernel.shmid || r->size != s->kernel.size)
        what = "shmid or size";
    else if (r->expires_at_ms != s->expires_at_ms)
        what = "expiry";
    else if (r->idle_ttl_ms != s->idle_ttl_ms)
        what = "idle_ttl_ms";
    else if (r->creator.uid != s->creator_uid || r->creator.pid != s->creator_pid ||
             r->creator.was_admin != s->creator_was_admin)
        what = "creator";
    else if (r->replaces != s->replaces)
        what = "replaces";
    else if (r->n_labels != json_object_size(s->labels))
        what = "labels";
    else if (r->n_holders < sure || r->n_holders > s->n_holders)
        what = "number of holders";
    if (what)
        world_fail(o->w, "the record of segment %" PRIu64 " (%s) has another %s", s->serial,
                   s->name[0] ? s->name : s->new_name, what);
}

/* What is due is done once nothing has work, but for what only a sweep finds. */
static bool is_overdue(const struct oracle *o, const struct model_segment *s)
{
    const unsigned by_itself =
        1U << REASON_EXPIRED | 1U << REASON_LAST_HOLDER_EXITED | 1U << REASON_CONNECTION_CLOSED;
    const struct fake_clock *c = &o->w->clock;
    /* What failed is tried again by the next sweep. */
    if (o->had_fault || oracle_had_fault(o) || s->outside != OUTSIDE_NOTHING || s->is_left_behind)
        return false;
    if (s->kernel.uid != DAEMON_UID && s->kernel.cuid != DAEMON_UID)
        return false;
    if (s->expires_at_ms != 0 && c->boot_ms > s->expires_at_ms + o->w->settings.reconcile_ms + 1)
        return true;
    if (s->idle_ttl_ms != 0)
        return model_attachments(&o->m, s) == 0 &&
               c->boot_ms > s->idle_by_ms + s->idle_ttl_ms + o->w->settings.reconcile_ms + 1;
    for (size_t i = 0; i < s->n_holders; i++) {
        const struct connection *h = s->holders[i].connection;
        if (s->lifetime == LIFETIME_CONNECTION && h->is_open)
            return false;
    }
    return (model_reasons(&o->m, s) & by_itself & ~(1U << REASON_EXPIRED)) != 0;
}

/* That it has ended was not recorded before a kill, and the start could not look at it. */
static bool may_be_unnoticed(const struct oracle *o, const struct segment *r)
{
    return (o->had_fault || oracle_had_fault(o)) && !fake_sysv_segment(o->w->k, r->shmid);
}

void holds_check_records(struct oracle *o, bool is_settled)
{
    const struct registry *registry = &o->w->core.registry;
    const struct segment *r;
    for (uint64_t after = 0; (r = registry_next(registry, after)) && !o->w->has_failed;
         after = r->serial) {
        struct model_segment *s = model_by_serial(&o->m, r->serial);
        /* One that is being removed is no new one, for the kernel has refused its removal; but for
         * one that was adopted, whose lifetime ended with the former daemon. */
        if (!s && o->is_unsure_of_new &&
            (r->state != STATE_REMOVING || model_foreign(&o->m, r->shmid)))
            learn_new(o, r);
        else if (s)
            check_record(o, s, r);
        else if (r->state != STATE_REMOVING && !may_be_unnoticed(o, r))
            world_fail(o->w,
                       "there is a record of segment %" PRIu64 " (%s), which was not made or "
                       "has ended",
                       r->serial, r->name ? r->name : "-");
    }
    for (size_t i = 0; i < o->m.n_live && !o->w->has_failed; i++) {
        struct model_segment *s = o->m.live[i];
        if (record_of(o, s->serial)) {
            if (is_settled && s->state != STATE_REMOVING && is_overdue(o, s))
                world_fail(o->w, "segment %" PRIu64 " (%s) should have ended", s->serial, s->name);
            continue;
        }
        if (!model_may_be_gone(&o->m, s) && !s->is_unsure) {
            world_fail(o->w, "segment %" PRIu64 " (%s) was acknowledged, and has no record",
                       s->serial, s->name[0] ? s->name : "-");
            return;
        }
        s->ended_by = s->ended_by ? s->ended_by : model_reasons(&o->m, s);
        model_end(&o->m, s);
        i--;
    }
}
