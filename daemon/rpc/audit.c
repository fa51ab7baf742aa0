#include "daemon/rpc/audit.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/util/log.h"

enum { REFUSALS_LOGGED_A_SECOND = 20 };

static bool is_logged(enum method method)
{
    switch (method) {
    case METHOD_CREATE:
    case METHOD_SET:
    case METHOD_REMOVE:
    case METHOD_ADOPT: return true;
    case METHOD_INFO:
    case METHOD_STAT:
    case METHOD_LIST:
    case METHOD_READY:
    case METHOD_WAIT:
    case METHOD_HOLD:
    case METHOD_RELEASE:
    case METHOD_SUBSCRIBE:
    case METHOD_METRICS:
    case METHOD_COUNT: break;
    }
    return false;
}

static const char *refusal(int outcome, const struct outcome_detail *detail)
{
    if (outcome < 0)
        return strerrordesc_np(-outcome);
    switch ((enum outcome)outcome) {
    case OUTCOME_PERMISSION_DENIED: return "permission denied";
    case OUTCOME_LIMIT_REACHED:
    case OUTCOME_QUOTA_EXCEEDED: return detail->what;
    case OUTCOME_STALE_SEGMENT: return "stale";
    case OUTCOME_KEY_IN_USE: return "the key is in use";
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
    case OUTCOME_WAITING: break;
    }
    return NULL; /* the peer's own affair */
}

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

/* Whoever is refused over and over does not fill the log: the rest of a second is counted. */
static bool may_log_refusal(struct rpc *rpc)
{
    int64_t second = core_boottime_ms(rpc->core) / 1000;
    if (second != rpc->refusals.second) {
        if (rpc->refusals.unlogged > 0)
            log_notice("%" PRIu64 " more refusals in that second", rpc->refusals.unlogged);
        rpc->refusals = (struct refusals){.second = second};
    }
    if (rpc->refusals.logged == REFUSALS_LOGGED_A_SECOND) {
        rpc->refusals.unlogged++;
        return false;
    }
    rpc->refusals.logged++;
    return true;
}

/* What the request calls its segment, whether there is one or not. */
static const char *named(const struct request *rq)
{
    if (rq->found.segment && rq->found.segment->name)
        return rq->found.segment->name;
    if (params_table(rq->method)->has_target)
        return rq->params->target.target.name;
    switch (rq->method) {
    case METHOD_CREATE: return rq->params->create.name;
    case METHOD_ADOPT: return rq->params->adopt.name;
    case METHOD_WAIT: return rq->params->wait.name;
    default: return NULL;
    }
}

void audit_request(const struct request *rq, int outcome)
{
    const struct caller *c = rq->caller;
    const struct segment *s = rq->found.segment;
    const char *why = outcome == 0 ? NULL : refusal(outcome, &rq->detail);
    struct log_field fields[LOG_FIELDS_MAX] = {
        {.name = "METHOD", .string = method_word(rq->method)},
        {.name = "PEER_PID", .integer = c->pid},
        {.name = "PEER_UID", .integer = c->uid},
        {.name = "PEER_COMM", .string = or_dash(c->comm)},
    };
    size_t n = 4;
    if (s) {
        fields[n++] = (struct log_field){.name = "NAME", .string = or_dash(s->name)};
        fields[n++] = (struct log_field){.name = "SERIAL", .integer = (int64_t)s->serial};
        fields[n++] = (struct log_field){.name = "SHMID", .integer = s->shmid};
    }
    if (outcome == 0 && is_logged(rq->method) && s && !rq->was_there) {
        log_entry(LOG_LEVEL_INFO, fields, n,
                  "%s: %s serial %" PRIu64 " shmid %d size %" PRIu64 " (peer pid %d uid %u %s)",
                  method_word(rq->method), or_dash(s->name), s->serial, (int)s->shmid, s->size,
                  (int)c->pid, c->uid, or_dash(c->comm));
    } else if (why && may_log_refusal(rq->rpc)) {
        fields[n++] = (struct log_field){.name = "REFUSAL", .string = why};
        log_entry(LOG_LEVEL_NOTICE, fields, n, "%s refused: %s, %s (peer pid %d uid %u %s)",
                  method_word(rq->method), or_dash(named(rq)), why, (int)c->pid, c->uid,
                  or_dash(c->comm));
    }
}

void audit_event(const struct segment_event *event)
{
    const struct wire_segment *s = &event->segment;
    if (event->kind != EVENT_REMOVED || event->reason == REASON_REQUEST)
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
