/* SPDX-License-Identifier: MIT */
#include "tests/simulation/requests.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool one_in(struct actors *a, unsigned n)
{
    return random_one_in(&a->random, n);
}

static unsigned below(struct actors *a, unsigned n)
{
    return random_below(&a->random, n);
}

__attribute__((format(printf, 2, 3))) static void put(struct actors *a, const char *format, ...)
{
    size_t len = strlen(a->step);
    va_list args;
    va_start(args, format);
    vsnprintf(a->step + len, sizeof(a->step) - len, format, args);
    va_end(args);
}

static const char *pick(struct actors *a, const char *const *words, unsigned n)
{
    return words[below(a, n)];
}

#define PICK(a, words) pick((a), (words), sizeof(words) / sizeof((words)[0]))

static const char *const names[] = {"frames", "a",   "b",    "data/1", "data/2", "team/x",
                                    "q.1",    "z_9", "m@h:", "cache",  "cache2", "w"};
static const char *const prefixes[] = {"data/", "c", "", "frames", "nothing"};
static const char *const modes[] = {"0600", "0640", "0644", "0666", "0660", "0400",
                                    "0000", "600",  "0440", "0200", "0777", "0604"};
static const char *const lifetimes[] = {"persistent", "process", "connection", "attached"};
static const char *const sizes[] = {"1",     "4096",  "4096",    "4096",       "8192",
                                    "10000", "65536", "1048576", "1073741824", "4096.0"};
static const char *const rare_sizes[] = {"140737488355328", "140737488355329",
                                         "9223372036854775807", "17179869184", "1099511627776"};
static const char *const kinds[] = {"created",  "ready",   "changed", "attached",
                                    "detached", "removed", "adopted"};

/* --- members: each begins with a comma */

static void put_word(struct actors *a, const char *key, const char *value)
{
    put(a, ",\"%s\":\"%s\"", key, value);
}

static void put_flag(struct actors *a, const char *key, unsigned one_of)
{
    if (one_in(a, one_of))
        put(a, ",\"%s\":%s", key, one_in(a, 5) ? "false" : "true");
}

static void put_labels(struct actors *a)
{
    unsigned n = one_in(a, 12) ? 16 : below(a, 4);
    const bool is_large = n == 16 && one_in(a, 2);
    put(a, ",\"labels\":{");
    for (unsigned i = 0; i < n; i++) {
        put(a, "%s\"k%u\":\"", i ? "," : "", i);
        if (is_large)
            for (unsigned k = 0; k < 25; k++)
                put(a, "%010u", i * k);
        else
            put(a, "v%u", below(a, 3));
        put(a, "\"");
    }
    put(a, "}");
}

static void put_ttl(struct actors *a, const char *key)
{
    static const unsigned times[] = {0, 1, 50, 500, 3000, 20000, 600000};
    put(a, ",\"%s\":%u", key, times[below(a, 7)]);
}

static unsigned some_uid(struct actors *a)
{
    return one_in(a, 8) ? 0 : one_in(a, 8) ? DAEMON_UID : 1000 + below(a, a->n_uids);
}

static unsigned some_gid(struct actors *a)
{
    return one_in(a, 3) ? 44 : 2000 + below(a, a->n_uids);
}

static unsigned some_known(struct actors *a)
{
    return a->n_known == 0 ? 0
                           : a->known[below(a, a->n_known < KNOWN_MAX ? a->n_known : KNOWN_MAX)];
}

static void put_target(struct actors *a)
{
    switch (below(a, 10)) {
    case 0: put(a, ",\"serial\":@serial%u", some_known(a)); break;
    case 1: put(a, ",\"shmid\":@shmid%u", some_known(a)); break;
    case 2: put(a, ",\"key\":%u", 100 + below(a, 6)); break;
    default: put_word(a, "name", PICK(a, names)); break;
    }
    if (!strstr(a->step + strlen(a->step) - 12, "serial") && one_in(a, 12))
        put(a, ",\"serial\":@serial%u", some_known(a));
}

/* One that is to replace another has no name, and is new. */
static void put_ready(struct actors *a)
{
    const unsigned n = a->n_known < KNOWN_MAX ? a->n_known : KNOWN_MAX;
    if (n > 0 && one_in(a, 2))
        put(a, ",\"serial\":@serial%u",
            a->known[(a->n_known - 1 - below(a, n < 8 ? n : 8)) % KNOWN_MAX]);
    else
        put_target(a);
}

static void put_owner(struct actors *a)
{
    if (one_in(a, 8))
        put(a, ",\"owner\":%u", some_uid(a));
}

/* --- methods */

