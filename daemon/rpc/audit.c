/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/util/log.h"

static bool is_logged(enum method method)
{
    switch (method) {
    case METHOD_CREATE:
    case METHOD_SET:
    case METHOD_REMOVE:
    case METHOD_ADOPT:
    case METHOD_DISOWN: return true;
    case METHOD_INFO:
    case METHOD_STAT:
    case METHOD_LIST:
    case METHOD_READY:
    case METHOD_WAIT:
    case METHOD_HOLD:
    case METHOD_RELEASE:
    case METHOD_RELOAD: /* it logs itself, as SIGHUP does */
    case METHOD_SUBSCRIBE:
    case METHOD_METRICS:
    case METHOD_COUNT: break;
    }
    return false;
}

/* Whether a refusal is logged whatever the method. Other refusals concern the peer alone. */
static bool is_logged_always(int outcome)
{
    if (outcome < 0)
        return true;
    switch ((enum outcome)outcome) {
    case OUTCOME_PERMISSION_DENIED:
    case OUTCOME_LIMIT_REACHED:
    case OUTCOME_QUOTA_EXCEEDED:
    case OUTCOME_STALE_SEGMENT:
    case OUTCOME_KEY_IN_USE: return true;
    case OUTCOME_NO_SUCH_SEGMENT:
    case OUTCOME_NOT_MANAGED:
    case OUTCOME_SEGMENT_EXISTS:
    case OUTCOME_SIZE_MISMATCH:
    case OUTCOME_SEGMENT_BUSY:
    case OUTCOME_INITIALISER_DIED:
    case OUTCOME_TIMED_OUT:
    case OUTCOME_NOT_HOLDABLE:
    case OUTCOME_STORE_FAILURE:
    case OUTCOME_SHUTTING_DOWN:
    case OUTCOME_NOT_SUPPORTED:
    case OUTCOME_INVALID_PARAMETER:
    case OUTCOME_INVALID_CONFIGURATION: /* reload has logged it */
    case OUTCOME_WAITING: break;
    }
    return false;
}

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

/* What a line is about. */
struct subject {
    enum method method;
    int32_t pid;
    uint32_t uid;
    const char *comm, *name;
    uint64_t serial; /* 0: not known */
    int32_t shmid;   /* -1: not known */
};

/* Returns how many of FIELDS it has filled. */
static size_t fields_of(const struct subject *s, struct log_field *fields)
{
    size_t n = 0;
    fields[n++] = (struct log_field){.name = "METHOD", .string = method_word(s->method)};
    fields[n++] = (struct log_field){.name = "PEER_PID", .integer = s->pid};
    fields[n++] = (struct log_field){.name = "PEER_UID", .integer = s->uid};
    fields[n++] = (struct log_field){.name = "PEER_COMM", .string = or_dash(s->comm)};
    fields[n++] = (struct log_field){.name = "NAME", .string = or_dash(s->name)};
    if (s->serial > 0)
        fields[n++] = (struct log_field){.name = "SERIAL", .integer = (int64_t)s->serial};
    if (s->shmid >= 0)
        fields[n++] = (struct log_field){.name = "SHMID", .integer = s->shmid};
    return n;
}

/* REFUSAL is an error's name without its interface, or the kernel's word; DETAIL may be NULL. */
static void log_refusal(struct rpc *rpc, const struct subject *s, const char *refusal,
                        const char *detail)
{
    struct log_field fields[LOG_FIELDS_MAX];
    char serial[32] = "", shmid[32] = "";
    if (!log_budget_take(&rpc->log, s->uid))
        return;
    size_t n = fields_of(s, fields);
    fields[n++] = (struct log_field){.name = "REFUSAL", .string = refusal};
    if (s->serial > 0)
        snprintf(serial, sizeof(serial), " serial %" PRIu64, s->serial);
    if (s->shmid >= 0)
        snprintf(shmid, sizeof(shmid), " shmid %d", (int)s->shmid);
    log_entry(LOG_LEVEL_NOTICE, fields, n, "%s refused: %s%s%s, %s%s%s (peer pid %d uid %u %s)",
              method_word(s->method), or_dash(s->name), serial, shmid, refusal, detail ? ": " : "",
              detail ? detail : "", (int)s->pid, s->uid, or_dash(s->comm));
}

/* "io.shmd.SizeMismatch" is SizeMismatch; NULL: it has no name. */
static const char *word_of(enum protocol_error error)
{
    const char *name = error_row(error)->name;
    const char *dot = name ? strrchr(name, '.') : NULL;
    return dot ? dot + 1 : name;
}

/* By what the request denotes a segment that there may be. */
static struct target denoted(const struct request *rq)
{
    if (params_table(rq->method)->has_target)
        return rq->params->target.target;
    switch (rq->method) {
    case METHOD_CREATE:
        return (struct target){.name = rq->params->create.name, .key = rq->params->create.key};
    case METHOD_ADOPT:
        return (struct target){.shmid = rq->params->adopt.shmid, .key = rq->params->adopt.key};
    case METHOD_WAIT: return (struct target){.name = rq->params->wait.name};
    default: return (struct target){0};
    }
}

