/* SPDX-License-Identifier: MIT */
#include "protocol/json_number.h"

#include <string.h>

/* How many digits stand at AT. */
static size_t digits_at(const char *text, size_t len, size_t at)
{
    size_t n = 0;
    while (at + n < len && text[at + n] >= '0' && text[at + n] <= '9')
        n++;
    return n;
}

static bool is_beyond_int64(const char *digits, size_t n, bool negative)
{
    static const char max[] = "9223372036854775807", min[] = "9223372036854775808";
    if (n != sizeof(max) - 1)
        return n > sizeof(max) - 1;
    return memcmp(digits, negative ? min : max, n) > 0;
}

struct json_number json_number_read(const char *text, size_t len)
{
    struct json_number n = {.is_integer = true};
    bool negative = len > 0 && text[0] == '-';
    size_t start = negative, digits = digits_at(text, len, start);
    if (digits > 1 && text[start] == '0')
        digits = 1; /* and what follows makes it none */
    n.len = start + digits;
    if (digits == 0 || digits_at(text, len, n.len) > 0)
        return n;
    n.is_beyond_int64 = is_beyond_int64(text + start, digits, negative);
    if (n.len < len && text[n.len] == '.') {
        n.is_integer = false;
        n.len++;
        digits = digits_at(text, len, n.len);
        n.len += digits;
        if (digits == 0)
            return n;
    }
    if (n.len < len && (text[n.len] == 'e' || text[n.len] == 'E')) {
        n.is_integer = false;
        n.len++;
        if (n.len < len && (text[n.len] == '+' || text[n.len] == '-'))
            n.len++;
        digits = digits_at(text, len, n.len);
        n.len += digits;
        if (digits == 0)
            return n;
    }
    n.is_number = true;
    n.is_beyond_int64 = n.is_beyond_int64 && n.is_integer;
    return n;
}
