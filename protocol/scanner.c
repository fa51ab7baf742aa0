#include "protocol/scanner.h"

#include "protocol/limits.h"

_Static_assert(JSON_DEPTH_MAX <= 32, "the bracket stack is 32 bits");

void scanner_init(struct scanner *s, size_t limit)
{
    *s = (struct scanner){.limit = (uint32_t)limit, .state = SCAN_BETWEEN};
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

/* 0: taken, 1: taken and the value is complete, -1: not JSON here. */
static int take_in_container(struct scanner *s, char c)
{
    switch (c) {
    case '"': s->state = SCAN_STRING; return 0;
    case '{':
    case '[':
        if (s->depth == JSON_DEPTH_MAX)
            return -1;
        s->stack = (s->stack << 1) | (c == '[');
        s->depth++;
        s->state = SCAN_CONTAINER;
        return 0;
    case '}':
    case ']':
        if ((s->stack & 1) != (c == ']'))
            return -1;
        s->stack >>= 1;
        s->depth--;
        return s->depth == 0;
    case '\0': return -1; /* a frame's end in the midst of a value */
    default: return 0;
    }
}

static int take(struct scanner *s, char c)
{
    switch ((enum scan_state)s->state) {
    case SCAN_BETWEEN:
        if (starts_scalar(c)) {
            s->state = SCAN_SCALAR;
            return 0;
        }
        return c == '"' || c == '{' || c == '[' ? take_in_container(s, c) : -1;
    case SCAN_CONTAINER: return take_in_container(s, c);
    case SCAN_STRING:
        if ((unsigned char)c < 0x20)
            return -1;
        if (c == '\\')
            s->state = SCAN_ESCAPE;
        if (c != '"')
            return 0;
        s->state = SCAN_CONTAINER;
        return s->depth == 0;
    case SCAN_ESCAPE:
        if ((unsigned char)c < 0x20)
            return -1;
        s->state = SCAN_STRING;
        return 0;
    case SCAN_SCALAR: return is_scalar(c) ? 0 : -1;
    case SCAN_RESYNC: break;
    }
    return -1;
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
    s->stack = 0;
    s->depth = 0;
    s->state = SCAN_BETWEEN;
}

enum scan_status scanner_scan(struct scanner *s, const char *data, size_t len, size_t *ret_taken)
{
    size_t i = 0;
    enum scan_status status = SCAN_MORE;

    for (; i < len; i++) {
        size_t skipped = skip(s, data + i, len - i);
        s->length += (uint32_t)skipped;
        i += skipped;
        if (i == len)
            break;
        char c = data[i];
        if (s->state == SCAN_RESYNC) {
            if (c == '\n' || c == '\0')
                s->state = SCAN_BETWEEN;
            continue;
        }
        if (s->state == SCAN_BETWEEN) {
            if (is_space(c))
                continue;
            s->length = 0;
        }
        if (s->state == SCAN_SCALAR &&
            (is_space(c) || c == '\0' || c == '{' || c == '[' || c == '"')) {
            forget(s);
            status = SCAN_VALUE;
            break;
        }
        int taken = take(s, c);
        if (taken < 0) {
            status = SCAN_BAD;
            break;
        }
        if (++s->length > s->limit) {
            i++;
            status = SCAN_TOO_LARGE;
            break;
        }
        if (taken > 0) {
            i++;
            forget(s);
            status = SCAN_VALUE;
            break;
        }
    }
    *ret_taken = i;
    return status;
}

size_t scanner_length(const struct scanner *s)
{
    return s->length;
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
