/* SPDX-License-Identifier: MIT */
#include "tests/simulation/script.h"

#include <stdlib.h>
#include <string.h>

void script_add(struct script *script, const char *step)
{
    if (script->n == script->capacity) {
        script->capacity = script->capacity ? script->capacity * 2 : 256;
        script->steps = realloc(script->steps, script->capacity * sizeof(*script->steps));
        if (!script->steps)
            abort();
    }
    char *copy = strdup(step);
    if (!copy)
        abort();
    script->steps[script->n++] = copy;
}

void script_cut(struct script *script, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        free(script->steps[i]);
    memmove(&script->steps[from], &script->steps[from + n],
            (script->n - from - n) * sizeof(*script->steps));
    script->n -= n;
}

void script_copy(const struct script *script, struct script *into)
{
    *into = (struct script){0};
    for (size_t i = 0; i < script->n; i++)
        script_add(into, script->steps[i]);
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->n; i++)
        free(script->steps[i]);
    free(script->steps);
    *script = (struct script){0};
}

bool script_read(struct script *script, const char *path)
{
    FILE *in = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    if (!in) {
        perror(path);
        return false;
    }
    *script = (struct script){0};
    for (ssize_t n; (n = getline(&line, &capacity, in)) >= 0;) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (line[0] && line[0] != '#')
            script_add(script, line);
    }
    free(line);
    fclose(in);
    return true;
}

void script_write(const struct script *script, FILE *out)
{
    for (size_t i = 0; i < script->n; i++)
        fprintf(out, "%s\n", script->steps[i]);
}
