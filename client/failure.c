/*
 * What went wrong in a call, noted in the handle for shmd_last_failure().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* The strings of the failure lie in the reply, which moves along, or in failure_text. */
void failure_keep(struct shmd *shmd, struct kept_failure *ret)
{
    *ret = (struct kept_failure){
        .failure = shmd->failure,
        .params = shmd->failure_params,
        .line = shmd->line,
        .reply = shmd->reply,
    };
    memcpy(ret->text, shmd->failure_text, sizeof(ret->text));
    shmd->failure_params = NULL;
    shmd->line = NULL;
    shmd->reply = (struct client_message){0};
}

void failure_put_back(struct shmd *shmd, struct kept_failure *kept)
{
    connection_begin(shmd);
    shmd->failure = kept->failure;
    shmd->failure_params = kept->params;
    shmd->line = kept->line;
    shmd->reply = kept->reply;
    memcpy(shmd->failure_text, kept->text, sizeof(kept->text));
}

const struct shmd_failure *shmd_last_failure(const struct shmd *shmd)
{
    return shmd->failure.code ? &shmd->failure : NULL;
}
