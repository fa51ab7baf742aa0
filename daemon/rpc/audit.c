#include "daemon/rpc/audit.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/util/log.h"

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

void audit_request(const struct request *rq, int outcome)
{
    const struct caller *c = rq->caller;
    const struct segment *s = rq->found.segment;
    if (outcome != 0) {
        const char *why = refusal(outcome, &rq->detail);
        if (why)
            log_notice("%s refused: %s (peer pid %d uid %u %s)", method_word(rq->method), why,
                       (int)c->pid, c->uid, or_dash(c->comm));
        return;
    }
    if (is_logged(rq->method) && s)
        log_info("%s: %s serial %" PRIu64 " shmid %d size %" PRIu64 " (peer pid %d uid %u %s)",
                 method_word(rq->method), or_dash(s->name), s->serial, (int)s->shmid, s->size,
                 (int)c->pid, c->uid, or_dash(c->comm));
}

void audit_event(const struct segment_event *event)
{
    const struct wire_segment *s = &event->segment;
    if (event->kind != EVENT_REMOVED || event->reason == REASON_REQUEST)
        return;
    log_info("removed (%s): %s serial %" PRIu64 " shmid %d", reason_words[event->reason],
             or_dash(s->name), s->serial, (int)s->shmid);
}
