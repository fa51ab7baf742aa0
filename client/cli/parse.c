#include "client/cli/parse.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char units[] = "KMGTPE";

/* The number at the start of TEXT, which must begin with a digit; RET_END: what follows. */
static int leading_number(const char *text, int base, uint64_t *ret, const char **ret_end)
{
    if (*text < '0' || *text > '9')
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (errno != 0)
        return -ERANGE; /* nothing else can fail */
    *ret = value;
    *ret_end = end;
    return 0;
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value;
    const char *end;
    if (leading_number(text, 10, &value, &end) < 0 || *end || value < min || value > max)
        return -EINVAL;
    *ret = value;
    return 0;
}

int parse_size(const char *text, uint64_t *ret)
{
    uint64_t value;
    const char *end;
    int r = leading_number(text, 10, &value, &end);
    if (r < 0)
        return r;
    const char *unit = *end ? strchr(units, *end == 'k' ? 'K' : *end) : NULL;
    unsigned shift = 0;
    if (unit) {
        shift = 10 * ((unsigned)(unit - units) + 1);
        end++;
        if (strcmp(end, "iB") == 0)
            end += 2;
    }
    if (*end)
        return -EINVAL;
    if (value > (uint64_t)INT64_MAX >> shift)
        return -ERANGE;
    *ret = value << shift;
    return 0;
}

int parse_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } rows[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t value;
    const char *end;
    int r = leading_number(text, 10, &value, &end);
    if (r < 0)
        return r;
    if (value == 0 && !*end) {
        *ret_ms = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(end, rows[i].unit) != 0)
            continue;
        if (value > (uint64_t)(INT64_MAX / 4 / rows[i].ms))
            return -ERANGE;
        *ret_ms = (int64_t)value * rows[i].ms;
        return 0;
    }
    return -EINVAL;
}

int parse_mode(const char *text, uint32_t *ret)
{
    size_t len = strlen(text);
    if ((len != 3 && len != 4) || strspn(text, "01234567") != len || (len == 4 && *text != '0'))
        return -EINVAL;
    *ret = (uint32_t)strtoul(text, NULL, 8);
    return 0;
}

int parse_key(const char *text, uint32_t *ret)
{
    bool negative = *text == '-';
    const char *digits = text + negative, *end;
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    uint64_t value;
    if (leading_number(digits, hex ? 16 : 10, &value, &end) < 0 || *end ||
        value > (negative ? (uint64_t)INT32_MAX + 1 : UINT32_MAX))
        return -EINVAL;
    *ret = negative ? (uint32_t)(0 - value) : (uint32_t)value;
    return 0;
}

static int parse_id(const char *text, uint32_t *ret)
{
    uint64_t value;
    if (parse_number(text, 0, UINT32_MAX - 1, &value) < 0)
        return -EINVAL;
    *ret = (uint32_t)value;
    return 0;
}

int parse_user(const char *text, uint32_t *ret)
{
    if (*text >= '0' && *text <= '9')
        return parse_id(text, ret);
    const struct passwd *user = getpwnam(text);
    if (!user)
        return -EINVAL;
    *ret = user->pw_uid;
    return 0;
}

int parse_group(const char *text, uint32_t *ret)
{
    if (*text >= '0' && *text <= '9')
        return parse_id(text, ret);
    const struct group *group = getgrnam(text);
    if (!group)
        return -EINVAL;
    *ret = group->gr_gid;
    return 0;
}

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
