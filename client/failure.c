/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in a call, noted in the handle for shmd_last_failure().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/internal.h"

int failure_set(struct shmd *shmd, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(shmd->failure_text, sizeof(shmd->failure_text), format, args);
    va_end(args);
    shmd->failure =
        (struct shmd_failure){.code = code, .message = shmd->failure_text, .parameters = "{}"};
    return code;
}

int failure_of_answer(struct shmd *shmd, int r)
{
    if (r == -ENOMEM)
        return failure_set(shmd, r, "out of memory");
    return failure_set(shmd, r, "the answer is not one of shmd's protocol");
}

const struct shmd_failure *shmd_last_failure(const struct shmd *shmd)
{
    return shmd->failure.code ? &shmd->failure : NULL;
}
