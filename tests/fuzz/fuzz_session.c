/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, replies out, on the fake kernel: whatever two peers send, in whatever pieces, each
 * answer is a line of JSON-RPC, and the core's books agree after every turn (the fixture checks).
 * The first byte is the size of the pieces; a 0xFF in the stream hands over to the other peer, a
 * 0xFE makes time pass. A turn ends with each piece; and then all is said again, with turns that
 * end where the stream says, in those pieces, in small ones and in as few as there can be: the
 * answers are the same.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/rpc.h"
#include "daemon/rpc/session.h"
#include "daemon/util/log.h"
#include "protocol/json_arena.h"
#include "tests/fakes/core_fixture.h"
#include "tests/fuzz/fuzz.h"

static void wake(void *context, struct outbox *outbox)
{
    (void)context;
    (void)outbox;
}

static void check_line(const char *line, size_t len)
{
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    MUST(root);
    size_t n = json_is_array(root) ? json_array_size(root) : 1;
    MUST(n > 0);
    for (size_t i = 0; i < n; i++) {
        json_t *reply = json_is_array(root) ? json_array_get(root, i) : root;
        MUST(json_object_get(reply, "jsonrpc"));
        MUST(json_object_get(reply, "id") || json_object_get(reply, "method"));
    }
    json_decref(root);
}

static void read_replies(struct session *s)
{
    struct outbox *outbox = &s->outbox;
    size_t left = outbox_unsent(outbox);
    if (left == 0)
        return;
    const char *at = outbox_bytes(outbox), *end;
    while (left > 0 && (end = memchr(at, '\n', left))) {
        check_line(at, (size_t)(end - at));
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    /* What is left is a batch that waits in its midst, or the last of a closing session. */
    MUST(left == 0 || s->underway || outbox->is_closed);
    if (left > 0)
        return;
    outbox_took(outbox, outbox_unsent(outbox));
    outbox_tidy(outbox, session_has_work(s));
}

/* In most turns of small pieces there is nothing to do. */
static bool has_work(struct rpc *rpc, struct session sessions[static 2])
{
    bool has = core_turn_is_due(rpc->core);
    for (int i = 0; i < 2; i++)
        has |= session_has_work(&sessions[i]) || outbox_unsent(&sessions[i].outbox) > 0;
    return has;
}

static void end_turn(struct rpc *rpc, struct session sessions[static 2])
{
    for (int pass = 0; pass < 3 && has_work(rpc, sessions); pass++) {
        for (int i = 0; i < 2; i++)
            if (session_has_work(&sessions[i]))
                session_continue(&sessions[i]);
        rpc_end_turn(rpc);
        for (int i = 0; i < 2; i++)
            read_replies(&sessions[i]);
    }
}

/* A session may change what it is given. */
static void receive(struct session *s, const uint8_t *data, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);
    MUST(copy);
    memcpy(copy, data, n);
    session_receive(s, copy, n);
    free(copy);
}

static void converse(struct core_fixture *f, struct rpc *rpc, struct session sessions[static 2],
                     const uint8_t *data, size_t size)
{
    size_t step = (size_t)data[0] + 1;
    int who = 0;
    for (size_t at = 1; at < size;) {
        if (data[at] == 0xFF || data[at] == 0xFE) {
            if (data[at++] == 0xFF)
                who = !who;
            else
                core_fixture_pass(f, 1000);
            end_turn(rpc, sessions);
            continue;
        }
        size_t n = 0;
        while (n < step && at + n < size && data[at + n] < 0xFE)
            n++;
        if (session_wants_input(&sessions[who]))
            receive(&sessions[who], data + at, n);
        at += n;
        end_turn(rpc, sessions);
    }
}

/* What one peer has sent and was not received yet, and what it was told. */
struct peer {
    uint8_t *sent;
    size_t n_sent, n_received;
    char *told;
    size_t n_told;
};

static void hear(struct peer *p, struct session *s)
{
    const size_t n = outbox_unsent(&s->outbox);
    if (n == 0)
        return;
    p->told = realloc(p->told, p->n_told + n);
    MUST(p->told);
    memcpy(p->told + p->n_told, outbox_bytes(&s->outbox), n);
    p->n_told += n;
    outbox_took(&s->outbox, n);
    outbox_tidy(&s->outbox, session_has_work(s));
}

/* In pieces of STEP bytes: as much as the session takes before the turn ends. */
static void serve(struct peer *p, struct session *s, size_t step)
{
    for (;;) {
        const size_t left = p->n_sent - p->n_received, n = left < step ? left : step;
        if (session_has_work(s)) {
            session_continue(s);
        } else if (n > 0 && session_wants_input(s)) {
            receive(s, p->sent + p->n_received, n);
            p->n_received += n;
        } else {
            break;
        }
        hear(p, s);
    }
    hear(p, s);
}

