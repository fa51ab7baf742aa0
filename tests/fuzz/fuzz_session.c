/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, replies out, on the fake kernel: whatever two peers send, in whatever pieces, each
 * answer is a line of JSON-RPC, and the core's books agree after every turn (the fixture checks).
 * The first byte is the size of the pieces; a 0xFF in the stream hands over to the other peer, a
 * 0xFE makes time pass.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t uids[] = {ALICE, BOB};
    struct session sessions[2];
    struct rpc rpc;
    if (size == 0)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    json_arena_install(); /* as the daemon does */
    struct core_fixture *f = core_fixture_new();
    rpc_init(&rpc, &f->core, "1", wake, NULL);
    for (int i = 0; i < 2; i++) {
        struct caller caller = core_fixture_caller(f, uids[i], 200 + i);
        session_init(&sessions[i], &rpc, &caller);
    }
    converse(f, &rpc, sessions, data, size);
    for (int i = 0; i < 2; i++)
        session_end_input(&sessions[i]);
    end_turn(&rpc, sessions);
    for (int i = 0; i < 2; i++)
        session_deinit(&sessions[i]);
    rpc_end_turn(&rpc);
    rpc_deinit(&rpc);
    core_fixture_free(f);
    return 0;
}
