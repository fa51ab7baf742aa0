/* SPDX-License-Identifier: MIT */
#include "protocol/scanner.h"

void scanner_init(struct scanner *s, size_t limit)
{
    *s = (struct scanner){.limit = (uint32_t)limit, .state = SCAN_BETWEEN};
}

void scanner_deinit(struct scanner *s)
{
    brackets_clear(&s->brackets);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Bytes of numbers and of true, false, null. Loose on purpose: the decoder is strict. */
static bool is_scalar(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

static bool starts_scalar(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == 't' || c == 'f' || c == 'n';
}

enum take {
    TAKEN,     /* and the value goes on */
    COMPLETE,  /* taken, and the value is complete */
    NOT_JSON,  /* not taken */
    FOREIGN,   /* taken, and it is another framing */
    NO_MEMORY, /* not taken */
};

static enum take take_in_container(struct scanner *s, char c)
{
    switch (c) {
    case '"': s->state = SCAN_STRING; return TAKEN;
    case '{':
    case '[':
        if (brackets_push(&s->brackets, c) < 0)
            return NO_MEMORY;
        s->state = SCAN_CONTAINER;
        return TAKEN;
    case '}':
    case ']':
        if (!brackets_pop(&s->brackets, c))
            return NOT_JSON;
        return s->brackets.depth == 0 ? COMPLETE : TAKEN;
    case '\n': s->spans_lines = true; return TAKEN;
    case '\0': return NOT_JSON; /* a frame's end in the midst of a value */
    default: return TAKEN;
    }
}

static enum take take_other(struct scanner *s, char c)
{
    s->state = SCAN_OTHER;
    s->framings = framing_match(s->framings, s->length, c);
    if (s->framings == 0)
        return NOT_JSON;
    return framing_complete(s->framings, s->length + 1) ? FOREIGN : TAKEN;
}

/* The first byte of a value; a byte order mark may have come before it. */
static enum take take_first(struct scanner *s, char c)
{
    if (starts_scalar(c)) {
        s->state = SCAN_SCALAR;
        return TAKEN;
    }
    return c == '"' || c == '{' || c == '[' ? take_in_container(s, c) : NOT_JSON;
}

#define MARK "\xEF\xBB\xBF"

/* A mark alone on its line, which ends at LF, has no value behind it. */
static enum take take_mark(struct scanner *s, char c)
{
    if (s->length < sizeof(MARK) - 1)
        return c == MARK[s->length] ? TAKEN : NOT_JSON;
    return is_space(c) && c != '\n' ? TAKEN : take_first(s, c);
}

static enum take take_between(struct scanner *s, char c)
{
    enum take taken = take_first(s, c);
    if (taken != NOT_JSON)
        return taken;
    if (c == MARK[0]) {
        s->state = SCAN_MARK;
        return TAKEN;
    }
    s->framings = framing_all();
    return take_other(s, c);
}

static enum take take(struct scanner *s, char c)
{
    switch ((enum scan_state)s->state) {
    case SCAN_BETWEEN: return take_between(s, c);
    case SCAN_CONTAINER: return take_in_container(s, c);
    case SCAN_STRING:
        if ((unsigned char)c < 0x20)
            return NOT_JSON;
        if (c == '\\')
            s->state = SCAN_ESCAPE;
        if (c != '"')
            return TAKEN;
        s->state = SCAN_CONTAINER;
        return s->brackets.depth == 0 ? COMPLETE : TAKEN;
    case SCAN_ESCAPE:
        if ((unsigned char)c < 0x20)
            return NOT_JSON;
        s->state = SCAN_STRING;
        return TAKEN;
    case SCAN_SCALAR: return is_scalar(c) ? TAKEN : NOT_JSON;
    case SCAN_MARK: return take_mark(s, c);
    case SCAN_OTHER: return take_other(s, c);
    case SCAN_RESYNC: break;
    }
    return NOT_JSON;
}

/* The bytes that are looked at one by one, by the state as a bit; controls are in either. */
enum { IN_CONTAINER = 1 << SCAN_CONTAINER, IN_STRING = 1 << SCAN_STRING };
static const unsigned char matters[256] = {
    ['"'] = IN_CONTAINER | IN_STRING,
    ['\\'] = IN_STRING,
    ['{'] = IN_CONTAINER,
    ['}'] = IN_CONTAINER,
    ['['] = IN_CONTAINER,
    [']'] = IN_CONTAINER,
};

/* How many of the next bytes change nothing but the value's length, which stays in the limit. Most
 * bytes are of this kind. */
static size_t skip(const struct scanner *s, const char *data, size_t len)
{
    unsigned state = 1u << s->state;
    size_t room = s->limit - s->length, n = 0;
    if (!(state & (IN_CONTAINER | IN_STRING)))
        return 0;
    if (len > room)
        len = room;
    while (n < len && (unsigned char)data[n] >= 0x20 && !(matters[(unsigned char)data[n]] & state))
        n++;
    return n;
}

static void forget(struct scanner *s)
{
    brackets_clear(&s->brackets);
    s->state = SCAN_BETWEEN;
}

/* What ends a scalar and is not part of it. */
static bool ends_scalar(char c)
{
    return is_space(c) || c == '\0' || c == '{' || c == '[' || c == '"';
}

/* One byte inside of a value, or the first of one. Counts it in RET_TAKEN if it is taken. */
static enum scan_status scan_byte(struct scanner *s, char c, size_t *ret_taken)
{
    if (s->state == SCAN_SCALAR && ends_scalar(c)) {
        forget(s);
        return SCAN_VALUE;
    }
    enum take taken = take(s, c);
    if (taken == NOT_JSON)
        return SCAN_BAD;
    if (taken == NO_MEMORY)
        return SCAN_NO_MEMORY;
    ++*ret_taken;
    if (++s->length > s->limit)
        return SCAN_TOO_LARGE;
    if (taken == FOREIGN)
        return SCAN_FOREIGN;
    if (taken == COMPLETE) {
        forget(s);
        return SCAN_VALUE;
    }
    return SCAN_MORE;
}

enum scan_status scanner_scan(struct scanner *s, const char *data, size_t len, size_t *ret_taken)
{
    size_t i = 0;
    enum scan_status status = SCAN_MORE;

    while (status == SCAN_MORE) {
        size_t skipped = skip(s, data + i, len - i);
        s->length += (uint32_t)skipped;
        i += skipped;
        if (i == len)
            break;
        char c = data[i];
        if (s->state == SCAN_RESYNC) {
            if (c == '\n' || c == '\0')
                s->state = SCAN_BETWEEN;
            i++;
        } else if (s->state == SCAN_BETWEEN && is_space(c)) {
            i++;
        } else {
            if (s->state == SCAN_BETWEEN) {
                s->length = 0;
                s->spans_lines = false;
            }
            status = scan_byte(s, c, &i);
        }
    }
    *ret_taken = i;
    return status;
}

/* Why SCAN_BAD was said of BYTE. */
static void explain(const struct scanner *s, char byte, struct failure *f)
{
    unsigned code = (unsigned char)byte;
    switch ((enum scan_state)s->state) {
    case SCAN_STRING:
    case SCAN_ESCAPE:
        failure_set_message(f,
                            "not JSON: the control character 0x%02x at byte %u, in a string: "
                            "close the string, or write the character as an escape",
                            code, s->length);
        return;
    case SCAN_CONTAINER:
        if (byte == '}' || byte == ']') {
            failure_set_message(f, "not JSON: a %c at byte %u where a %c is open", byte, s->length,
                                brackets_in_array(&s->brackets) ? '[' : '{');
            return;
        }
        break;
    case SCAN_BETWEEN:
    case SCAN_OTHER:
        failure_set_message(f, "not JSON: a value begins with {, [, \", a digit, -, true, false or "
                               "null");
        return;
    case SCAN_SCALAR:
    case SCAN_MARK:
    case SCAN_RESYNC: break;
    }
    failure_set_message(f, "not JSON: unexpected byte 0x%02x at byte %u", code, s->length);
}

void scanner_failure(const struct scanner *s, enum scan_status status, char byte, struct failure *f)
{
    switch (status) {
    case SCAN_TOO_LARGE:
        failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
        failure_set_message(f, "message too large (limit %u)", s->limit);
        return;
    case SCAN_NO_MEMORY: failure_init(f, PROTOCOL_ERROR_INTERNAL); return;
    case SCAN_FOREIGN:
        failure_init(f, PROTOCOL_ERROR_PARSE);
        failure_set_message(f,
                            "not JSON: this begins with %s; expected JSON-RPC 2.0 requests as "
                            "plain JSON values, one after the other, without headers or framing",
                            framing_complete(s->framings, s->length));
        return;
    case SCAN_MORE:
    case SCAN_VALUE:
    case SCAN_BAD: break;
    }
    failure_init(f, PROTOCOL_ERROR_PARSE);
    explain(s, byte, f);
}

size_t scanner_length(const struct scanner *s)
{
    return s->length;
}

bool scanner_spans_lines(const struct scanner *s)
{
    return s->spans_lines;
}

enum scan_status scanner_finish(struct scanner *s)
{
    if (!scanner_unfinished(s))
        return SCAN_MORE;
    enum scan_status status = s->state == SCAN_SCALAR ? SCAN_VALUE : SCAN_BAD;
    forget(s);
    return status;
}

void scanner_resync(struct scanner *s)
{
    forget(s);
    s->state = SCAN_RESYNC;
}

bool scanner_unfinished(const struct scanner *s)
{
    return s->state != SCAN_BETWEEN && s->state != SCAN_RESYNC;
}
