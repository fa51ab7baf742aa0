/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/outcome_to_error.h"

#include "daemon/core/access.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOT_MANAGED_HINT "adopt it first, or use ipcs and ipcrm"

static const enum protocol_error errors[] = {
    [OUTCOME_NO_SUCH_SEGMENT] = PROTOCOL_ERROR_NO_SUCH_SEGMENT,
    [OUTCOME_NOT_MANAGED] = PROTOCOL_ERROR_NO_SUCH_SEGMENT,
    [OUTCOME_SEGMENT_EXISTS] = PROTOCOL_ERROR_SEGMENT_EXISTS,
    [OUTCOME_PERMISSION_DENIED] = PROTOCOL_ERROR_PERMISSION_DENIED,
    [OUTCOME_SIZE_MISMATCH] = PROTOCOL_ERROR_SIZE_MISMATCH,
    [OUTCOME_LIMIT_REACHED] = PROTOCOL_ERROR_LIMIT_REACHED,
    [OUTCOME_QUOTA_EXCEEDED] = PROTOCOL_ERROR_QUOTA_EXCEEDED,
    [OUTCOME_SEGMENT_BUSY] = PROTOCOL_ERROR_SEGMENT_BUSY,
    [OUTCOME_STALE_SEGMENT] = PROTOCOL_ERROR_STALE_SEGMENT,
    [OUTCOME_KEY_IN_USE] = PROTOCOL_ERROR_KEY_IN_USE,
    [OUTCOME_INITIALISER_DIED] = PROTOCOL_ERROR_INITIALISER_DIED,
    [OUTCOME_TIMED_OUT] = PROTOCOL_ERROR_TIMED_OUT,
    [OUTCOME_NOT_HOLDABLE] = PROTOCOL_ERROR_NOT_HOLDABLE,
    [OUTCOME_STORE_FAILURE] = PROTOCOL_ERROR_STORE_FAILURE,
    [OUTCOME_SHUTTING_DOWN] = PROTOCOL_ERROR_SHUTTING_DOWN,
    [OUTCOME_NOT_SUPPORTED] = PROTOCOL_ERROR_NOT_SUPPORTED,
    [OUTCOME_INVALID_PARAMETER] = PROTOCOL_ERROR_INVALID_PARAMETER,
    [OUTCOME_INVALID_CONFIGURATION] = PROTOCOL_ERROR_INVALID_CONFIGURATION,
    [OUTCOME_WAITING] = PROTOCOL_ERROR_INTERNAL,
};

static int64_t clamp(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void add_known(struct failure *f, const char *name, uint64_t value)
{
    if (value != OUTCOME_UNKNOWN)
        failure_add_int(f, name, clamp(value));
}

static void add_target(struct failure *f, const struct target *target, const char *name)
{
    if (name)
        failure_add_string(f, "name", name);
    if (!target)
        return;
    if (target->name)
        failure_add_string(f, "name", target->name);
    if (target->shmid.given)
        failure_add_int(f, "shmid", target->shmid.value);
    if (target->key.given)
        failure_add_int(f, "key", (uint32_t)target->key.value);
    if (target->serial.given)
        failure_add_int(f, "serial", target->serial.value);
}

/* The parameter that says which segment is meant; a serial beside another one is only a guard. */
static const char *parameter_of(const struct target *target)
{
    if (target && target->name)
        return "name";
    if (target && target->shmid.given)
        return "shmid";
    return target && target->key.given ? "key" : "serial";
}

/* What is wrong, as the table says it, and HINT in the place of the table's own advice. */
static void say(struct failure *f, const char *hint)
{
    const char *sentence = error_row(f->error)->message;
    if (hint)
        failure_set_message(f, "%.*s: %s", (int)strcspn(sentence, ":"), sentence, hint);
}

/* What makes room again under the quota of that name. */
static const char *way_out(const char *quota)
{
    static const struct {
        const char *quota, *way;
    } ways[] = {
        {"max_connections", "close connections that are idle, or try again later"},
        {"max_connections_per_uid", "close connections that are idle, or try again later"},
        {"max_waiters", "try again later, or ask by stat whether it is there"},
        {"max_waiters_per_uid", "end some of your waits, or ask by stat whether it is there"},
        {"max_processes", "try again later"},
        {"max_processes_per_uid", "end processes that hold segments, or release those"},
        {"max_subscriptions_per_uid", "close connections that have subscribed"},
        {"max_buffer_bytes_per_uid", "read the answers, and send each request whole"},
        {"max_locked_bytes", "unlock segments that need it no more"},
        {"max_locked_bytes_per_uid", "unlock segments that need it no more"},
        {"max_holders_per_segment", "have a holder release it"},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].quota, quota) == 0)
            return ways[i].way;
    return "remove what is not needed";
}

