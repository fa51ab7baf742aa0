/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share: cmocka with the headers it wants before it, and assertions that show
 * both texts when they differ. Each test is one program with one group, so that it prints one TAP
 * plan.
 */
#ifndef SHMD_TESTS_UNIT_SUPPORT_H
#define SHMD_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

#define RUN_TESTS(tests) cmocka_run_group_tests(tests, NULL, NULL)

/* GOT, of LEN bytes and without a NUL at its end, is the text WANT. */
#define assert_text(got, len, want) assert_text_at(got, len, want, __FILE__, __LINE__)

static inline void assert_text_at(const char *got, size_t len, const char *want, const char *file,
                                  int line)
{
    char *copy = malloc(len + 1);
    if (!copy)
        abort();
    if (len > 0)
        memcpy(copy, got, len);
    copy[len] = '\0';
    if (strcmp(copy, want) != 0 || strlen(want) != len) {
        print_error("got:  %s\nwant: %s\n", copy, want);
        free(copy);
        _fail(file, line);
        return;
    }
    free(copy);
}

/* TEXT holds PART. */
#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr(text, part)) {                                                                 \
            print_error("\"%s\" does not hold \"%s\"\n", text, part);                              \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* A copy of TEXT in a buffer of exactly LEN bytes, for AddressSanitizer and valgrind to guard. */
static inline char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

/* COUNT times TEXT, on the heap. */
static inline char *repeat(const char *text, size_t count)
{
    size_t len = strlen(text);
    char *all = malloc(len * count + 1);
    if (!all)
        abort();
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * len, text, len);
    all[len * count] = '\0';
    return all;
}

/* Printf to the heap. */
__attribute__((format(printf, 1, 2))) static inline char *text_of(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    return text;
}

/* Whether TEXT is UTF-8 as RFC 3629 has it. */
static inline bool is_utf8(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        size_t more = s[i] < 0x80 ? 0 : s[i] >= 0xF0 ? 3 : s[i] >= 0xE0 ? 2 : 1;
        if ((s[i] >= 0x80 && s[i] < 0xC2) || s[i] > 0xF4 || more >= len - i)
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((s[i + k] & 0xC0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

#endif
