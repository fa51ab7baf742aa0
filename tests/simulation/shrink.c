/* SPDX-License-Identifier: MIT */
#include "tests/simulation/shrink.h"

#include <string.h>
#include <time.h>

#include "tests/simulation/run.h"

/* What kind of failure it is: another one may have another cause. */
static bool is_same_failure(const char *a, const char *b)
{
    for (; *a && *b && *a != '\n'; a++, b++) {
        while (*a >= '0' && *a <= '9')
            a++;
        while (*b >= '0' && *b <= '9')
            b++;
        if (*a != *b)
            return false;
        if (*a == '\0' || *a == '(')
            return true;
    }
    return true;
}

static bool still_fails(const struct script *script, const char *reason)
{
    char now[REASON_BYTES];
    return !run_script(script, false, now) && is_same_failure(reason, now);
}

static bool try_without(struct script *script, size_t from, size_t n, const char *reason)
{
    struct script shorter;
    script_copy(script, &shorter);
    script_cut(&shorter, from, n);
    if (!still_fails(&shorter, reason)) {
        script_free(&shorter);
        return false;
    }
    script_free(script);
    *script = shorter;
    return true;
}

void shrink(struct script *script, unsigned seconds)
{
    const time_t end = time(NULL) + (time_t)seconds;
    char reason[REASON_BYTES];
    if (run_script(script, false, reason))
        return;
    for (size_t n = script->n / 2; n > 0; n /= 2) {
        bool again = true;
        while (again && time(NULL) < end) {
            again = false;
            for (size_t from = script->n; from > 0 && time(NULL) < end;) {
                from = from > n ? from - n : 0;
                size_t left = script->n - from;
                if (try_without(script, from, n < left ? n : left, reason))
                    again = n == 1;
            }
        }
    }
}
