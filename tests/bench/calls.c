/* SPDX-License-Identifier: MIT */
#include "tests/bench/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/support.h"

_Static_assert(sizeof(STAT_REQUEST) - 1 == RAW_REQUEST, "as long as the yardstick's");

static char buffer[ANSWER_MAX];

static void must_be_result(const char *answer)
{
    if (!strstr(answer, "\"result\":"))
        die("shmd answered %.300s", answer);
}

const char *call(int fd, const char *request)
{
    send_all(fd, request, strlen(request));
    buffer[receive_lines(fd, buffer, sizeof(buffer) - 1, 1)] = '\0';
    must_be_result(buffer);
    return buffer;
}

int64_t answer_number(const char *answer, const char *key)
{
    char quoted[40];
    snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *found = strstr(answer, quoted);
    if (!found)
        die("no %s in %.300s", key, answer);
    return strtoll(found + strlen(quoted), NULL, 10);
}

void segment_name(char out[static 24], int number)
{
    snprintf(out, 24, "bench/segment-%05d", number);
}

int segment_key(int number)
{
    return 0x5b000000 + number;
}

size_t write_create(char *out, size_t room, int number, unsigned with)
{
    char name[24], key[24] = "";
    segment_name(name, number);
    if (with & WITH_KEY)
        snprintf(key, sizeof(key), "\"key\":%d,", segment_key(number));
    return (size_t)snprintf(out, room,
                            "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"create\",\"params\":"
                            "{\"name\":\"%s\",%s%s\"size\":4096}}\n",
                            number, name, key, with & WITH_END ? "\"ttl_ms\":3600000," : "");
}

void make_segments(int fd, int first, int n, unsigned with, struct made *ret)
{
    enum { AT_ONCE = 100 };
    char requests[AT_ONCE * 180];
    for (int done = 0; done < n;) {
        size_t len = 0;
        int now = n - done < AT_ONCE ? n - done : AT_ONCE;
        for (int i = 0; i < now; i++)
            len += write_create(requests + len, sizeof(requests) - len, first + done + i, with);
        send_all(fd, requests, len);
        buffer[receive_lines(fd, buffer, sizeof(buffer) - 1, (size_t)now)] = '\0';
        for (char *rest = buffer, *line; now > 0; now--, done++) {
            line = strsep(&rest, "\n");
            must_be_result(line);
            ret[done].serial = answer_number(line, "serial");
            ret[done].shmid = (int)answer_number(line, "shmid");
        }
    }
}

size_t write_lookup(char *out, size_t room, enum lookup kind, int number, const struct made *made)
{
    char target[60], name[24];
    switch (kind) {
    case BY_NAME:
        segment_name(name, number);
        snprintf(target, sizeof(target), "\"name\":\"%s\"", name);
        break;
    case BY_SHMID: snprintf(target, sizeof(target), "\"shmid\":%d", made->shmid); break;
    case BY_KEY: snprintf(target, sizeof(target), "\"key\":%d", segment_key(number)); break;
    case BY_SERIAL:
    case LOOKUP_KINDS:
        snprintf(target, sizeof(target), "\"serial\":%lld", (long long)made->serial);
        break;
    }
    return (size_t)snprintf(
        out, room, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stat\",\"params\":{%s}}\n", target);
}

static size_t count_segments(const char *answer)
{
    size_t n = 0;
    while ((answer = strstr(answer, "\"shmid\":"))) {
        answer++;
        n++;
    }
    return n;
}

void list_all(int fd, size_t *ret_seen)
{
    char request[500] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list\",\"params\":"
                        "{\"limit\":1000}}\n";
    for (;;) {
        const char *answer = call(fd, request);
        size_t len = strlen(answer);
        if (ret_seen)
            *ret_seen += count_segments(answer);
        /* It stands behind the segments. */
        const char *cursor = strstr(answer + (len > 200 ? len - 200 : 0), "\"cursor\":\"");
        if (!cursor)
            return;
        cursor += strlen("\"cursor\":\"");
        snprintf(request, sizeof(request),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list\",\"params\":"
                 "{\"limit\":1000,\"cursor\":\"%.*s\"}}\n",
                 (int)strcspn(cursor, "\""), cursor);
    }
}

size_t sample_stats(int fd, double *ns, size_t n, int64_t for_ns)
{
    int64_t end = now_ns() + for_ns;
    size_t i = 0;
    for (; i < n && (i < 3 || now_ns() < end); i++) {
        int64_t begin = now_ns();
        call(fd, STAT_REQUEST);
        ns[i] = (double)(now_ns() - begin);
    }
    return i;
}
