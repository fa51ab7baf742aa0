/* SPDX-License-Identifier: MIT */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int code_of(const json_t *message)
{
    const json_t *error = json_object_get(message, "error");
    return error ? (int)model_int(error, "code", 0) : CODE_OK;
}

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* --- a segment as it is shown */

#define SHOWN(key, expected)                                                                       \
    if (model_int(shown, key, -1) != (long long)(expected)) {                                      \
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with " key " %lld instead of %lld",     \
                   where, s->serial, model_int(shown, key, -1), (long long)(expected));            \
        return;                                                                                    \
    }
#define SHOWN_WORD(key, expected)                                                                  \
    if (strcmp(text_in(shown, key), (expected)) != 0) {                                            \
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with " key " '%s' instead of '%s'",     \
                   where, s->serial, text_in(shown, key), (expected));                             \
        return;                                                                                    \
    }
#define SHOWN_FLAG(key, expected)                                                                  \
    if (json_is_true(json_object_get(shown, key)) != (expected)) {                                 \
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with a wrong " key, where, s->serial);  \
        return;                                                                                    \
    }

static void judge_holders(struct oracle *o, const struct model_segment *s, const json_t *shown,
                          const char *where)
{
    size_t sure = 0;
    for (size_t i = 0; i < s->n_holders; i++)
        sure += !model_is_holder_gone(&o->m, &s->holders[i]);
    const long long n = model_int(shown, "holders", -1);
    const json_t *list = json_object_get(shown, "holder_list");
    if (n < (long long)sure || n > (long long)s->n_holders)
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with %lld holders instead of %zu to %zu",
                   where, s->serial, n, sure, s->n_holders);
    if (list && json_array_size(list) != (size_t)n)
        world_fail(o->w, "%s: segment %" PRIu64 " has %lld holders and lists %zu", where, s->serial,
                   n, json_array_size(list));
    size_t i;
    json_t *row;
    json_array_foreach (list, i, row) {
        bool is_known = false;
        for (size_t k = 0; k < s->n_holders; k++) /* of one that is not used nothing is known */
            is_known |= !s->holders[k].process->is_used ||
                        (s->holders[k].process->pid == model_int(row, "pid", -1) &&
                         s->holders[k].process->uid == model_int(row, "uid", -1));
        if (!is_known)
            world_fail(o->w, "%s: segment %" PRIu64 " lists a holder that it has not (pid %lld)",
                       where, s->serial, model_int(row, "pid", -1));
    }
}

static void judge_end(struct oracle *o, const struct model_segment *s, const json_t *shown,
                      const char *where)
{
    if (s->idle_ttl_ms != 0)
        return; /* when it was idle last is the daemon's to find out */
    const struct fake_clock *c = &o->w->clock;
    const int64_t at = s->expires_at_ms ? s->expires_at_ms - c->boot_ms + c->real_ms : -1;
    SHOWN("expires_at_ms", at)
}

void judge_segment(struct oracle *o, struct model_segment *s, const json_t *shown,
                   const char *where)
{
    const json_t *creator = json_object_get(shown, "creator");
    const bool is_over = s->has_ended;
    if (o->w->has_failed)
        return;
    SHOWN("serial", s->serial)
    SHOWN("shmid", s->kernel.shmid)
    SHOWN("size", s->kernel.size)
    SHOWN("uid", s->adopted ? s->creator_uid : s->kernel.uid)
    SHOWN("gid", s->kernel.gid)
    SHOWN("huge_page_size", s->huge_page_size)
    SHOWN_WORD("lifetime", lifetime_words[s->lifetime])
    SHOWN_FLAG("noreserve", s->noreserve)
    SHOWN_FLAG("managed", true)
    if (s->created_at_ms == 0)
        s->created_at_ms = model_int(shown, "created_at_ms", -1);
    SHOWN("created_at_ms", s->created_at_ms)
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", s->kernel.mode & 0777);
    SHOWN_WORD("mode", mode)
    model_note_look(s);
    if (model_int(creator, "uid", -1) != s->creator_uid ||
        model_int(creator, "gid", -1) != s->creator_gid ||
        model_int(creator, "pid", -1) != s->creator_pid)
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with another creator", where, s->serial);
    if (is_over)
        return;
    SHOWN_WORD("state", state_words[s->state])
    SHOWN_WORD("name", s->name)
    SHOWN("key", model_key(&o->m, s))
    SHOWN_FLAG("locked", s->kernel.locked)
    SHOWN("nattch", model_attachments(&o->m, s))
    SHOWN("replaces", s->replaces ? (long long)s->replaces : -1)
    SHOWN_WORD("former_name", s->state == STATE_REMOVING ? s->new_name : "")
    if (!json_equal(json_object_get(shown, "labels"), s->labels))
        world_fail(o->w, "%s: segment %" PRIu64 " is shown with other labels", where, s->serial);
    judge_holders(o, s, shown, where);
    judge_end(o, s, shown, where);
}

/* Nothing has happened to one that the daemon has made before there was it; the kernel counts whole
 * seconds. */
static int64_t time_of(const struct model_segment *s, int64_t kernel_s)
{
    const int64_t at = kernel_s * 1000;
    return at == 0 ? -1 : !s->adopted && at < s->created_at_ms ? s->created_at_ms : at;
}

/* Who used it last, and when, as the kernel has it. The daemon's own attachment shows as nobody. */
static void judge_use(struct oracle *o, const struct model_segment *s, const json_t *shown,
                      const char *where)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    if (o->w->has_failed || !k || s->outside != OUTSIDE_NOTHING || s->has_ended ||
        s->state == STATE_REMOVING || s->lifetime == LIFETIME_ATTACHED || o->w->core.rmid_forced ||
        o->w->k->shm_rmid_forced)
        return;
    SHOWN("last_pid", k->lpid == o->w->k->self.pid ? 0 : k->lpid)
    SHOWN("changed_at_ms", time_of(s, k->ctime))
    if (k->lpid == o->w->k->self.pid)
        return;
    SHOWN("attached_at_ms", time_of(s, k->atime))
    SHOWN("detached_at_ms", time_of(s, k->dtime))
}

/* Whether WAIT may be over, and nobody has heard. */
static bool may_be_over(const struct oracle *o, const struct ask *wait)
{
    const struct connection *c = wait->connection;
    const long long timeout = model_int(wait->params, "timeout_ms", -1);
    return !c->is_open || c->client_closed || c->session.outbox.is_closed ||
           c->session.outbox.is_cut_off || o->w->rpc.is_shutting_down ||
           (timeout >= 0 && o->w->clock.boot_ms >= wait->asked_at_ms + timeout);
}

/* Those who wait for S are counted while it is not ready. */
static void judge_waiters(struct oracle *o, const struct ask *ask, const struct model_segment *s,
                          const json_t *shown)
{
    size_t sure = 0, most = 0;
    for (int i = 0; i < o->w->n_connections; i++)
        for (size_t k = 0; k < o->talks[i].n_waits; k++) {
            const struct ask *wait = &o->talks[i].waits[k];
            if (wait->method != METHOD_WAIT || wait->written ||
                strcmp(text_in(wait->params, "name"), s->name) != 0)
                continue;
            sure += !may_be_over(o, wait);
            most++;
        }
    const long long told = model_int(shown, "waiters", 0);
    if (s->state == STATE_INITIALISING && s->name[0] &&
        (told < (long long)sure || told > (long long)most))
        world_fail(o->w, "request %lld: for segment %" PRIu64 " %zu to %zu wait, and %lld are told",
                   ask->id, s->serial, sure, most, told);
}

/* What was due has been done, as SHOWN tells: only those who have it attached keep S. */
static void heed_shown(struct oracle *o, struct model_segment *s, const json_t *shown)
{
    model_heed(&o->m, s);
    if (strcmp(text_in(shown, "state"), "removing") == 0 && s->state != STATE_REMOVING &&
        model_may_be_gone(&o->m, s) && model_attachments(&o->m, s) > 0)
        model_end_by_itself(&o->m, s);
}

/* A segment that is not the daemon's. */
static void judge_foreign(struct oracle *o, const struct sysv_stat *k, const json_t *shown,
                          const char *where)
{
    if (json_is_true(json_object_get(shown, "managed")) ||
        model_int(shown, "shmid", -1) != k->shmid || model_int(shown, "uid", -1) != k->uid ||
        (uint64_t)model_int(shown, "size", -1) != k->size ||
        model_int(shown, "key", -1) != k->key ||
        json_is_true(json_object_get(shown, "locked")) != k->locked)
        world_fail(o->w, "%s: shmid %d, which is not the daemon's, is shown otherwise", where,
                   k->shmid);
}

/* --- answers */

static bool is_of_a_fault(int code)
{
    switch (code) {
    case CODE_INTERNAL:
    case CODE_STORE_FAILURE:
    case CODE_LIMIT_REACHED:
    case CODE_PERMISSION_DENIED:
    case CODE_NOT_SUPPORTED:
    case CODE_INVALID_PARAMETER:
    case CODE_SEGMENT_EXISTS:
    case CODE_KEY_IN_USE: return true;
    default: return false;
    }
}

/* A removal that the kernel refused, or that could not be looked at, has a record until the next
 * sweep. */
static bool may_be_kept(int code)
{
    return code == CODE_STALE_SEGMENT || code == CODE_NOT_HOLDABLE ||
           code == CODE_PERMISSION_DENIED || code == CODE_INVALID_PARAMETER ||
           code == CODE_SEGMENT_EXISTS;
}

/* Whether SHMID, which is foreign, may have the record of a former segment still, which is removed
 * and whose removal the kernel refused. A look of the daemon's ends that. */
static bool may_have_former(const struct oracle *o, long long shmid)
{
    for (size_t i = 0; i < o->m.n_all && oracle_had_fault(o); i++)
        if (o->m.all[i]->has_ended && o->m.all[i]->kernel.shmid == shmid)
            return model_foreign(&o->m, (int32_t)shmid);
    return false;
}

static bool is_right_success(const struct answer *a, const struct ask *ask, const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    if (ask->method == METHOD_CREATE &&
        json_is_true(json_object_get(result, "created")) != (a->segment == NULL))
        return false;
    /* Which of both tells whether what was to be replaced had ended. */
    if (ask->method == METHOD_CREATE && strcmp(text_in(shown, "state"), "initialising") == 0 &&
        !a->segment && (a->replaced != NULL) != (json_object_get(shown, "replaces") != NULL))
        return false;
    /* Whether what is set is being removed by now: its event shows that, too. */
    if (ask->method == METHOD_SET && strcmp(text_in(shown, "state"), "removing") == 0 &&
        a->segment->state != STATE_REMOVING && a->segment->outside != OUTSIDE_DYING)
        return false;
    if (a->segment && ask->method != METHOD_DISOWN)
        return model_int(shown, "serial", 0) == (long long)a->segment->serial;
    if (a->foreign)
        return model_int(shown, "shmid", -1) == a->foreign->shmid;
    return true;
}

static bool is_right(const struct oracle *o, const struct ask *ask, const struct answer *a,
                     const json_t *message)
{
    const int code = message ? code_of(message) : CODE_WAITS;
    const json_t *data = json_object_get(json_object_get(message, "error"), "data");
    bool may = false, must = false;
    if (a->code == CODE_OK && a->makes && !a->segment)
        quotas_judge_room(o, ask, a, &may, &must);
    if (code == CODE_OK)
        return a->code == CODE_OK && !must && !quotas_must_refuse(o, ask, a) &&
               is_right_success(a, ask, json_object_get(message, "result"));
    if (a->code == code && code == CODE_LIMIT_REACHED)
        return strcmp(text_in(data, "limit"), "address-space") == 0;
    if (a->code == code)
        return code != CODE_WAITS || !quotas_must_refuse(o, ask, a);
    /* What a quota refuses comes before what needs the process or the kernel. */
    const bool is_late =
        a->code == CODE_OK ||
        (a->makes && (a->code == CODE_NOT_SUPPORTED || a->code == CODE_KEY_IN_USE)) ||
        (ask->method == METHOD_SET && a->code == CODE_PERMISSION_DENIED && a->segment) ||
        (ask->method == METHOD_WAIT && a->code == CODE_WAITS);
    if (code == CODE_QUOTA_EXCEEDED && is_late)
        return quotas_may_refuse(o, ask, a, data);
    if (code == CODE_LIMIT_REACHED && is_late)
        return quotas_kernel_may_refuse(o, ask, a, data);
    if (a->code != CODE_OK)
        return false;
    /* Huge pages need a right that the daemon may not have. */
    return code == CODE_PERMISSION_DENIED && a->makes && !a->segment &&
           strcmp(text_in(data, "needs"), "CAP_IPC_LOCK or vm.hugetlb_shm_group") == 0 &&
           model_int(ask->params, "huge_page_size", 0) != 0;
}

static void judge_shown(struct oracle *o, const struct ask *ask, const struct answer *a,
                        const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    struct model_segment *s = a->segment;
    char where[64];
    snprintf(where, sizeof(where), "request %lld", ask->id);
    if (!shown)
        return;
    if (ask->method == METHOD_DISOWN) { /* after a fault the daemon may not have looked again */
        const struct sysv_stat *k = model_foreign(&o->m, a->segment->kernel.shmid);
        if (k && !o->faults_seen)
            judge_foreign(o, k, shown, where);
        return;
    }
    if (a->makes && !s)
        s = model_by_serial(&o->m, (uint64_t)model_int(shown, "serial", 0));
    if (s && s->has_ended && strcmp(text_in(shown, "state"), "removed") != 0 && !o->faults_seen)
        world_fail(o->w, "%s: segment %" PRIu64 " is removed and shown as %s", where, s->serial,
                   text_in(shown, "state"));
    if (s && ask->method != METHOD_CREATE && !s->has_ended)
        heed_shown(o, s, shown);
    if (s)
        judge_segment(o, s, shown, where);
    if (s && (ask->method == METHOD_STAT || ask->method == METHOD_WAIT))
        judge_use(o, s, shown, where);
    if (s && ask->method == METHOD_STAT && !o->faults_seen)
        judge_waiters(o, ask, s, shown);
    if (s)
        return;
    if (a->foreign)
        judge_foreign(o, a->foreign, shown, where);
}

static void note_handle(struct oracle *o, const struct ask *ask, const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    if (!shown || ask->id < 0 || ask->id >= HANDLES_MAX)
        return;
    const uint64_t serial = (uint64_t)model_int(shown, "serial", 0);
    o->w->handles[ask->id] = (struct handle){true, (int32_t)model_int(shown, "shmid", -1), serial};
}

static void check_serial(struct oracle *o, const struct ask *ask, const struct answer *a,
                         const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    const uint64_t serial = (uint64_t)model_int(shown, "serial", 0);
    if (!a->makes || a->segment)
        return;
    if (serial <= o->last_serial)
        world_fail(o->w,
                   "request %lld made a segment with the serial %" PRIu64
                   ", which is not above %" PRIu64,
                   ask->id, serial, o->last_serial);
    o->last_serial = serial;
}

/* How many requests of METHOD the lines of TEXT tell, whatever their outcome. */
static uint64_t requests_told(const char *text, const char *method)
{
    char begin[64];
    uint64_t sum = 0;
    snprintf(begin, sizeof(begin), "shmd_requests_total{method=\"%s\",", method);
    for (const char *at = text; (at = strstr(at, begin)); at++)
        sum += strtoull(at + strcspn(at, " \n"), NULL, 10);
    return sum;
}

/* A wait counts when it is answered, and that may be on its way. */
static void judge_metrics(struct oracle *o, const struct ask *ask, const json_t *result)
{
    const char *text = text_in(result, "text");
    for (int i = 0; i < METHOD_COUNT && !o->executed_is_unsure && !o->faults_seen; i++) {
        const char *method = method_word((enum method)i);
        const uint64_t told = requests_told(text, method);
        if (i != METHOD_WAIT && (told < o->executed[i] || told > o->executed[i] + o->n_bad))
            world_fail(o->w,
                       "request %lld: metrics tell of %" PRIu64 " requests of %s, and there were "
                       "%" PRIu64 " and %" PRIu64 " bad ones",
                       ask->id, told, method, o->executed[i], o->n_bad);
    }
}

/* It has been made just now. */
static void check_creation(struct oracle *o, const struct ask *ask, const json_t *result)
{
    const json_t *shown = json_object_get(result, "segment");
    if (model_int(shown, "created_at_ms", -1) != o->w->clock.real_ms)
        world_fail(o->w, "request %lld made a segment, which is not shown as made now", ask->id);
}

static void judge_list(struct oracle *o, const struct ask *ask, const json_t *result);

static void succeed(struct oracle *o, struct ask *ask, const struct answer *a, const json_t *result)
{
    check_serial(o, ask, a, result);
    note_handle(o, ask, result);
    model_apply(&o->m, ask, a, result);
    if (ask->method == METHOD_DISOWN && o->faults_seen)
        holds_learn_disowned(o, a->segment);
    judge_shown(o, ask, a, result);
    if (a->makes && !a->segment)
        check_creation(o, ask, result);
    if (ask->method == METHOD_LIST)
        judge_list(o, ask, result);
    else if (ask->method == METHOD_METRICS)
        judge_metrics(o, ask, result);
    else if (ask->method == METHOD_INFO)
        quotas_check_info(o, ask, result);
    else if (ask->method == METHOD_SUBSCRIBE)
        events_subscribe(o, ask, result);
}

static void complain(struct oracle *o, const struct ask *ask, const struct answer *a,
                     const json_t *message)
{
    char *asked = json_dumps(ask->message, JSON_COMPACT);
    char *answered = message ? json_dumps(message, JSON_COMPACT) : NULL;
    bool may = false, must = false;
    if (a->code == CODE_OK && a->makes && !a->segment)
        quotas_judge_room(o, ask, a, &may, &must);
    world_fail(o->w, "request %lld\n  %s\nshould be answered %d%s%s, and was answered\n  %s",
               ask->id, asked, a->code, a->code == CODE_WAITS ? " (later)" : "",
               must ? " (a quota is used up)" : "", answered ? answered : "nothing");
    free(asked);
    free(answered);
}

/* What is SHOWN is removed, and what failed lately keeps its record until the next sweep. */
static bool is_lingering(const struct oracle *o, const json_t *shown)
{
    return shown && oracle_had_fault(o) && strcmp(text_in(shown, "state"), "removing") == 0 &&
           !model_by_serial(&o->m, (uint64_t)model_int(shown, "serial", 0));
}

/* SHOWN was made by the daemon, could not be recorded, and the kernel has not removed it either. */
static bool is_rest(const struct oracle *o, const json_t *shown)
{
    return shown && holds_could_not_remove(o) && json_is_false(json_object_get(shown, "managed")) &&
           model_int(json_object_get(shown, "creator"), "uid", -1) == DAEMON_UID;
}

/* An error names no segment that the caller may not read, unless he has named it so. */
static void check_secrets(struct oracle *o, const struct ask *ask, const json_t *message)
{
    const json_t *data = json_object_get(json_object_get(message, "error"), "data");
    const long long serial = model_int(data, "serial", -1), shmid = model_int(data, "shmid", -1);
    const struct model_segment *s = serial >= 0 ? model_by_serial(&o->m, (uint64_t)serial)
                                                : model_by_shmid(&o->m, (int32_t)shmid);
    if (s && !model_may_read(&o->m, ask->connection->by, &s->kernel) &&
        s->outside == OUTSIDE_NOTHING &&
        (serial < 0 || serial != model_int(ask->params, "serial", -1)) &&
        (shmid < 0 || shmid != model_int(ask->params, "shmid", -1)))
        world_fail(o->w, "request %lld, whose caller may not read segment %" PRIu64 ", hears of it",
                   ask->id, s->serial);
}

/* S has ended, let us say: those who have it attached keep it. */
static void suppose_ended(const struct model *m, struct model_segment *s)
{
    if (model_attachments(m, s) > 0)
        s->outside = OUTSIDE_DYING;
    else
        s->is_hidden = true;
}

void judge_suppose(const struct model *m, struct supposition *p, unsigned ended)
{
    for (size_t i = 0; i < p->n; i++) {
        p->outside[i] = p->doubts[i]->outside;
        if (ended & (1U << i))
            suppose_ended(m, p->doubts[i]);
    }
}

void judge_suppose_no_more(struct supposition *p)
{
    for (size_t i = 0; i < p->n; i++) {
        p->doubts[i]->outside = p->outside[i];
        p->doubts[i]->is_hidden = false;
    }
}

/* Tries what may have ended in every combination, the fewest first. Whether MESSAGE is the answer
 * to ASK by any of them, and the model then follows; RET is what the answer should be if nothing
 * has ended. An error that a fault explains, too, tells of no end. */
static bool answers_by_model(struct oracle *o, struct ask *ask, const json_t *message,
                             bool had_fault, struct answer *ret)
{
    struct model *m = &o->m;
    struct supposition p;
    p.n = model_doubtful(m, ask, p.doubts, DOUBTS_MAX);
    const bool tells_of_ends = !(had_fault && message && is_of_a_fault(code_of(message)));
    for (unsigned mask = 0; mask < (tells_of_ends ? 1U << p.n : 1); mask++) {
        judge_suppose(m, &p, mask);
        struct answer a = model_answer(m, ask);
        const bool fits = is_right(o, ask, &a, message);
        judge_suppose_no_more(&p);
        if (mask == 0)
            *ret = a;
        if (!fits)
            continue;
        for (size_t i = 0; i < p.n; i++)
            if (mask & (1U << i))
                model_end_by_itself(m, p.doubts[i]);
        if (a.code == CODE_OK && a.segment)
            model_heed(m, a.segment);
        if (message && code_of(message) == CODE_OK)
            succeed(o, ask, &a, json_object_get(message, "result"));
        else
            check_secrets(o, ask, message);
        return true;
    }
    return false;
}

void judge_answer(struct oracle *o, struct ask *ask, const json_t *message, bool had_fault)
{
    const json_t *result = json_object_get(message, "result");
    struct answer first = {0};
    ask->is_judged = true;
    if (o->w->rpc.is_shutting_down && code_of(message) == CODE_SHUTTING_DOWN &&
        (ask->method == METHOD_WAIT || ask->method == METHOD_SUBSCRIBE))
        return;
    if (answers_by_model(o, ask, message, had_fault, &first))
        return;
    if (first.code == CODE_NO_SUCH_SEGMENT && oracle_had_fault(o) && may_be_kept(code_of(message)))
        return;
    if (ask->method == METHOD_CREATE && code_of(message) == CODE_KEY_IN_USE &&
        holds_has_key_still(o, (uint32_t)model_int(ask->params, "key", 0)))
        return;
    if (ask->method == METHOD_STAT && code_of(message) == CODE_STALE_SEGMENT &&
        may_have_former(o, model_int(ask->params, "shmid", -1)))
        return;
    if (had_fault && message && code_of(message) != CODE_OK && is_of_a_fault(code_of(message))) {
        check_secrets(o, ask, message);
        /* Nothing was done, as the checks of kernel and records show. But this code also tells that
         * there was no memory for the answer, or that it could not be put back either. */
        if (code_of(message) == CODE_INTERNAL && ask->method == METHOD_SUBSCRIBE)
            events_may_subscribe(o, ask);
        else if (code_of(message) == CODE_INTERNAL)
            oracle_be_unsure(o, ask);
        if (code_of(message) == CODE_INTERNAL || code_of(message) == CODE_STORE_FAILURE)
            oracle_refused_by_store(o, ask);
        return;
    }
    if (had_fault && message && code_of(message) == CODE_OK && !json_object_get(result, "segment"))
        return;
    if (is_lingering(o, json_object_get(result, "segment")) ||
        (first.code == CODE_NO_SUCH_SEGMENT && is_rest(o, json_object_get(result, "segment"))))
        return;
    if (had_fault && o->must_learn) {
        oracle_be_unsure(o, ask);
        return;
    }
    complain(o, ask, &first, message);
}

/* Whether one that was to be called NAME may have lost its initialiser, or has. */
static bool has_lost_initialiser(const struct oracle *o, const char *name)
{
    for (size_t i = o->m.n_all; i-- > 0;) {
        const struct model_segment *s = o->m.all[i];
        const bool is_over = s->has_ended || s->state == STATE_REMOVING;
        const bool may_be_over = s->state == STATE_INITIALISING &&
                                 (s->has_ended || s->is_unsure || model_may_be_gone(&o->m, s));
        if (strcmp(is_over ? s->new_name : s->name, name) == 0 &&
            (may_be_over || (s->ended_by & 1U << REASON_INITIALISER_DIED)))
            return true;
    }
    return false;
}

void judge_wait(struct oracle *o, struct ask *ask, const json_t *message)
{
    const json_t *p = ask->params;
    const long long timeout = model_int(p, "timeout_ms", -1);
    const int code = code_of(message);
    struct answer first = {0};
    switch (code) {
    case CODE_TIMED_OUT:
        if (timeout < 0 || o->w->clock.boot_ms < ask->asked_at_ms + timeout)
            world_fail(o->w, "request %lld timed out too early", ask->id);
        return;
    case CODE_SHUTTING_DOWN:
        if (!o->w->rpc.is_shutting_down)
            world_fail(o->w, "request %lld hears of an end that there is not", ask->id);
        return;
    case CODE_INITIALISER_DIED:
        if (!has_lost_initialiser(o, text_in(p, "name")) && !o->had_fault)
            world_fail(o->w, "request %lld hears that an initialiser has died, and none has",
                       ask->id);
        return;
    default: break;
    }
    if (answers_by_model(o, ask, message, o->had_fault, &first))
        return;
    if (!o->had_fault || (code != CODE_OK && !is_of_a_fault(code))) {
        complain(o, ask, &first, message);
        return;
    }
    /* It may hold, and there was no memory for the answer: others see that in the same turn. Or the
     * store refused that, and it may be recorded all the same. */
    if (code == CODE_OK || code == CODE_INTERNAL)
        oracle_learn_wait(o, ask);
    oracle_refused_by_store(o, ask);
    if (code == CODE_OK)
        note_handle(o, ask, json_object_get(message, "result"));
}

/* --- lists */

static bool has_labels(const struct model_segment *s, const json_t *wanted)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)wanted, key, value)
        if (!json_equal(json_object_get(s->labels, key), value))
            return false;
    return true;
}