enum { AMOUNT_SIZE = 96 };

/* AMOUNT in the unit of the limit and, where that is another, in bytes. */
static void amount_text(const struct outcome_detail *d, uint64_t amount, char ret[AMOUNT_SIZE])
{
    if (d->unit_bytes > 1 && amount <= UINT64_MAX / d->unit_bytes)
        snprintf(ret, AMOUNT_SIZE, "%" PRIu64 " %s (%" PRIu64 " bytes)", amount, d->unit,
                 amount * d->unit_bytes);
    else
        snprintf(ret, AMOUNT_SIZE, "%" PRIu64 " %s", amount, d->unit);
}

/* How much of what was asked for is more than the limit leaves; 0: it is not known. */
static uint64_t missing(const struct outcome_detail *d)
{
    uint64_t used = d->used == OUTCOME_UNKNOWN ? 0 : d->used;
    if (d->max == OUTCOME_UNKNOWN)
        return 0;
    uint64_t left = used < d->max ? d->max - used : 0;
    return d->requested > left ? d->requested - left : 0;
}

static void limit_reached(struct failure *f, const struct outcome_detail *d)
{
    char use[64] = "", asked[AMOUNT_SIZE] = "", lacks[AMOUNT_SIZE] = "";
    bool has_asked = d->unit && d->requested > 0;
    uint64_t lack = missing(d);
    failure_add_string(f, "limit", d->what);
    add_known(f, "used", d->used);
    /* A limit that the wire cannot say is none, as in info. */
    add_known(f, "max", d->max <= INT64_MAX ? d->max : OUTCOME_UNKNOWN);
    if (d->requested)
        failure_add_int(f, "requested", clamp(d->requested));
    if (lack > 0)
        failure_add_int(f, "missing", clamp(lack));
    failure_add_string(f, "hint", d->hint);
    if (d->max != OUTCOME_UNKNOWN && d->used != OUTCOME_UNKNOWN)
        snprintf(use, sizeof(use), " (%" PRIu64 " of %" PRIu64 " in use)", d->used, d->max);
    else if (d->max != OUTCOME_UNKNOWN)
        snprintf(use, sizeof(use), " (%" PRIu64 ")", d->max);
    if (has_asked)
        amount_text(d, d->requested, asked);
    if (has_asked && lack > 0)
        amount_text(d, lack, lacks);
    failure_set_message(f, "the limit %s is reached%s%s%s%s%s: %s", d->what, use,
                        has_asked ? "; asked for: " : "", asked, *lacks ? ", missing: " : "", lacks,
                        d->hint);
}

static void quota_exceeded(struct failure *f, const struct outcome_detail *d)
{
    char whose[24] = "";
    failure_add_string(f, "quota", d->what);
    failure_add_int(f, "used", clamp(d->used));
    failure_add_int(f, "max", clamp(d->max));
    if (d->has_uid)
        snprintf(whose, sizeof(whose), " of uid %" PRIu32, d->uid);
    if (d->used < d->max)
        failure_set_message(f,
                            "%s leaves too little (%" PRIu64 " of %" PRIu64
                            " in use): ask for less, %s, or have the administrator raise it in "
                            "shmd.conf",
                            d->what, d->used, d->max, way_out(d->what));
    else
        failure_set_message(f,
                            "%s%s is used up (%" PRIu64 " of %" PRIu64 "): %s, or have the "
                            "administrator raise it in shmd.conf",
                            d->what, whose, d->used, d->max, way_out(d->what));
}

static void reserved_name(struct failure *f, const struct name_rule *rule)
{
    failure_add_string(f, "prefix", rule->prefix);
    failure_set_message(f,
                        "permission denied: names that begin with %s are reserved for %s %" PRIu32
                        ": choose another name, or ask the administrator ([names] in shmd.conf)",
                        rule->prefix, rule->is_group ? "group" : "user", rule->id);
}

/* A limit that is met far from where it could be named. */
static void no_descriptors(struct failure *f)
{
    static const struct outcome_detail detail = {
        .what = "RLIMIT_NOFILE",
        .used = OUTCOME_UNKNOWN,
        .max = OUTCOME_UNKNOWN,
        .hint = "the daemon has no descriptor left: close idle connections, or raise LimitNOFILE "
                "of the service"};
    failure_init(f, PROTOCOL_ERROR_LIMIT_REACHED);
    limit_reached(f, &detail);
}

