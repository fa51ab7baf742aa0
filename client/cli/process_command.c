/* SPDX-License-Identifier: MIT */
#include "client/cli/process_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* At most SIZE - 1 bytes of a file of PID; how many. */
static size_t read_file(int32_t pid, const char *name, char *ret, size_t size)
{
    char path[64];
    size_t len = 0;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file) {
        len = fread(ret, 1, size - 1, file);
        fclose(file);
    }
    ret[len] = '\0';
    return len;
}

/* When PID began, in Unix milliseconds; -1: not known. */
static int64_t start_of(int32_t pid)
{
    char text[1024];
    struct timespec now, since_boot;
    unsigned long long ticks;
    const char *after = read_file(pid, "stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;
    /* The 22nd field; the second one, the name, may hold anything. */
    for (int field = 2; after && field < 22; field++)
        after = strchr(after + 1, ' ');
    if (!after || sscanf(after, " %llu", &ticks) != 1)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    int64_t boot_ms = (int64_t)(now.tv_sec - since_boot.tv_sec) * 1000 +
                      (now.tv_nsec - since_boot.tv_nsec) / 1000000;
    return boot_ms + (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* A pid is used again, and the daemon's may be of another pid namespace: so the process must be of
 * the user who created the segment, and have begun before that. */
static bool is_creator(const struct shmd_segment *s)
{
    enum { CLOCK_ERROR_MS = 2000 }; /* the kernel notes a change of a segment in seconds */
    char path[32];
    struct stat st;
    int64_t known_at_ms = s->created_at_ms ? s->created_at_ms : s->changed_at_ms;
    int64_t start_ms = start_of(s->creator.pid);
    snprintf(path, sizeof(path), "/proc/%" PRId32, s->creator.pid);
    return stat(path, &st) == 0 && st.st_uid == s->creator.uid && start_ms >= 0 &&
           start_ms <= known_at_ms + CLOCK_ERROR_MS;
}

void process_command(const struct shmd_segment *segment, char *ret, size_t size)
{
    *ret = '\0';
    if (segment->creator.pid <= 0 || !is_creator(segment))
        return;
    size_t len = read_file(segment->creator.pid, "cmdline", ret, size);
    while (len > 0 && ret[len - 1] == '\0')
        len--;
    for (size_t i = 0; i < len; i++)
        if (ret[i] == '\0')
            ret[i] = ' ';
}
