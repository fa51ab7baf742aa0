/* SPDX-License-Identifier: MIT */
/*
 * JSON-RPC 2.0: bytes -> message, reply -> bytes. No I/O. `PROTOCOL.md` has the table of what
 * each malformed envelope is answered.
 */
#ifndef SHMD_PROTOCOL_JSONRPC_H
#define SHMD_PROTOCOL_JSONRPC_H

#include "protocol/dialect.h"

extern const struct dialect jsonrpc_dialect;

#endif
