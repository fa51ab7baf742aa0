/* Whether the declared segments contradict one another. */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/declared.h"

/* An entry that was given. */
struct declaration {
    char *name, *file;
    uint32_t key;
    char *text; /* all that it asks for */
    struct declaration *next;
};

struct checking {
    const struct declared_visitor *visitor;
    struct declaration *all;
    void *by_name, *by_key; /* tsearch trees of the first of each */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct declaration *)a)->name, ((const struct declaration *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = ((const struct declaration *)a)->key, y = ((const struct declaration *)b)->key;
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

/* That or an earlier one of its name, or key; NULL: out of memory. */
static const struct declaration *first_of(void **tree, const struct declaration *declaration,
                                          int (*order)(const void *, const void *))
{
    void *node = tsearch(declaration, tree, order);
    return node ? *(const struct declaration **)node : NULL;
}

static int compare_with_earlier(struct checking *c, const struct declaration *declaration)
{
    const struct declaration *others[] = {declaration, declaration};
    if (declaration->name)
        others[0] = first_of(&c->by_name, declaration, by_name);
    if (declaration->key != 0)
        others[1] = first_of(&c->by_key, declaration, by_key);
    if (!others[0] || !others[1])
        return -ENOMEM;
    char key[32];
    snprintf(key, sizeof(key), "key %" PRIu32, declaration->key);
    const char *const subjects[] = {declaration->name, key};
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(others[i]->text, declaration->text) == 0)
            continue;
        char what[1024];
        snprintf(what, sizeof(what), "%s is declared otherwise in %s", subjects[i],
                 others[i]->file);
        c->visitor->complain(c->visitor->context, declaration->file, what);
        return 0;
    }
    return 0;
}

static int check_entry(void *context, const char *file, const struct create_params *params)
{
    struct checking *c = context;
    struct declaration *declaration = calloc(1, sizeof(*declaration));
    if (!declaration)
        return -ENOMEM;
    declaration->next = c->all;
    c->all = declaration;
    declaration->name = params->name ? strdup(params->name) : NULL;
    declaration->key = (uint32_t)params->key.value;
    declaration->file = strdup(file);
    declaration->text = describe(params);
    if ((params->name && !declaration->name) || !declaration->file || !declaration->text)
        return -ENOMEM;
    int r = compare_with_earlier(c, declaration);
    return r < 0 ? r : c->visitor->each(c->visitor->context, file, params);
}

static void pass_complaint(void *context, const char *file, const char *what)
{
    const struct checking *c = context;
    c->visitor->complain(c->visitor->context, file, what);
}

static void keep(void *declaration)
{
    (void)declaration;
}

int declared_check(const char *dir, const struct declared_visitor *visitor)
{
    struct checking c = {.visitor = visitor};
    const struct declared_visitor through = {check_entry, pass_complaint, &c};
    int r = declared_load(dir, &through);
    tdestroy(c.by_name, keep);
    tdestroy(c.by_key, keep);
    while (c.all) {
        struct declaration *next = c.all->next;
        free(c.all->name);
        free(c.all->file);
        free(c.all->text);
        free(c.all);
        c.all = next;
    }
    return r;
}