static void put_create(struct actors *a)
{
    const bool has_name = !one_in(a, 6);
    const bool replaces = has_name && one_in(a, 6);
    const char *size = one_in(a, 40) ? PICK(a, rare_sizes) : PICK(a, sizes);
    put(a, ",\"size\":%s", size);
    if (has_name)
        put_word(a, "name", PICK(a, names));
    if (!replaces && one_in(a, 6))
        put(a, ",\"key\":%u", 100 + below(a, 6));
    if (one_in(a, 2))
        put_word(a, "mode", PICK(a, modes));
    if (replaces)
        put(a, ",\"replace\":true");
    else
        put_flag(a, "exclusive", 8);
    put_flag(a, "hold", 8);
    if (one_in(a, 12))
        put(a, ",\"uid\":%u", some_uid(a));
    if (one_in(a, 8))
        put(a, ",\"gid\":%u", some_gid(a));
    if (!one_in(a, 4))
        put_word(a, "lifetime", PICK(a, lifetimes));
    if (one_in(a, 6))
        put_ttl(a, "ttl_ms");
    if (one_in(a, 10))
        put_ttl(a, "idle_ttl_ms");
    if (one_in(a, replaces ? 2 : 5))
        put(a, ",\"ready\":%s", one_in(a, 5) ? "true" : "false");
    if (one_in(a, 4))
        put_labels(a);
    if (one_in(a, 60))
        put(a, ",\"huge_page_size\":%u", one_in(a, 3) ? 4096 : 2 << 20);
    put_flag(a, "noreserve", 10);
    put_flag(a, "locked", 8);
    put_flag(a, "any_owner", 5);
}

static void put_set(struct actors *a)
{
    put_target(a);
    if (one_in(a, 3))
        put_word(a, "mode", PICK(a, modes));
    if (one_in(a, 12))
        put(a, ",\"uid\":%u", some_uid(a));
    if (one_in(a, 8))
        put(a, ",\"gid\":%u", some_gid(a));
    if (one_in(a, 5))
        put_word(a, "new_name", PICK(a, names));
    if (one_in(a, 3))
        put_labels(a);
    if (one_in(a, 5))
        put_ttl(a, "ttl_ms");
    if (one_in(a, 8))
        put_ttl(a, "idle_ttl_ms");
    if (a->is_silent)
        return; /* nobody hears whether a quota or a limit refuses the rest */
    if (one_in(a, 5))
        put_word(a, "lifetime", PICK(a, lifetimes));
    put_flag(a, "locked", 5);
}

static void put_list(struct actors *a)
{
    static const char *const states[] = {"initialising", "ready", "removing", "removed"};
    static const char *const scopes[] = {"managed", "foreign", "all"};
    if (one_in(a, 4))
        put_word(a, "prefix", PICK(a, prefixes));
    if (one_in(a, 6))
        put(a, ",\"uid\":%u", some_uid(a));
    if (one_in(a, 6))
        put_word(a, "lifetime", PICK(a, lifetimes));
    if (one_in(a, 8))
        put_word(a, "state", PICK(a, states));
    if (one_in(a, 10))
        put(a, ",\"labels\":{\"k0\":\"v0\"}");
    const char *scope = one_in(a, 3) ? PICK(a, scopes) : NULL;
    if (scope)
        put_word(a, "scope", scope);
    if (one_in(a, 3))
        put(a, ",\"limit\":%u", 1 + below(a, 5));
    if (one_in(a, 6) && (!scope || strcmp(scope, "foreign") != 0))
        put(a, ",\"cursor\":\"m%u\"", below(a, 200));
}

static void put_wait(struct actors *a)
{
    put_word(a, "name", PICK(a, names));
    if (!one_in(a, 4))
        put_ttl(a, "timeout_ms");
    put_flag(a, "hold", 3);
    put_owner(a);
}

static void put_adopt(struct actors *a)
{
    if (one_in(a, 3))
        put(a, ",\"key\":%u", 100 + below(a, 6));
    else
        put(a, ",\"shmid\":@shmid%u", some_known(a));
    if (one_in(a, 2))
        put_word(a, "name", PICK(a, names));
    if (one_in(a, 2))
        put_word(a, "lifetime", PICK(a, lifetimes));
    if (one_in(a, 5))
        put_ttl(a, "ttl_ms");
    if (one_in(a, 5))
        put_labels(a);
}

static void put_subscribe(struct actors *a)
{
    if (one_in(a, 3))
        put_word(a, "prefix", PICK(a, prefixes));
    if (one_in(a, 3))
        put(a, ",\"kinds\":[\"%s\",\"%s\"]", kinds[below(a, 3)], kinds[3 + below(a, 4)]);
    if (one_in(a, 3))
        put(a, ",\"after\":%u", below(a, 3000));
}

static void put_nothing(struct actors *a)
{
    (void)a;
}

static void put_owned_target(struct actors *a)
{
    put_target(a);
    put_owner(a);
}

static void put_removal(struct actors *a)
{
    put_target(a);
    put_flag(a, "only_if_unattached", 5);
}

