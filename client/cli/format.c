/* SPDX-License-Identifier: MIT */
#include "client/cli/format.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>

const char *time_format_word(enum time_format format)
{
    static const char *const words[TIME_FORMATS] = {
        [TIME_ISO] = "iso", [TIME_SHORT] = "short", [TIME_FULL] = "full", [TIME_UNIX] = "unix"};
    return words[format];
}

static const char units[] = "KMGTPE";

void format_size(uint64_t bytes, char *ret, size_t size)
{
    unsigned shift = 0;
    while (shift < 60 && bytes >> shift >= 1024)
        shift += 10;
    if (shift == 0) {
        snprintf(ret, size, "%" PRIu64 "B", bytes);
        return;
    }
    uint64_t whole = bytes >> shift, rest = bytes & ((UINT64_C(1) << shift) - 1);
    /* Tenths, rounded; nine and a half of them carry over. */
    uint64_t tenths = ((rest >> (shift - 10)) * 10 + 512) >> 10;
    if (tenths == 10) {
        tenths = 0;
        whole++;
        if (whole == 1024 && shift < 60) {
            whole = 1;
            shift += 10;
        }
    }
    char unit = units[shift / 10 - 1];
    if (tenths)
        snprintf(ret, size, "%" PRIu64 ".%" PRIu64 "%c", whole, tenths, unit);
    else
        snprintf(ret, size, "%" PRIu64 "%c", whole, unit);
}

/* As short as a reader can tell it from others. */
static void short_time(const struct tm *at, char *ret, size_t size)
{
    time_t seconds = time(NULL);
    struct tm now;
    if (!localtime_r(&seconds, &now) || at->tm_year != now.tm_year)
        strftime(ret, size, "%Y-%b%d", at);
    else if (at->tm_yday != now.tm_yday)
        strftime(ret, size, "%b%d", at);
    else
        strftime(ret, size, "%H:%M", at);
}

void format_time(enum time_format format, int64_t at_ms, char *ret, size_t size)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    char date[64] = "", zone[8] = "";
    *ret = '\0';
    if (at_ms == 0 || !localtime_r(&seconds, &tm))
        return;
    switch (format) {
    case TIME_ISO:
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        strftime(zone, sizeof(zone), "%z", &tm);
        snprintf(ret, size, "%s.%03d%s", date, (int)(at_ms % 1000), zone);
        return;
    case TIME_SHORT: short_time(&tm, date, sizeof(date)); break;
    case TIME_FULL: strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm); break;
    case TIME_UNIX:
    case TIME_FORMATS: snprintf(date, sizeof(date), "%" PRId64, at_ms); break;
    }
    snprintf(ret, size, "%s", date);
}

void format_duration(int64_t ms, char *ret, size_t size)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } parts[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t used = 0;
    snprintf(ret, size, "0");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && used < size; i++) {
        if (ms < parts[i].ms)
            continue;
        used += (size_t)snprintf(ret + used, size - used, "%" PRId64 "%s", ms / parts[i].ms,
                                 parts[i].unit);
        ms %= parts[i].ms;
    }
}

void format_age(int64_t seconds, char *ret, size_t size)
{
    static const struct {
        int64_t seconds;
        char unit;
    } ages[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < sizeof(ages) / sizeof(ages[0]) && seconds < ages[i].seconds)
        i++;
    /* The clock may have been set back. */
    snprintf(ret, size, "%" PRId64 "%c", seconds > 0 ? seconds / ages[i].seconds : 0, ages[i].unit);
}

void format_user(uint32_t uid, char *ret, size_t size)
{
    const struct passwd *user = getpwuid(uid);
    if (user)
        snprintf(ret, size, "%s", user->pw_name);
    else
        snprintf(ret, size, "%" PRIu32, uid);
}

void format_group(uint32_t gid, char *ret, size_t size)
{
    const struct group *group = getgrgid(gid);
    if (group)
        snprintf(ret, size, "%s", group->gr_name);
    else
        snprintf(ret, size, "%" PRIu32, gid);
}
