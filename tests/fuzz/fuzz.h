/* SPDX-License-Identifier: MIT */
/*
 * What fuzz targets share. Each is one function, called by libFuzzer (make fuzz) or by replay.c,
 * which feeds it the seeds and past findings in corpus/ under any compiler (make check).
 *
 * A target aborts on what must not be.
 */
#ifndef SHMD_TESTS_FUZZ_FUZZ_H
#define SHMD_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
