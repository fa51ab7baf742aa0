/* SPDX-License-Identifier: MIT */
/* Numbers and texts in a row of bytes, little-endian, for encoding.c and header.c. */
#ifndef SHMD_STORE_BYTES_H
#define SHMD_STORE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put_bytes(uint8_t **at, const void *bytes, size_t n)
{
    memcpy(*at, bytes, n);
    *at += n;
}

static inline void put_8(uint8_t **at, uint8_t value)
{
    *(*at)++ = value;
}

static inline void put_32(uint8_t **at, uint32_t value)
{
    value = htole32(value);
    put_bytes(at, &value, sizeof(value));
}

static inline void put_64(uint8_t **at, uint64_t value)
{
    value = htole64(value);
    put_bytes(at, &value, sizeof(value));
}

/* What is left to be read. Where too little is left, zeros are read and is_short is set. */
struct bytes_left {
    const uint8_t *at, *end;
    bool is_short;
};

static inline void get_bytes(struct bytes_left *left, void *ret, size_t n)
{
    if ((size_t)(left->end - left->at) < n) {
        left->is_short = true;
        memset(ret, 0, n);
        return;
    }
    memcpy(ret, left->at, n);
    left->at += n;
}

static inline uint8_t get_8(struct bytes_left *left)
{
    uint8_t value;
    get_bytes(left, &value, sizeof(value));
    return value;
}

static inline uint32_t get_32(struct bytes_left *left)
{
    uint32_t value;
    get_bytes(left, &value, sizeof(value));
    return le32toh(value);
}

static inline uint64_t get_64(struct bytes_left *left)
{
    uint64_t value;
    get_bytes(left, &value, sizeof(value));
    return le64toh(value);
}

/* The text up to the next NUL, in place; "" with is_short set when there is no NUL. */
static inline const char *get_text(struct bytes_left *left)
{
    const uint8_t *text = left->at;
    const uint8_t *nul = text < left->end ? memchr(text, '\0', (size_t)(left->end - text)) : NULL;
    if (!nul) {
        left->is_short = true;
        return "";
    }
    left->at = nul + 1;
    return (const char *)text;
}

#endif
