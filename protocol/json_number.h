/* SPDX-License-Identifier: MIT */
/* The grammar of JSON's numbers, and which integers fit 64 bits. */
#ifndef SHMD_PROTOCOL_JSON_NUMBER_H
#define SHMD_PROTOCOL_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

struct json_number {
    size_t len;           /* bytes of it; where it went wrong when it is no number */
    bool is_number;       /* as JSON writes it */
    bool is_integer;      /* without fraction and exponent */
    bool is_beyond_int64; /* an integer that no int64 holds */
};

/* The number at the start of TEXT, which may go on behind it. */
struct json_number json_number_read(const char *text, size_t len);

#endif
