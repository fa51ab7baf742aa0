/* SPDX-License-Identifier: MIT */
#include "protocol/other_framing.h"

#include <stdbool.h>
#include <string.h>

struct beginning {
    const char *bytes;
    const char *what;
    bool any_case; /* as the names of headers are */
};

static const struct beginning beginnings[] = {
    {"\x1e", "the record separator 0x1e (RFC 7464)", false},
    {"Content-Length:", "a Content-Length header", true},
    {"Content-Type:", "a Content-Type header", true},
    {"HTTP/", "HTTP", false},
    {"PRI * HTTP/", "HTTP", false},
    {"GET ", "HTTP (GET)", false},
    {"HEAD ", "HTTP (HEAD)", false},
    {"POST ", "HTTP (POST)", false},
    {"PUT ", "HTTP (PUT)", false},
    {"PATCH ", "HTTP (PATCH)", false},
    {"DELETE ", "HTTP (DELETE)", false},
    {"OPTIONS ", "HTTP (OPTIONS)", false},
    {"CONNECT ", "HTTP (CONNECT)", false},
    {"TRACE ", "HTTP (TRACE)", false},
};
enum { COUNT = sizeof(beginnings) / sizeof(beginnings[0]) };

_Static_assert(COUNT <= 8 * sizeof(framing_set), "one bit each");

framing_set framing_all(void)
{
    return (framing_set)((1u << COUNT) - 1);
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* In ASCII the two cases of a letter differ in one bit. */
static bool is_same_letter(char a, char b)
{
    return is_letter(a) && is_letter(b) && ((a ^ b) & ~0x20) == 0;
}

framing_set framing_match(framing_set set, size_t at, char c)
{
    framing_set left = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const struct beginning *b = &beginnings[i];
        if (!(set >> i & 1) || at >= strlen(b->bytes))
            continue;
        char want = b->bytes[at];
        if (c == want || (b->any_case && is_same_letter(c, want)))
            left |= (framing_set)(1u << i);
    }
    return left;
}

const char *framing_complete(framing_set set, size_t len)
{
    for (size_t i = 0; i < COUNT; i++)
        if (set >> i & 1 && strlen(beginnings[i].bytes) == len)
            return beginnings[i].what;
    return NULL;
}
