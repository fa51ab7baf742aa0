/* SPDX-License-Identifier: MIT */
#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/format.h"

enum { AFTER_MS = 1000, EVERY_MS = 200 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct progress progress_begin(uint64_t total)
{
    return (struct progress){
        .wanted = isatty(STDERR_FILENO), .started_ms = now_ms(), .total = total};
}

/* 42s, 3m07s or 2h05m. */
static void left_text(int64_t seconds, char *ret, size_t size)
{
    if (seconds < 60)
        snprintf(ret, size, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(ret, size, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    else
        snprintf(ret, size, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds / 60 % 60);
}

void progress_text(uint64_t done, uint64_t total, int64_t elapsed_ms, char *ret, size_t size)
{
    char done_text[32], total_text[32], rate_text[32], left[32];
    double rate = elapsed_ms > 0 ? (double)done * 1000 / (double)elapsed_ms : 0;
    format_size(done, done_text, sizeof(done_text));
    format_size(total, total_text, sizeof(total_text));
    format_size((uint64_t)rate, rate_text, sizeof(rate_text));
    if (total == 0 || done > total) {
        snprintf(ret, size, "%s, %s/s", done_text, rate_text);
        return;
    }
    int percent = (int)((double)done * 100 / (double)total);
    if (rate < 1) {
        snprintf(ret, size, "%s of %s, %d %%", done_text, total_text, percent);
        return;
    }
    left_text((int64_t)((double)(total - done) / rate + 0.5), left, sizeof(left));
    snprintf(ret, size, "%s of %s, %d %%, %s/s, %s left", done_text, total_text, percent, rate_text,
             left);
}

void progress_tell(struct progress *p, uint64_t done)
{
    char text[160];
    int64_t now = p->wanted ? now_ms() : 0;
    if (!p->wanted || now - p->started_ms < AFTER_MS || now - p->told_ms < EVERY_MS)
        return;
    progress_text(done, p->total, now - p->started_ms, text, sizeof(text));
    fprintf(stderr, "\r%s\x1b[K", text);
    fflush(stderr);
    p->shown = true;
    p->told_ms = now;
}

void progress_end(const struct progress *p)
{
    if (!p->shown)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
}