static void serve_turn(struct rpc *rpc, struct session sessions[static 2],
                       struct peer peers[static 2], size_t step)
{
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < 2; i++)
            serve(&peers[i], &sessions[i], step);
        rpc_end_turn(rpc);
    }
}

/* All that the stream has, in pieces of STEP bytes that turns do not depend on. */
static void converse_in(struct core_fixture *f, struct rpc *rpc, struct session sessions[static 2],
                        struct peer peers[static 2], const uint8_t *data, size_t size, size_t step)
{
    int who = 0;
    for (size_t at = 1; at < size; at++) {
        struct peer *p = &peers[who];
        if (data[at] < 0xFE) {
            p->sent[p->n_sent++] = data[at];
            continue;
        }
        serve_turn(rpc, sessions, peers, step);
        if (data[at] == 0xFF)
            who = !who;
        else
            core_fixture_pass(f, 1000);
    }
    serve_turn(rpc, sessions, peers, step);
    for (int i = 0; i < 2; i++)
        session_end_input(&sessions[i]);
    serve_turn(rpc, sessions, peers, step);
}

/* The lines of what P was told that are events, or those that are not. When an event is told among
 * the answers depends on how much was received at once. */
static size_t lines_of(const struct peer *p, bool events, char *ret)
{
    static const char event[] = "{\"jsonrpc\":\"2.0\",\"method\":";
    size_t n = 0;
    for (size_t at = 0, len; at < p->n_told; at += len) {
        const char *line = p->told + at, *end = memchr(line, '\n', p->n_told - at);
        len = end ? (size_t)(end + 1 - line) : p->n_told - at;
        const bool is_event = len > sizeof(event) && memcmp(line, event, sizeof(event) - 1) == 0;
        if (is_event == events)
            memcpy(ret + n, line, len);
        n += is_event == events ? len : 0;
    }
    return n;
}

static void check_same(const struct peer *one, const struct peer *other)
{
    MUST(one->n_told == other->n_told);
    char *a = malloc(one->n_told + 1), *b = malloc(one->n_told + 1);
    MUST(a && b);
    for (int events = 0; events < 2; events++) {
        const size_t n = lines_of(one, events, a);
        MUST(lines_of(other, events, b) == n);
        MUST(memcmp(a, b, n) == 0);
    }
    free(a);
    free(b);
}

struct house {
    struct core_fixture *f;
    struct rpc rpc;
    struct session sessions[2];
};

static void open_house(struct house *h)
{
    static const uint32_t uids[] = {ALICE, BOB};
    h->f = core_fixture_new();
    rpc_init(&h->rpc, &h->f->core, "1", wake, NULL);
    for (int i = 0; i < 2; i++) {
        struct caller caller = core_fixture_caller(h->f, uids[i], 200 + i);
        session_init(&h->sessions[i], &h->rpc, &caller);
    }
}

static void close_house(struct house *h)
{
    for (int i = 0; i < 2; i++)
        session_deinit(&h->sessions[i]);
    rpc_end_turn(&h->rpc);
    rpc_deinit(&h->rpc);
    core_fixture_free(h->f);
}

enum { WAYS = 3, FEW = 7 };

/* The same bytes, cut in several ways. */
static void compare(const uint8_t *data, size_t size)
{
    struct peer peers[WAYS][2] = {0};
    const size_t steps[WAYS] = {size, FEW, (size_t)data[0] + 1};
    for (int way = 0; way < WAYS; way++) {
        struct house h;
        for (int i = 0; i < 2; i++)
            MUST((peers[way][i].sent = malloc(size)));
        open_house(&h);
        converse_in(h.f, &h.rpc, h.sessions, peers[way], data, size, steps[way]);
        close_house(&h);
    }
    for (int i = 0; i < 2; i++) {
        for (int way = 1; way < WAYS; way++)
            check_same(&peers[0][i], &peers[way][i]);
        for (int way = 0; way < WAYS; way++) {
            free(peers[way][i].sent);
            free(peers[way][i].told);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct house h;
    if (size == 0)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    json_arena_install(); /* as the daemon does */
    open_house(&h);
    converse(h.f, &h.rpc, h.sessions, data, size);
    for (int i = 0; i < 2; i++)
        session_end_input(&h.sessions[i]);
    end_turn(&h.rpc, h.sessions);
    close_house(&h);
    compare(data, size);
    return 0;
}