/* What its segment is called; NULL: it has no name. */
static const char *name_in_log(const struct request *rq)
{
    if (rq->found.segment && rq->found.segment->name)
        return rq->found.segment->name;
    return rq->method == METHOD_ADOPT ? rq->params->adopt.name : denoted(rq).name;
}

/* The record of TARGET, or NULL. */
static const struct segment *record_of(const struct registry *r, const struct target *target)
{
    const struct segment *s = NULL;
    if (target->name)
        s = registry_by_name(r, target->name);
    if (!s && target->shmid.given)
        s = registry_by_shmid(r, (int32_t)target->shmid.value);
    if (!s && target->key.value != 0)
        s = registry_by_key(r, (uint32_t)target->key.value);
    if (!s && target->serial.given)
        s = registry_by_serial(r, (uint64_t)target->serial.value);
    return s;
}

/* Which segment a refusal is about, as far as that is known. */
static void identify(const struct request *rq, const struct failure *failure, struct subject *s)
{
    const struct target target = denoted(rq);
    const struct segment *segment = rq->found.segment;
    /* What is stale is not what has its place now. */
    if (!segment && failure->error != PROTOCOL_ERROR_STALE_SEGMENT)
        segment = record_of(&rq->core->registry, &target);
    if (segment) {
        s->serial = segment->serial;
        s->shmid = segment->shmid;
        return;
    }
    if (target.shmid.given && failure->error != PROTOCOL_ERROR_STALE_SEGMENT)
        s->shmid = (int32_t)target.shmid.value;
    for (size_t i = 0; i < failure->n_params; i++) {
        const struct failure_param *param = &failure->params[i];
        if (strcmp(param->name, "serial") == 0)
            s->serial = (uint64_t)param->integer;
        else if (strcmp(param->name, "shmid") == 0)
            s->shmid = (int32_t)param->integer;
    }
}

static struct subject subject_of(const struct request *rq)
{
    return (struct subject){.method = rq->method,
                            .pid = rq->caller->pid,
                            .uid = rq->caller->uid,
                            .comm = rq->caller->comm,
                            .name = name_in_log(rq),
                            .shmid = -1};
}

void audit_refusal(const struct request *rq, int outcome, const struct failure *failure)
{
    struct subject s = subject_of(rq);
    if (!is_logged(rq->method) && !is_logged_always(outcome))
        return;
    const char *word = word_of(failure->error), *detail = rq->detail.what;
    if (outcome < 0) {
        detail = word ? strerrordesc_np(-outcome) : NULL;
        word = word ? word : strerrordesc_np(-outcome);
    } else if (outcome == OUTCOME_STORE_FAILURE) {
        detail = rq->detail.hint;
    }
    identify(rq, failure, &s);
    log_refusal(rq->rpc, &s, word, detail);
}

void audit_connection_refused(struct rpc *rpc, const struct caller *caller, int outcome,
                              const struct outcome_detail *detail, const struct failure *failure)
{
    const char *word = word_of(failure->error);
    const char *why = outcome < 0 ? strerrordesc_np(-outcome) : detail->what;
    if (!log_budget_take(&rpc->log, caller->uid))
        return;
    word = word ? word : "Internal";
    const struct log_field fields[] = {
        {.name = "PEER_PID", .integer = caller->pid},
        {.name = "PEER_UID", .integer = caller->uid},
        {.name = "REFUSAL", .string = word},
    };
    log_entry(LOG_LEVEL_NOTICE, fields, sizeof(fields) / sizeof(fields[0]),
              "connection refused: %s: %s (peer pid %d uid %u)", word, why, (int)caller->pid,
              caller->uid);
}

void audit_done(const struct request *rq)
{
    const struct segment *segment = rq->found.segment;
    if (!is_logged(rq->method) || !segment || rq->changed_nothing ||
        !log_budget_take(&rq->rpc->log, rq->caller->uid))
        return;
    struct subject s = subject_of(rq);
    struct log_field fields[LOG_FIELDS_MAX];
    s.serial = segment->serial;
    s.shmid = segment->shmid;
    log_entry(LOG_LEVEL_INFO, fields, fields_of(&s, fields),
              "%s: %s serial %" PRIu64 " shmid %d size %" PRIu64 " (peer pid %d uid %u %s)",
              method_word(s.method), or_dash(s.name), s.serial, (int)s.shmid, segment->size,
              (int)s.pid, s.uid, or_dash(s.comm));
}

void audit_event(struct rpc *rpc, const struct segment_event *event)
{
    const struct wire_segment *s = &event->segment;
    if (event->kind != EVENT_REMOVED || event->reason == REASON_REQUEST ||
        !log_budget_take(&rpc->log, s->creator.uid))
        return;
    const struct log_field fields[] = {
        {.name = "REASON", .string = reason_words[event->reason]},
        {.name = "NAME", .string = or_dash(s->name)},
        {.name = "SERIAL", .integer = (int64_t)s->serial},
        {.name = "SHMID", .integer = s->shmid},
    };
    log_entry(LOG_LEVEL_INFO, fields, sizeof(fields) / sizeof(fields[0]),
              "removed (%s): %s serial %" PRIu64 " shmid %d", reason_words[event->reason],
              or_dash(s->name), s->serial, (int)s->shmid);
}
