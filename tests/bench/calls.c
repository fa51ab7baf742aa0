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

static size_t write_create(char *out, size_t room, int number, int with_key)
{
    char name[24], key[24] = "";
    segment_name(name, number);
    if (with_key)
        snprintf(key, sizeof(key), "\"key\":%d,", segment_key(number));
    return (size_t)snprintf(out, room,
                            "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"create\",\"params\":"
                            "{\"name\":\"%s\",%s\"size\":4096}}\n",
                            number, name, key);
}

void make_segments(int fd, int first, int n, int with_keys, struct made *ret)
{
    enum { AT_ONCE = 100 };
    char requests[AT_ONCE * 160];
    for (int done = 0; done < n;) {
        size_t len = 0;
        int now = n - done < AT_ONCE ? n - done : AT_ONCE;
        for (int i = 0; i < now; i++)
            len +=
                write_create(requests + len, sizeof(requests) - len, first + done + i, with_keys);
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
