/* SPDX-License-Identifier: MIT */
/*
 * What tests on rpc_fixture.h share: three clients for each test, what they say, and what they hear
 * of it.
 */
#ifndef SHMD_TESTS_UNIT_RPC_CASE_H
#define SHMD_TESTS_UNIT_RPC_CASE_H

#include "tests/unit/support.h"

#include "tests/fakes/rpc_fixture.h"

static struct rpc_fixture *f;
static struct client *alice, *bob, *root;

static inline int rpc_begin(void **state)
{
    (void)state;
    f = rpc_fixture_new();
    alice = client_open(f, ALICE, 1);
    bob = client_open(f, BOB, 2);
    root = client_open(f, 0, 3);
    return 0;
}

static inline int rpc_end(void **state)
{
    (void)state;
    rpc_fixture_free(f);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rpc_begin, rpc_end)

#define CALL(id, method, params)                                                                   \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":{" params "}}"
#define CREATE(id, name) CALL(id, "create", "\"name\":\"" name "\",\"size\":64,\"mode\":\"0644\"")
#define STAT(id, name)   CALL(id, "stat", "\"name\":\"" name "\"")
#define REMOVE(id, name) CALL(id, "remove", "\"name\":\"" name "\"")

#define SAYS(client, text)  assert_int_equal(client_say(f, client, text), 0)
#define HEARS(client, want) assert_string_equal(client_heard(client), want)

#endif
