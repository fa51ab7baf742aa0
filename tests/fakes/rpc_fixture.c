/* SPDX-License-Identifier: MIT */
#include "tests/fakes/rpc_fixture.h"

#include "tests/unit/support.h"

#include <jansson.h>

#include "daemon/util/container_of.h"
#include "daemon/util/log.h"
#include "protocol/json_arena.h"
#include "tests/fakes/fake_memory.h"

static void wake(void *context, struct outbox *outbox)
{
    struct rpc_fixture *f = context;
    f->wakes++;
    container_of(outbox, struct client, session.outbox)->is_awake = true;
}

struct rpc_fixture *rpc_fixture_new(void)
{
    struct rpc_fixture *f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    json_arena_install();           /* as the daemon does */
    log_set_level(LOG_LEVEL_ERROR); /* what is done is no news here */
    f->core = core_fixture_new();
    rpc_init(&f->rpc, &f->core->core, "0.1.0", wake, f);
    return f;
}

void rpc_fixture_free(struct rpc_fixture *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < CLIENTS; i++)
        client_close(&f->clients[i]);
    assert_true(LIST_EMPTY(&f->rpc.subscribers));
    assert_int_equal(f->core->core.waiters.count, 0);
    rpc_deinit(&f->rpc);
    core_fixture_free(f->core);
    free(f);
}

struct client *client_open(struct rpc_fixture *f, uint32_t uid, int32_t pid)
{
    struct caller caller = core_fixture_caller(f->core, uid, pid);
    /* As io/ charges a connection. */
    fake_memory_pause();
    assert_int_equal(quota_add(&f->core->core.quota, uid, QUOTA_CONNECTIONS, 1, &caller.account),
                     0);
    fake_memory_resume();
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &f->clients[i];
        if (c->is_open)
            continue;
        *c = (struct client){.is_open = true};
        session_init(&c->session, &f->rpc, &caller);
        return c;
    }
    abort();
}

void client_close(struct client *c)
{
    if (!c->is_open)
        return;
    struct quota *quota = &c->session.rpc->core->quota;
    struct account *account = c->session.caller.account;
    session_deinit(&c->session);
    quota_give(quota, account, QUOTA_CONNECTIONS, 1);
    free(c->text);
    *c = (struct client){0};
}

void client_send(struct client *c, const char *data, size_t n)
{
    fake_memory_pause();
    char *copy = exact_copy(data, n);
    fake_memory_resume();
    session_receive(&c->session, copy, n);
    fake_memory_pause();
    free(copy);
    fake_memory_resume();
}

/* As io/ does it, when the socket takes everything. */
static void send_output(struct client *c)
{
    struct outbox *outbox = &c->session.outbox;
    size_t n = outbox_unsent(outbox);
    outbox->is_backed_up = c->is_slow && n > 0;
    if (c->is_slow || n == 0)
        return;
    fake_memory_pause();
    c->text = realloc(c->text, c->len + n + 1);
    if (!c->text)
        abort();
    memcpy(c->text + c->len, outbox_bytes(outbox), n);
    c->len += n;
    fake_memory_resume();
    outbox_took(outbox, n);
    outbox_tidy(outbox, session_has_work(&c->session));
}

int rpc_fixture_turn(struct rpc_fixture *f)
{
    int result = 0;
    bool again = true;
    while (again) {
        const char *reason = NULL;
        int r = 0;
        rpc_end_turn(&f->rpc);
        if (ledger_take_result(&f->core->core, &r, &reason) && r < 0) {
            assert_non_null(reason);
            f->reason = reason;
        }
        if (result == 0)
            result = r;
        again = false;
        for (size_t i = 0; i < CLIENTS; i++) {
            struct client *c = &f->clients[i];
            if (!c->is_open)
                continue;
            send_output(c);
            if (!session_has_work(&c->session) && !c->is_awake)
                continue;
            c->is_awake = false;
            session_continue(&c->session);
            again = true;
        }
    }
    return result;
}

