/* SPDX-License-Identifier: MIT */
/* Whether the declared segments contradict one another. */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/declared.h"

/* An entry as the trees have it. */
struct seen {
    const struct declared_segment *declaration;
    char *text; /* all that it asks for, owned */
};

struct checking {
    struct config_errors *errors;
    struct seen *seen;      /* the entries that stay, owned */
    void *by_name, *by_key; /* trees of tsearch(): the first entry of each name, of each key */
};

static uint32_t key_of(const struct seen *seen)
{
    return (uint32_t)seen->declaration->params.key.value;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->declaration->params.name,
                  ((const struct seen *)b)->declaration->params.name);
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = key_of(a), y = key_of(b);
    return (x > y) - (x < y);
}

static int by_label(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static void write_optional(FILE *to, const char *what, const struct opt_int *value)
{
    if (value->given)
        fprintf(to, "%s %" PRId64 "\n", what, value->value);
}

/* PARAMS in words, equal when they ask for the same; `lifetime` and `ready` have one value here.
 * NULL: out of memory. */
static char *describe(const struct create_params *p)
{
    struct labels labels = p->labels;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return NULL;
    fprintf(to, "%s %" PRIu32 " %" PRId64 " %" PRIo64 "\n", p->name ? p->name : "",
            (uint32_t)p->key.value, p->size.value,
            (uint64_t)(p->mode.given ? p->mode.value : 0600));
    write_optional(to, "uid", &p->uid);
    write_optional(to, "gid", &p->gid);
    write_optional(to, "ttl_ms", &p->ttl_ms);
    write_optional(to, "idle_ttl_ms", &p->idle_ttl_ms);
    fprintf(to, "%" PRId64 " %d %d\n", p->huge_page_size.value, p->noreserve.value,
            p->locked.value);
    qsort(labels.items, labels.count, sizeof(labels.items[0]), by_label);
    for (size_t i = 0; i < labels.count; i++)
        fprintf(to, "%s %s\n", labels.items[i].key, labels.items[i].value);
    bool is_whole = !ferror(to);
    if (fclose(to) == 0 && is_whole)
        return text;
    free(text);
    return NULL;
}

/* What TREE has for SEEN, if anything: an earlier entry. */
static const struct seen *earlier_of(void *const *tree, const struct seen *seen,
                                     int (*order)(const void *, const void *))
{
    void *node = tfind(seen, tree, order);
    return node ? *(const struct seen **)node : NULL;
}

static bool contradicts(const struct checking *c, const struct seen *seen,
                        const struct seen *earlier, const char *key, const char *subject)
{
    if (!earlier || strcmp(earlier->text, seen->text) == 0)
        return false;
    config_errors_add(c->errors, seen->declaration->file, seen->declaration->line, key,
                      "%s is declared differently in %s, line %u", subject,
                      earlier->declaration->file, earlier->declaration->line);
    return true;
}

/* Whether SEEN, which is in no tree yet, agrees with all earlier entries. */
static bool agrees(const struct checking *c, const struct seen *seen)
{
    const struct create_params *p = &seen->declaration->params;
    char key[32];
    snprintf(key, sizeof(key), "key %" PRIu32, key_of(seen));
    if (p->name && contradicts(c, seen, earlier_of(&c->by_name, seen, by_name), "name", p->name))
        return false;
    return key_of(seen) == 0 ||
           !contradicts(c, seen, earlier_of(&c->by_key, seen, by_key), "key", key);
}

static int remember(struct checking *c, const struct seen *seen)
{
    if (seen->declaration->params.name && !tsearch(seen, &c->by_name, by_name))
        return -ENOMEM;
    return key_of(seen) == 0 || tsearch(seen, &c->by_key, by_key) ? 0 : -ENOMEM;
}

/* The entries that stay move to the front, where the trees refer to them: an entry is moved before
 * it is remembered. */
static int check_all(struct checking *c, struct declared *declared)
{
    size_t kept = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < declared->count; i++) {
        struct seen *seen = &c->seen[kept];
        declared->items[kept] = declared->items[i];
        *seen = (struct seen){&declared->items[kept], describe(&declared->items[kept].params)};
        if (!seen->text)
            return -ENOMEM;
        if (agrees(c, seen)) {
            r = remember(c, seen);
            kept++;
        } else {
            free(steal_pointer(&seen->text));
        }
    }
    declared->count = kept;
    return r;
}

static void keep(void *seen)
{
    (void)seen;
}

int declared_drop_contradictions(struct declared *declared, struct config_errors *errors)
{
    size_t n = declared->count;
    if (n == 0)
        return 0;
    struct checking c = {.errors = errors, .seen = calloc(n, sizeof(*c.seen))};
    if (!c.seen)
        return -ENOMEM;
    int r = check_all(&c, declared);
    tdestroy(c.by_name, keep);
    tdestroy(c.by_key, keep);
    for (size_t i = 0; i < n; i++)
        free(c.seen[i].text);
    free(c.seen);
    return r;
}
