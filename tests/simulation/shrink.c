/* SPDX-License-Identifier: MIT */
#include "tests/simulation/shrink.h"

#include <string.h>
#include <time.h>

#include "tests/simulation/run.h"

enum { MEMBERS_MAX = 1024 };

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

/* Where the members of the batch that STEP says are, as START[i] up to START[i + 1], which is
 * behind the comma between them: how many; 0: it says none. @ stands in them, so that it is no
 * JSON. */
static size_t find_members(const char *step, size_t *start, size_t max)
{
    const char *array = strstr(step, " [");
    int depth = 0;
    bool in_string = false;
    size_t n = 0;
    if (strncmp(step, "say ", 4) != 0 || !array || strchr(step, '{') < array)
        return 0;
    start[n++] = (size_t)(array + 2 - step);
    for (size_t i = start[0]; step[i] && n < max; i++) {
        const char c = step[i];
        if (in_string) {
            in_string = c != '"';
            if (c == '\\')
                i++;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}') {
            depth--;
        } else if (c == ']' && depth-- == 0) {
            start[n] = i + 1;
            return n;
        } else if (c == ',' && depth == 0) {
            start[n++] = i + 1;
        }
    }
    return 0;
}

/* Takes the members from FROM on, N of them, out of the batch of step I. */
static bool try_smaller_batch(struct script *script, size_t i, const size_t *start, size_t members,
                              size_t from, size_t n, const char *reason)
{
    struct script shorter;
    script_copy(script, &shorter);
    char *step = shorter.steps[i];
    /* Of the last ones the comma before them goes, and the bracket stays. */
    const bool is_last = from + n == members;
    char *to = step + start[from] - (is_last && from > 0);
    const char *rest = step + start[from + n] - is_last;
    memmove(to, rest, strlen(rest) + 1);
    if (!still_fails(&shorter, reason)) {
        script_free(&shorter);
        return false;
    }
    script_free(script);
    *script = shorter;
    return true;
}

static void shrink_batch(struct script *script, size_t i, const char *reason, time_t end)
{
    size_t start[MEMBERS_MAX + 1];
    size_t members = find_members(script->steps[i], start, MEMBERS_MAX);
    for (size_t n = members / 2; n > 0; n /= 2)
        for (size_t from = members; from > 0 && time(NULL) < end;) {
            from = from > n ? from - n : 0;
            const size_t left = members - from;
            if (try_smaller_batch(script, i, start, members, from, n < left ? n : left, reason))
                members = find_members(script->steps[i], start, MEMBERS_MAX);
            if (from > members)
                from = members;
        }
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
    for (size_t i = 0; i < script->n; i++)
        shrink_batch(script, i, reason, end);
}