int client_say(struct rpc_fixture *f, struct client *c, const char *text)
{
    client_send(c, text, strlen(text));
    return rpc_fixture_turn(f);
}

char *client_heard_raw(struct client *c, size_t *ret_len)
{
    char *text = c->text ? c->text : exact_copy("", 0);
    *ret_len = c->len;
    c->text = NULL;
    c->len = 0;
    return text;
}

/* --- in short */

static char brief[65536];

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    size_t len = strlen(brief);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(brief + len, sizeof(brief) - len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(brief) - len)
        abort();
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static void say_event(const json_t *params)
{
    const char *kind = string_of(params, "kind"), *reason = string_of(params, "reason");
    if (strcmp(kind, "gap") == 0) {
        say("*gap:%lld", (long long)json_integer_value(json_object_get(params, "missed")));
        return;
    }
    say("*%s%s%s:%s#%lld", kind, *reason == '-' ? "" : "/", *reason == '-' ? "" : reason,
        string_of(json_object_get(params, "segment"), "name"),
        (long long)json_integer_value(json_object_get(params, "event_serial")));
}

static void say_result(const json_t *result)
{
    const json_t *segment = json_object_get(result, "segment");
    const json_t *segments = json_object_get(result, "segments");
    const json_t *serial = json_object_get(result, "event_serial");
    if (segment) {
        say("%c%s/%s", json_is_true(json_object_get(result, "created")) ? '+' : '=',
            string_of(segment, "name"), string_of(segment, "state"));
    } else if (segments) {
        say("=[");
        for (size_t i = 0; i < json_array_size(segments); i++)
            say("%s%s", i > 0 ? "," : "", string_of(json_array_get(segments, i), "name"));
        say("]");
        if (json_object_get(result, "cursor"))
            say(">%s", string_of(result, "cursor"));
    } else if (serial) {
        say("=@%lld", (long long)json_integer_value(serial));
    } else {
        say("=ok");
    }
}

static void say_message(const json_t *m)
{
    assert_string_equal(string_of(m, "jsonrpc"), "2.0");
    if (json_object_get(m, "method")) {
        assert_string_equal(string_of(m, "method"), "event");
        say_event(json_object_get(m, "params"));
        return;
    }
    char *id = json_dumps(json_object_get(m, "id"), JSON_ENCODE_ANY | JSON_COMPACT);
    assert_non_null(id);
    say("%s", id);
    free(id);
    const json_t *error = json_object_get(m, "error");
    assert_true((error != NULL) != (json_object_get(m, "result") != NULL));
    if (!error) {
        say_result(json_object_get(m, "result"));
        return;
    }
    const char *name = string_of(json_object_get(error, "data"), "error");
    const char *last = strrchr(name, '.');
    assert_true(strlen(string_of(error, "message")) > 5);
    if (last)
        say("!%s", last + 1);
    else
        say("!%lld", (long long)json_integer_value(json_object_get(error, "code")));
}

const char *client_heard(struct client *c)
{
    size_t len;
    char *text = client_heard_raw(c, &len);
    brief[0] = '\0';
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        if (!end && session_is_over(&c->session))
            break;            /* cut off in the midst of an answer, for lack of memory */
        assert_non_null(end); /* every message is a line */
        size_t n = (size_t)(end - (text + at));
        json_error_t error;
        json_t *m = json_loadb(text + at, n, JSON_REJECT_DUPLICATES, &error);
        if (!m) {
            print_error("%.*s: %s\n", (int)n, text + at, error.text);
            fail();
        }
        if (*brief)
            say(" ");
        if (json_is_array(m)) {
            say("[");
            for (size_t i = 0; i < json_array_size(m); i++) {
                say("%s", i > 0 ? ";" : "");
                say_message(json_array_get(m, i));
            }
            say("]");
        } else {
            say_message(m);
        }
        json_decref(m);
        at += n + 1;
    }
    free(text);
    return brief;
}
