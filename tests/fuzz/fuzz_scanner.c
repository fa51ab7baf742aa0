/* SPDX-License-Identifier: MIT */
/*
 * The scanner cuts a stream at the same bytes however it is chopped, looks at no byte twice, and
 * agrees with jansson on where a value ends: what jansson takes as the first value of the stream
 * (an object or an array within the limits) the scanner cuts off at that byte.
 */
#include <jansson.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/scanner.h"
#include "tests/fuzz/fuzz.h"

enum { LIMIT = 4096, CUTS_MAX = 512 };

struct cut {
    enum scan_status status;
    size_t at, length;
};

struct cuts {
    struct cut items[CUTS_MAX];
    size_t count;
};

static void note(struct cuts *c, enum scan_status status, size_t at, size_t length)
{
    if (c->count < CUTS_MAX)
        c->items[c->count++] = (struct cut){status, at, length};
}

/* Of the bytes at AT, LEFT are left. */
static void check_failure(const struct scanner *s, enum scan_status status, const char *at,
                          size_t left)
{
    struct failure f;
    char byte = '\0';
    if (left > 0)
        byte = *at;
    scanner_failure(s, status, byte, &f);
    MUST(strncmp(failure_message(&f), "(null)", 6) != 0 && !strstr(failure_message(&f), "(null)"));
    MUST(f.error ==
         (status == SCAN_TOO_LARGE ? PROTOCOL_ERROR_INVALID_REQUEST : PROTOCOL_ERROR_PARSE));
}

/* Scans all of DATA in pieces of STEP bytes, as far as a session would. */
static void scan(const uint8_t *data, size_t size, size_t step, struct cuts *ret)
{
    struct scanner s;
    size_t at = 0;
    *ret = (struct cuts){.count = 0};
    scanner_init(&s, LIMIT);
    while (at < size) {
        size_t taken = SIZE_MAX, piece = step - at % step;
        size_t n = size - at < piece ? size - at : piece;
        enum scan_status status = scanner_scan(&s, (const char *)data + at, n, &taken);
        MUST(taken <= n);
        MUST(status != SCAN_MORE || taken == n);
        at += taken;
        if (status == SCAN_VALUE)
            MUST(scanner_length(&s) <= at && scanner_length(&s) <= LIMIT);
        if (status != SCAN_MORE)
            note(ret, status, at, status == SCAN_VALUE ? scanner_length(&s) : 0);
        bool is_last = status == SCAN_TOO_LARGE || status == SCAN_FOREIGN ||
                       (status == SCAN_BAD && scanner_spans_lines(&s));
        if (status != SCAN_MORE && status != SCAN_VALUE)
            check_failure(&s, status, (const char *)data + at, size - at);
        if (is_last) {
            scanner_deinit(&s);
            return;
        }
        if (status == SCAN_BAD)
            scanner_resync(&s);
    }
    enum scan_status last = scanner_finish(&s);
    MUST(last == SCAN_MORE || last == SCAN_VALUE || last == SCAN_BAD);
    note(ret, last, at, last == SCAN_VALUE ? scanner_length(&s) : 0);
    MUST(!scanner_unfinished(&s));
    scanner_deinit(&s);
}

static void compare_with_jansson(const uint8_t *data, size_t size, const struct cuts *whole)
{
    json_error_t error;
    size_t start = 0;
    while (start < size && strchr(" \t\r\n", data[start]) && data[start])
        start++;
    if (start == size || (data[start] != '{' && data[start] != '['))
        return;
    json_t *root = json_loadb((const char *)data, size,
                              JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return;
    size_t end = (size_t)error.position;
    json_decref(root);
    const struct cut *first = &whole->items[0];
    MUST(whole->count > 0);
    if (first->status == SCAN_VALUE)
        MUST(first->at == end && first->length == end - start);
    else /* the wire's limit, or the NUL that jansson skips over after a number */
        MUST(end - start > LIMIT || memchr(data + start, 0, end - start + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cuts whole, pieces;
    scan(data, size, size + 1, &whole);
    for (size_t step = 1; step <= 16; step = step * 3 + 1) {
        scan(data, size, step, &pieces);
        MUST(pieces.count == whole.count);
        MUST(memcmp(pieces.items, whole.items, whole.count * sizeof(whole.items[0])) == 0);
    }
    compare_with_jansson(data, size, &whole);
    return 0;
}
