/* SPDX-License-Identifier: MIT */
/*
 * The first bytes of a peer that speaks another framing or another protocol: the Content-Length
 * header of language servers, HTTP, the record separator of JSON text sequences. They can be no
 * JSON, and what follows them would only be more errors, so the peer is told what it sent.
 *
 * Bytes are matched one by one as they come, against all beginnings at once.
 */
#ifndef SHMD_PROTOCOL_OTHER_FRAMING_H
#define SHMD_PROTOCOL_OTHER_FRAMING_H

#include <stddef.h>
#include <stdint.h>

/* A bit for each beginning that is still possible. */
typedef uint16_t framing_set;

/* Before the first byte: all. */
framing_set framing_all(void);
/* Those of SET whose byte AT is C. */
framing_set framing_match(framing_set set, size_t at, char c);
/* What it is, in words, when one of SET is LEN bytes long and thus complete; else NULL. */
const char *framing_complete(framing_set set, size_t len);

#endif
