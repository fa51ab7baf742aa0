/* SPDX-License-Identifier: MIT */
/*
 * A request that a kill or a fault has cut off was done whole, or not at all, and nobody was told
 * which. The record that is left tells: it must be as it was before or as the request asked, and
 * nothing in between.
 */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <string.h>

static void note(struct oracle *o, const struct ask *ask, struct model_segment *asked,
                 const struct model_segment *replaced)
{
    if (o->n_cut_off >= CUT_OFF_MAX) {
        o->n_cut_off = CUT_OFF_MAX + 1;
        json_decref(asked->labels);
        return;
    }
    o->cut_off[o->n_cut_off++] = (struct cut_off){
        .method = ask->method, .asked = *asked, .replaced = replaced ? replaced->serial : 0};
}

static void note_new(struct oracle *o, const struct ask *ask)
{
    struct model_segment asked;
    struct answer a = model_answer(&o->m, ask);
    if (!model_would_make(&o->m, ask, &a, &asked))
        return;
    note(o, ask, &asked, asked.state == STATE_READY ? a.replaced : NULL);
    if (!a.replaced || !model_may_be_gone(&o->m, a.replaced))
        return;
    a.replaced = NULL; /* it may have been so for the daemon */
    if (model_would_make(&o->m, ask, &a, &asked))
        note(o, ask, &asked, NULL);
}

/* What the daemon has found ended is not known. */
void cut_off_note_new(struct oracle *o, const struct ask *ask)
{
    struct supposition p;
    p.n = model_doubtful(&o->m, ask, p.doubts, DOUBTS_MAX);
    for (unsigned ended = 0; ended < 1U << p.n; ended++) {
        judge_suppose(&o->m, &p, ended);
        note_new(o, ask);
        judge_suppose_no_more(&p);
    }
}

void cut_off_note_change(struct oracle *o, const struct ask *ask, const struct model_segment *s)
{
    struct model_segment asked = *s;
    const struct model_segment *replaced = NULL;
    switch (ask->method) {
    case METHOD_SET: model_would_set(&o->m, ask, s, &asked); break;
    case METHOD_READY: {
        const struct answer a = model_answer(&o->m, ask);
        replaced = a.segment == s ? a.replaced : NULL;
        asked.state = STATE_READY;
        if (s->replaces)
            memcpy(asked.name, s->new_name, sizeof(asked.name));
        asked.replaces = 0;
        json_incref(s->labels);
        break;
    }
    case METHOD_REMOVE:
    case METHOD_RELEASE:
    case METHOD_DISOWN: json_incref(s->labels); break;
    default: return;
    }
    note(o, ask, &asked, replaced);
}

void cut_off_refused(struct oracle *o)
{
    for (size_t i = 0; i < o->n_cut_off && i < CUT_OFF_MAX; i++)
        o->cut_off[i].is_refused = true;
}

void cut_off_forget(struct oracle *o)
{
    for (size_t i = 0; i < o->n_cut_off && i < CUT_OFF_MAX; i++)
        json_decref(o->cut_off[i].asked.labels);
    o->n_cut_off = 0;
}

/* --- the kernel, right after the kill */

static bool has_kernel(const struct sysv_stat *k, const struct sysv_stat *wanted)
{
    return k->uid == wanted->uid && k->gid == wanted->gid && k->mode == wanted->mode;
}

static void check_kernel(struct oracle *o, const struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    bool is_known = has_kernel(k, &s->kernel);
    for (size_t i = 0; i < o->n_cut_off; i++) {
        struct cut_off *c = &o->cut_off[i];
        if (c->asked.serial != s->serial)
            continue;
        c->kernel_is_old = !has_kernel(k, &c->asked.kernel);
        is_known |= c->method == METHOD_DISOWN || !c->kernel_is_old;
    }
    if (!is_known)
        world_fail(o->w,
                   "a kill has left segment %" PRIu64 " with uid %u, gid %u, mode %o, which it "
                   "neither had nor was to have",
                   s->serial, k->uid, k->gid, k->mode);
}

void cut_off_check_kernel(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live && o->n_cut_off <= CUT_OFF_MAX && !o->w->has_failed; i++) {
        const struct model_segment *s = o->m.live[i];
        const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
        if (s->is_unsure && s->outside == OUTSIDE_NOTHING && k && k->cuid == s->kernel.cuid &&
            k->cpid == s->kernel.cpid && k->size == s->kernel.size)
            check_kernel(o, s);
    }
}

/* --- the records */

static bool has_labels(const struct segment *r, const json_t *labels)
{
    if (r->n_labels != json_object_size(labels))
        return false;
    for (size_t i = 0; i < r->n_labels; i++) {
        const char *value = json_string_value(json_object_get(labels, r->labels[i].key));
        if (!value || strcmp(value, r->labels[i].value) != 0)
            return false;
    }
    return true;
}

/* What a request can change of a record. */
static const char *difference(const struct segment *r, const struct model_segment *s)
{
    if (strcmp(r->name ? r->name : "", s->name) != 0)
        return "name";
    if (r->state != s->state)
        return "state";
    if (r->replaces != s->replaces)
        return "replaces";
    if (r->lifetime != s->lifetime)
        return "lifetime";
    if (r->expires_at_ms != s->expires_at_ms)
        return "expiry";
    if (r->idle_ttl_ms != s->idle_ttl_ms)
        return "idle_ttl_ms";
    return has_labels(r, s->labels) ? NULL : "labels";
}