static const struct program {
    const char *method;
    unsigned weight;
    bool may_be_silent; /* it may be a notification */
    void (*put)(struct actors *a);
} programs[] = {
    {"create", 26, false, put_create},
    {"stat", 14, true, put_owned_target},
    {"set", 12, true, put_set},
    {"remove", 9, true, put_removal},
    {"list", 5, false, put_list},
    {"ready", 6, true, put_ready},
    {"wait", 8, false, put_wait},
    {"hold", 8, false, put_owned_target},
    {"release", 7, true, put_target},
    {"adopt", 7, false, put_adopt},
    {"disown", 2, false, put_target},
    {"info", 1, false, put_nothing},
    {"metrics", 1, false, put_nothing},
    {"reload", 1, false, put_nothing},
    {"subscribe", 1, false, put_subscribe},
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static const struct program *some_program(struct actors *a)
{
    unsigned sum = 0, at;
    for (size_t i = 0; i < PROGRAMS; i++)
        sum += programs[i].weight;
    at = below(a, sum);
    for (size_t i = 0;; i++) {
        if (at < programs[i].weight)
            return &programs[i];
        at -= programs[i].weight;
    }
}

/* The first comma of the parameters goes. */
static void put_request(struct actors *a, const struct program *p, bool is_silent)
{
    put(a, "{\"jsonrpc\":\"2.0\",");
    if (!is_silent) {
        if (strcmp(p->method, "create") == 0)
            a->known[a->n_known++ % KNOWN_MAX] = a->next_id;
        put(a, "\"id\":%u,", a->next_id++);
    }
    put(a, "\"method\":\"%s\"", p->method);
    const size_t at = strlen(a->step);
    a->is_silent = is_silent;
    p->put(a);
    a->is_silent = false;
    if (a->step[at] == ',') {
        static const char opening[] = ",\"params\":{";
        const size_t more = sizeof(opening) - 2; /* the comma is there */
        memmove(a->step + at + more + 1, a->step + at + 1, strlen(a->step + at + 1) + 1);
        memcpy(a->step + at, opening, more + 1);
        put(a, "}");
    }
    put(a, "}");
}

static void put_batch(struct actors *a)
{
    const unsigned n = 1 + below(a, one_in(a, 10) ? 64 : 6);
    const bool waits = one_in(a, 3);
    put(a, "[");
    for (unsigned i = 0; i < n; i++) {
        const struct program *p = some_program(a);
        while (!waits && strcmp(p->method, "wait") == 0)
            p = some_program(a);
        if (i > 0)
            put(a, ",");
        put_request(a, p, false);
    }
    put(a, "]");
}

void requests_add(struct actors *a, const struct connection *c)
{
    (void)c;
    if (one_in(a, 25)) {
        put_batch(a);
        return;
    }
    const struct program *p = some_program(a);
    put_request(a, p, p->may_be_silent && one_in(a, 20));
}

/* What stands before %s is the id of the answer that names one; -1: it names none. */
static const struct {
    int code;
    bool has_id;
    const char *text;
} bad[] = {
    {-32602, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\"}"},
    {-32602, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":0}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"mode\":644}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"mode\":"
     "\"0888\"}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"name\":\"-x\"}"
     "}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"nome\":\"x\"}"
     "}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"key\":5,"
     "\"name\":\"x\",\"replace\":true}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{\"size\":1,\"ttl_ms\":-1}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"stat\",\"params\":{\"name\":\"a\",\"key\":3}}"},
    {-32602, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"stat\",\"params\":{}}"},
    {-32602, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"stat\",\"params\":[1]}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"list\",\"params\":{\"cursor\":\"x1\"}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"list\",\"params\":{\"limit\":1001}}"},
    {-32602, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"wait\",\"params\":{\"name\":7}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"adopt\",\"params\":{\"shmid\":1,\"key\":2}}"},
    {-32602, true,
     "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"hold\",\"params\":{\"serial\":"
     "99999999999999999999}}"},
    {-32601, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"creat\"}"},
    {-32600, true, "{\"jsonrpc\":\"1.0\",\"id\":%u,\"method\":\"info\"}"},
    {-32600, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":7}"},
    {-32600, true, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"info\",\"method\":\"info\"}"},
    {-32600, false, "[]"},
    {-32700, false, "{\"a\":tru}"},
    {-32700, false, "{\"a\":[}"},
    {-32700, false, "{\"a\":1,}"},
};

/* A wait keeps its id, and so that is bounded. The number stands first, for the oracle to find. */
static void put_wait_of_long_id(struct actors *a)
{
    const unsigned id = a->next_id++;
    put(a, "-32600 %u {\"jsonrpc\":\"2.0\",\"id\":\"%u ", id, id);
    for (unsigned i = 0; i < 103; i++)
        put(a, "0123456789");
    put(a, "\",\"method\":\"wait\",\"params\":{\"name\":\"frames\"}}");
}

void requests_add_bad(struct actors *a)
{
    if (one_in(a, 20)) {
        put_wait_of_long_id(a);
        return;
    }
    const unsigned i = below(a, sizeof(bad) / sizeof(bad[0]));
    const unsigned id = a->next_id++;
    char text[512];
    if (bad[i].has_id) {
        /* The only format that has it twice is the one with two ids. */
        char *out = text;
        for (const char *at = bad[i].text; *at; at++) {
            if (at[0] == '%' && at[1] == 'u') {
                out += sprintf(out, "%u", id);
                at++;
            } else {
                *out++ = *at;
            }
        }
        *out = '\0';
    } else {
        snprintf(text, sizeof(text), "%s", bad[i].text);
    }
    put(a, "%d %d %s", bad[i].code, bad[i].has_id ? (int)id : -1, text);
}