static void internal(struct failure *f, int error)
{
    if (error == -EMFILE || error == -ENFILE) {
        no_descriptors(f);
        return;
    }
    if (error == -ESRCH) {
        failure_init(f, PROTOCOL_ERROR_NOT_SUPPORTED);
        failure_add_string(f, "what", "a process that the daemon cannot find");
        failure_set_message(f, "the process that made this connection has ended, or is in a pid "
                               "namespace that this kernel hides: no segment can depend on it; "
                               "connect from the process that is to use the segment");
        return;
    }
    if (error == -EPERM || error == -EACCES) {
        failure_init(f, PROTOCOL_ERROR_PERMISSION_DENIED);
        failure_add_string(f, "needs", "the daemon's right to the segment");
        failure_set_message(f, "permission denied: the kernel refuses the daemon (%s); see its log",
                            strerrordesc_np(-error));
        return;
    }
    failure_init(f, PROTOCOL_ERROR_INTERNAL);
    if (error != -ENOMEM)
        failure_set_message(f, "the kernel refused unexpectedly (%s): see the daemon's log",
                            strerrordesc_np(-error));
}

void outcome_to_failure(int outcome, const struct outcome_detail *d, const struct target *target,
                        const char *name, struct failure *f)
{
    if (outcome < 0) {
        internal(f, outcome);
        return;
    }
    failure_init(f, errors[outcome]);
    switch ((enum outcome)outcome) {
    case OUTCOME_NO_SUCH_SEGMENT: add_target(f, target, name); return;
    case OUTCOME_NOT_MANAGED:
        add_target(f, target, name);
        failure_add_string(f, "hint", NOT_MANAGED_HINT);
        failure_set_message(f, "the segment exists but is not shmd's to change: " NOT_MANAGED_HINT);
        return;
    case OUTCOME_SEGMENT_EXISTS:
        if (d->serial != 0) { /* the caller may know which it is */
            failure_add_int(f, "serial", clamp(d->serial));
            failure_add_int(f, "shmid", d->shmid);
        }
        if (d->key != 0)
            failure_add_int(f, "key", d->key);
        if (d->key != 0 && d->serial != 0)
            failure_set_message(f, "the key 0x%08" PRIx32 " belongs to segment %" PRId32 ": %s",
                                d->key, d->shmid, d->hint);
        else
            say(f, d->hint);
        return;
    case OUTCOME_PERMISSION_DENIED:
        failure_add_string(f, "needs", d->what);
        if (d->has_uid) {
            failure_add_int(f, "uid", d->uid);
            failure_set_message(f, "permission denied: the segment belongs to uid %" PRIu32 ": %s",
                                d->uid, d->hint);
        } else if (d->rule)
            reserved_name(f, d->rule);
        else if (d->hint)
            failure_set_message(f, "permission denied: %s", d->hint);
        else
            failure_set_message(f,
                                "permission denied: it needs %s; ask the segment's owner or an "
                                "admin",
                                d->what);
        return;
    case OUTCOME_SIZE_MISMATCH:
        failure_add_int(f, "size", clamp(d->size));
        failure_add_int(f, "requested", clamp(d->requested));
        failure_set_message(f,
                            "the segment exists with %" PRIu64 " bytes, fewer than the %" PRIu64
                            " asked for: ask for less, or replace or remove it",
                            d->size, d->requested);
        return;
    case OUTCOME_LIMIT_REACHED: limit_reached(f, d); return;
    case OUTCOME_QUOTA_EXCEEDED: quota_exceeded(f, d); return;
    case OUTCOME_SEGMENT_BUSY: failure_add_int(f, "nattch", clamp(d->nattch)); return;
    case OUTCOME_STALE_SEGMENT: failure_add_int(f, "serial", clamp(d->serial)); return;
    case OUTCOME_KEY_IN_USE:
        failure_add_int(f, "key", d->key);
        failure_add_int(f, "shmid", d->shmid);
        say(f, d->hint);
        return;
    case OUTCOME_INITIALISER_DIED: add_target(f, NULL, name); return;
    case OUTCOME_TIMED_OUT: failure_add_int(f, "timeout_ms", d->timeout_ms); return;
    case OUTCOME_NOT_HOLDABLE:
        failure_add_string(f, "lifetime", d->what);
        failure_set_message(f, "%s", d->hint);
        return;
    case OUTCOME_STORE_FAILURE:
        failure_add_string(f, "reason", d->hint);
        failure_set_message(f, "the daemon could not record the change, so nothing was done: %s",
                            d->hint);
        return;
    case OUTCOME_SHUTTING_DOWN: return;
    case OUTCOME_NOT_SUPPORTED:
        failure_add_string(f, "what", d->what);
        failure_set_message(f, "not supported: %s", d->what);
        return;
    case OUTCOME_INVALID_PARAMETER:
        failure_invalid_parameter(f, d->what ? d->what : parameter_of(target), "%s", d->hint);
        return;
    case OUTCOME_INVALID_CONFIGURATION:
        f->config_errors = d->config_errors;
        f->n_config_errors = d->n_config_errors;
        return;
    case OUTCOME_WAITING: break; /* not a result */
    }
    internal(f, -EINVAL);
}
