/* SPDX-License-Identifier: MIT */
#include "client/cli/parse.h"

#include <ctype.h>
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

enum { FRACTION_DIGITS = 9 };

/* What may follow a number: "." and digits, that is PARTS of WHOLE, a power of ten. RET_END: what
 * follows. */
static int fraction(const char *text, uint64_t *ret_parts, uint64_t *ret_whole,
                    const char **ret_end)
{
    uint64_t parts = 0, whole = 1;
    size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;
    if (*text == '.' && (digits == 0 || digits > FRACTION_DIGITS))
        return -EINVAL;
    for (size_t i = 0; i < digits; i++) {
        parts = parts * 10 + (uint64_t)(text[1 + i] - '0');
        whole *= 10;
    }
    *ret_parts = parts;
    *ret_whole = whole;
    *ret_end = digits ? text + 1 + digits : text;
    return 0;
}

/* PARTS of WHOLE, shifted and rounded up: a segment is never smaller than what was asked for. */
static uint64_t shift_fraction(uint64_t parts, uint64_t whole, unsigned shift)
{
    uint64_t value = 0;
    for (unsigned done = 0; done < shift; done += 10) {
        parts *= 1024;
        value = value * 1024 + parts / whole;
        parts %= whole;
    }
    return value + (parts > 0);
}

int parse_size(const char *text, uint64_t *ret)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    uint64_t value, parts = 0, whole = 1;
    const char *end;
    if (hex && !isxdigit((unsigned char)text[2]))
        return -EINVAL;
    int r = leading_number(text, hex ? 16 : 10, &value, &end);
    if (r == 0 && !hex)
        r = fraction(end, &parts, &whole, &end);
    if (r < 0)
        return r;
    const char *unit = *end && !hex ? strchr(units, *end == 'k' ? 'K' : *end) : NULL;
    unsigned shift = 0;
    if (unit) {
        shift = 10 * ((unsigned)(unit - units) + 1);
        end++;
        if (strcmp(end, "iB") == 0)
            end += 2;
    }
    if (*end || (whole > 1 && shift == 0))
        return -EINVAL;
    if (value > (uint64_t)INT64_MAX >> shift)
        return -ERANGE;
    value = (value << shift) + shift_fraction(parts, whole, shift);
    if (value > INT64_MAX)
        return -ERANGE;
    *ret = value;
    return 0;
}

static const struct {
    const char *unit;
    int64_t ms;
} duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]) };

/* The index of the unit that TEXT begins with, which is all letters up to the next digit. */
static size_t find_unit(const char *text, const char **ret_end)
{
    size_t len = strcspn(text, "0123456789"), i = 0;
    while (i < DURATION_UNITS && !(strlen(duration_units[i].unit) == len &&
                                   strncmp(duration_units[i].unit, text, len) == 0))
        i++;
    *ret_end = text + len;
    return i;
}

int parse_duration(const char *text, int64_t *ret_ms)
{
    int64_t sum = 0;
    size_t before = 0; /* the larger unit comes first, and each once */
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return 0;
    }
    do {
        uint64_t value, parts, whole;
        int r = leading_number(text, 10, &value, &text);
        if (r == 0)
            r = fraction(text, &parts, &whole, &text);
        if (r < 0)
            return r;
        size_t i = find_unit(text, &text);
        if (i < before || i == DURATION_UNITS)
            return -EINVAL;
        int64_t ms = duration_units[i].ms;
        if (value > (uint64_t)(INT64_MAX / 4 / ms))
            return -ERANGE;
        sum += (int64_t)value * ms + (int64_t)((parts * (uint64_t)ms + whole - 1) / whole);
        if (sum > INT64_MAX / 4)
            return -ERANGE;
        before = i + 1;
    } while (*text);
    *ret_ms = sum;
    return 0;
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
