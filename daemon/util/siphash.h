/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a client that does not know the key cannot choose
 * inputs whose hashes collide.
 */
#ifndef SHMD_UTIL_SIPHASH_H
#define SHMD_UTIL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[static 2], const void *data, size_t len);

#endif
