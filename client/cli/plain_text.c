/* SPDX-License-Identifier: MIT */
#include "client/cli/plain_text.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* The length of the character that TEXT (of LEN bytes, at least 1) begins with and its number in
 * Unicode; 0: it is no UTF-8. */
static size_t decode(const char *text, size_t len, uint32_t *ret)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } kinds[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if ((bytes[0] & kinds[n - 1].mask) != kinds[n - 1].lead)
            continue;
        uint32_t c = bytes[0] & (unsigned char)~kinds[n - 1].mask;
        for (size_t i = 1; i < n; i++) {
            if ((bytes[i] & 0xC0) != 0x80)
                return 0;
            c = c << 6 | (bytes[i] & 0x3F);
        }
        if (c < kinds[n - 1].least || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return 0;
        *ret = c;
        return n;
    }
    return 0;
}

bool plain_text_is_utf8(const char *text)
{
    uint32_t c;
    size_t n = 1;
    for (size_t len = strlen(text); len > 0 && n > 0; len -= n, text += n)
        n = decode(text, len, &c);
    return n > 0;
}

/* Characters of Unicode that are not seen, and those that turn the direction of what follows: by
 * them a name can look like another one. */
static bool is_unseen(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0xAD, 0xAD},       {0x61C, 0x61C},    {0x180E, 0x180E}, {0x200B, 0x200F},
                  {0x2028, 0x202E},   {0x2060, 0x206F},  {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB},
                  {0x1D173, 0x1D17A}, {0xE0000, 0xE007F}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || is_unseen(c);
}

enum { PIECE_SIZE = 12 };

/* The next piece of TEXT as it is to be printed; how many bytes of TEXT that took. */
static size_t next_piece(const char *text, size_t len, char ret[PIECE_SIZE])
{
    uint32_t c = 0;
    size_t n = decode(text, len, &c);
    if (n == 0 || (n == 1 && is_control(c)))
        snprintf(ret, PIECE_SIZE, "\\x%02x", (unsigned)(unsigned char)*text);
    else if (is_control(c))
        snprintf(ret, PIECE_SIZE, c > 0xFFFF ? "\\U%08x" : "\\u%04x", (unsigned)c);
    else
        snprintf(ret, PIECE_SIZE, "%.*s", (int)n, text);
    return n ? n : 1;
}

void print_plain(FILE *file, const char *text)
{
    char piece[PIECE_SIZE];
    for (size_t len = strlen(text), n; len > 0; text += n, len -= n) {
        n = next_piece(text, len, piece);
        fputs(piece, file);
    }
}

void plain_text(const char *text, char *ret, size_t size)
{
    char piece[PIECE_SIZE];
    size_t used = 0;
    for (size_t len = strlen(text), n; len > 0; text += n, len -= n) {
        n = next_piece(text, len, piece);
        if (used + strlen(piece) >= size)
            break;
        memcpy(ret + used, piece, strlen(piece));
        used += strlen(piece);
    }
    ret[used] = '\0';
}

/* How many columns of a terminal the character C takes. */
static size_t width_of(uint32_t c)
{
    int width = wcwidth((wchar_t)c);
    return width < 0 ? 1 : (size_t)width; /* the locale does not know it */
}

size_t plain_text_cut(const char *text, size_t width, size_t *ret_width)
{
    size_t used = 0, bytes = 0;
    for (size_t len = strlen(text), n; len > 0; bytes += n, len -= n) {
        uint32_t c = 0;
        n = decode(text + bytes, len, &c);
        n = n ? n : 1;
        if (used + width_of(c) > width)
            break;
        used += width_of(c);
    }
    *ret_width = used;
    return bytes;
}

size_t plain_text_width(const char *text)
{
    size_t width;
    (void)plain_text_cut(text, SIZE_MAX / 2, &width);
    return width;
}

/* How a shell reads a word: as it stands, between '...', or between $'...', where the escapes of
 * next_piece() mean the characters that they stand for. */
enum quoting { QUOTING_NONE, QUOTING_LITERAL, QUOTING_ESCAPES };

static enum quoting quoting_of(const char *text)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "_./:@%+=,-";
    char piece[PIECE_SIZE];
    if (*text && text[strspn(text, harmless)] == '\0')
        return QUOTING_NONE;
    for (size_t len = strlen(text), n; len > 0; text += n, len -= n) {
        n = next_piece(text, len, piece);
        if (strpbrk(piece, "'\\"))
            return QUOTING_ESCAPES;
    }
    return QUOTING_LITERAL;
}

void shell_word(const char *text, char *ret, size_t size)
{
    static const char *const begin[] = {"", "'", "$'"}, *const end[] = {"", "'", "'"};
    enum quoting quoting = quoting_of(text);
    char piece[PIECE_SIZE];
    size_t used = (size_t)snprintf(ret, size, "%s", begin[quoting]);
    for (size_t len = strlen(text), n; len > 0 && used < size; text += n, len -= n) {
        n = next_piece(text, len, piece);
        bool is_special = n == 1 && (*text == '\'' || *text == '\\');
        used += (size_t)snprintf(ret + used, size - used, "%s%s", is_special ? "\\" : "", piece);
    }
    if (used < size)
        used += (size_t)snprintf(ret + used, size - used, "%s", end[quoting]);
    if (used >= size)
        *ret = '\0';
}

void print_json_text(FILE *file, const char *json, size_t len)
{
    for (size_t n; len > 0; json += n, len -= n) {
        uint32_t c = 0xFFFD; /* for what is no UTF-8 */
        n = decode(json, len, &c);
        if (n == 0) {
            fputs("\\ufffd", file);
            n = 1;
        } else if (c < 0x20) {
            fputc(' ', file);
        } else if (is_control(c) && c > 0xFFFF) {
            fprintf(file, "\\u%04x\\u%04x", 0xD800 + (unsigned)((c - 0x10000) >> 10),
                    0xDC00 + (unsigned)((c - 0x10000) & 0x3FF));
        } else if (is_control(c)) {
            fprintf(file, "\\u%04x", (unsigned)c);
        } else {
            fwrite(json, 1, n, file);
        }
    }
}