/* What `list` shows to the caller of a segment, by its filters. */
static bool is_wanted(const struct oracle *o, const struct ask *ask, const struct model_segment *s)
{
    const json_t *p = ask->params;
    const char *prefix = text_in(p, "prefix"), *lifetime = text_in(p, "lifetime"),
               *state = text_in(p, "state");
    const uint32_t uid = s->adopted ? s->creator_uid : s->kernel.uid;
    return model_may_see(&o->m, ask->connection->by, s) &&
           strncmp(s->name, prefix, strlen(prefix)) == 0 &&
           (!*lifetime || strcmp(lifetime, lifetime_words[s->lifetime]) == 0) &&
           (!*state || strcmp(state, state_words[s->state]) == 0) &&
           (model_int(p, "uid", uid) == uid) && has_labels(s, json_object_get(p, "labels"));
}

static void judge_row(struct oracle *o, const struct ask *ask, const json_t *shown)
{
    struct model *m = &o->m;
    if (!json_is_true(json_object_get(shown, "managed"))) {
        const int32_t shmid = (int32_t)model_int(shown, "shmid", -1);
        const struct sysv_stat *k = model_foreign(m, shmid);
        const struct model_segment *was = model_by_shmid(m, shmid);
        if (k)
            judge_foreign(o, k, shown, "a list");
        else if (was ? !model_may_be_gone(m, was)
                     : !o->had_fault) /* what could not be taken back */
            world_fail(o->w, "request %lld lists shmid %d as foreign, which it is not", ask->id,
                       shmid);
        return;
    }
    struct model_segment *s = model_by_serial(m, (uint64_t)model_int(shown, "serial", 0));
    if (s)
        heed_shown(o, s, shown);
    if (is_lingering(o, shown))
        return;
    if (!s)
        world_fail(o->w, "request %lld lists segment %lld, which there is not", ask->id,
                   model_int(shown, "serial", 0));
    else if (!is_wanted(o, ask, s))
        world_fail(o->w,
                   "request %lld lists segment %" PRIu64 ", which was not asked for or is "
                   "not to be seen",
                   ask->id, s->serial);
    else {
        judge_segment(o, s, shown, "a list");
        judge_use(o, s, shown, "a list");
    }
}