static const char *difference_of_new(const struct oracle *o, const struct segment *r,
                                     const struct model_segment *s)
{
    const struct sysv_stat *k = holds_as_made(o, r);
    if (r->adopted != s->adopted || (s->adopted && r->shmid != s->kernel.shmid))
        return "origin";
    if (r->size != s->kernel.size)
        return "size";
    if (r->key != s->kernel.key)
        return "key";
    if (r->noreserve != s->noreserve || r->huge_page_size != s->huge_page_size)
        return "noreserve or huge_page_size";
    if (r->creator.uid != s->creator_uid || r->creator.gid != s->creator_gid ||
        r->creator.pid != s->creator_pid || r->creator.was_admin != s->creator_was_admin)
        return "creator";
    if (s->replaces && strcmp(r->other_name ? r->other_name : "", s->new_name) != 0)
        return "name to be";
    /* The owner of one that is adopted may have changed it since. */
    if (k && !s->adopted && !has_kernel(k, &s->kernel))
        return "owner or mode";
    if (k && !s->adopted && k->locked != s->kernel.locked)
        return "lock";
    return difference(r, s);
}

/* Its end was told, and a store that takes nothing has its record still. */
static bool was_told_of(const struct oracle *o, uint64_t serial)
{
    for (size_t i = o->m.n_all; i-- > 0;)
        if (o->m.all[i]->serial == serial)
            return true;
    return false;
}

void cut_off_check_new(struct oracle *o, const struct segment *r)
{
    const char *what = NULL;
    if (o->n_cut_off > CUT_OFF_MAX || r->state == STATE_REMOVING || was_told_of(o, r->serial))
        return;
    for (size_t i = 0; i < o->n_cut_off; i++) {
        if (o->cut_off[i].asked.serial != 0)
            continue;
        const char *other = difference_of_new(o, r, &o->cut_off[i].asked);
        if (!other)
            return;
        what = what ? "members" : other;
    }
    world_fail(o->w,
               "the record of segment %" PRIu64 " (%s), which was cut off, has another %s than "
               "was asked for",
               r->serial, r->name ? r->name : "-", what ? what : "reason");
}

void cut_off_check_change(struct oracle *o, const struct model_segment *s, const struct segment *r)
{
    const char *what = difference(r, s);
    bool is_done = false, was_told = false;
    /* That it is being removed is a fact, which the store may not have taken. */
    if (!what || o->n_cut_off > CUT_OFF_MAX || r->state == STATE_REMOVING ||
        s->state == STATE_REMOVING)
        return;
    for (size_t i = 0; i < o->n_cut_off; i++) {
        const struct cut_off *c = &o->cut_off[i];
        if (c->asked.serial != s->serial || difference(r, &c->asked))
            continue;
        is_done = true;
        was_told |= !c->kernel_is_old || c->is_refused;
    }
    if (!is_done)
        world_fail(o->w,
                   "the record of segment %" PRIu64 " has a %s that it neither had nor was to "
                   "have",
                   s->serial, what);
    else if (!was_told)
        world_fail(o->w,
                   "the record of segment %" PRIu64 " was changed by a kill, and the kernel "
                   "was not",
                   s->serial);
}

/* Whether what C has asked for may have ended S, at once or by what S depends on then. */
static bool ends(const struct cut_off *c, const struct model_segment *s)
{
    if (c->asked.serial != s->serial)
        return c->replaced == s->serial;
    switch (c->method) {
    case METHOD_REMOVE:
    case METHOD_RELEASE:
    case METHOD_DISOWN: return true;
    case METHOD_SET:
        return c->asked.lifetime != s->lifetime || c->asked.expires_at_ms != s->expires_at_ms ||
               c->asked.idle_ttl_ms != s->idle_ttl_ms;
    default: return false;
    }
}

void cut_off_check_gone(struct oracle *o, const struct model_segment *s)
{
    bool has_reason = s->state == STATE_REMOVING || model_may_be_gone(&o->m, s);
    for (size_t i = 0; i < o->n_cut_off && i < CUT_OFF_MAX && !has_reason; i++) {
        const struct cut_off *c = &o->cut_off[i];
        has_reason = ends(c, s);
        /* The new one is there, but for what may have ended that. */
        if (has_reason && c->replaced && !c->is_refused &&
            c->asked.lifetime == LIFETIME_PERSISTENT && !c->asked.expires_at_ms &&
            !c->asked.idle_ttl_ms && !registry_by_name(&o->w->core.registry, s->name))
            world_fail(o->w,
                       "segment %" PRIu64 " (%s) was to be replaced, and is gone without the new "
                       "one",
                       s->serial, s->name);
    }
    if (!has_reason && o->n_cut_off <= CUT_OFF_MAX)
        world_fail(
            o->w, "segment %" PRIu64 " (%s) was in doubt, and is gone though nobody asked for that",
            s->serial, s->name);
}