/* Where a page ends: the serial up to which managed segments are listed. */
static uint64_t end_of_page(const json_t *result)
{
    const char *cursor = text_in(result, "cursor");
    return *cursor == 'm' ? strtoull(cursor + 1, NULL, 10) : UINT64_MAX;
}

static bool is_listed(const json_t *rows, const char *key, long long value)
{
    size_t i;
    json_t *row;
    json_array_foreach (rows, i, row)
        if (model_int(row, key, -1) == value)
            return true;
    return false;
}

static void judge_list(struct oracle *o, const struct ask *ask, const json_t *result)
{
    const json_t *rows = json_object_get(result, "segments");
    const json_t *p = ask->params;
    const char *cursor = text_in(p, "cursor"), *scope = text_in(p, "scope");
    const bool managed = !*scope || strcmp(scope, "foreign") != 0;
    const uint64_t from = *cursor == 'm' ? strtoull(cursor + 1, NULL, 10) : 0;
    const uint64_t to = end_of_page(result);
    size_t i;
    json_t *row;
    if ((long long)json_array_size(rows) > model_int(p, "limit", 1000))
        world_fail(o->w, "request %lld lists more than its limit", ask->id);
    json_array_foreach (rows, i, row)
        judge_row(o, ask, row);
    for (i = 0; i < o->m.n_live && managed && *cursor != 'f' && !o->faults_seen; i++) {
        const struct model_segment *s = o->m.live[i];
        if (s->serial > from && s->serial <= to && is_wanted(o, ask, s) &&
            !model_may_be_gone(&o->m, s) && !is_listed(rows, "serial", (long long)s->serial))
            world_fail(o->w, "request %lld does not list segment %" PRIu64, ask->id, s->serial);
    }
    const bool has_all_foreign = !managed && !*cursor && !json_object_get(result, "cursor") &&
                                 !*text_in(p, "prefix") && !*text_in(p, "lifetime") &&
                                 !*text_in(p, "state") &&
                                 json_object_size(json_object_get(p, "labels")) == 0;
    for (i = 0; i < o->m.n_foreign && has_all_foreign && !o->faults_seen; i++) {
        const struct sysv_stat *k = &o->m.foreign[i];
        /* Its record is stale, which the daemon may not know. */
        if (model_by_shmid(&o->m, k->shmid) || may_have_former(o, k->shmid))
            continue;
        if (model_int(p, "uid", k->uid) == k->uid && !is_listed(rows, "shmid", k->shmid))
            world_fail(o->w, "request %lld does not list shmid %d, which is foreign", ask->id,
                       k->shmid);
    }
}
