#include "daemon/declared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/message.h"
#include "protocol/terms.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

__attribute__((format(printf, 3, 4))) static void complain(const struct declared_visitor *visitor,
                                                           const char *file, const char *format,
                                                           ...)
{
    char what[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    visitor->complain(visitor->context, file, what);
}

/* Reads FILE whole: 0 or a negative errno. */
static int read_file(const char *file, char **ret, size_t *ret_len)
{
    /* Without O_NONBLOCK a FIFO would wait for a writer. */
    int fd CLEANUP(cleanup_close) = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    char *bytes CLEANUP(cleanup_free) = malloc(FILE_BYTES_MAX + 1);
    if (!bytes)
        return -ENOMEM;
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + len, FILE_BYTES_MAX + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > FILE_BYTES_MAX)
            return -EFBIG;
    }
    *ret = steal_pointer(&bytes);
    *ret_len = len;
    return 0;
}

/* What is not wrong in a request is wrong here: NULL, or the reason. */
static const char *check(const struct create_params *params)
{
    if (!params->name && params->key.value == 0)
        return "parameter name: missing: a declared segment needs one, or a key other than 0";
    if (params->lifetime.given && params->lifetime.value != LIFETIME_PERSISTENT)
        return "parameter lifetime: must be persistent: there is nobody for it to depend on";
    if (params->ready.given && !params->ready.value)
        return "parameter ready: must be true: there is nobody to fill it";
    return NULL;
}

static int take_entry(const struct declared_visitor *visitor, const char *file,
                      const struct message *m, size_t index)
{
    char where[32] = "";
    if (message_is_batch(m))
        snprintf(where, sizeof(where), "entry %zu: ", index + 1);
    union params params;
    struct failure failure;
    if (params_decode(METHOD_CREATE, message_member(m, index), &params, &failure) < 0) {
        complain(visitor, file, "%s%s", where, failure_message(&failure));
        return 0;
    }
    const char *why = check(&params.create);
    if (why) {
        complain(visitor, file, "%s%s", where, why);
        return 0;
    }
    return visitor->each(visitor->context, file, &params.create);
}

static int take_file(const struct declared_visitor *visitor, const char *file)
{
    char *bytes CLEANUP(cleanup_free) = NULL;
    size_t len = 0;
    int r = read_file(file, &bytes, &len);
    if (r == -EFBIG || r == -EINVAL) {
        complain(visitor, file, "%s", r == -EFBIG ? "is longer than 1 MiB" : "is not a file");
        return 0;
    }
    if (r < 0) {
        complain(visitor, file, "cannot be read: %s", strerror(-r));
        return 0;
    }
    struct message m CLEANUP(message_free) = {0};
    struct failure failure;
    if (message_decode(bytes, len, &m, &failure) < 0) {
        complain(visitor, file, "%s", failure_message(&failure));
        return 0;
    }
    for (size_t i = 0; r == 0 && i < message_calls(&m); i++)
        r = take_entry(visitor, file, &m, i);
    return r;
}

static int is_ours(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

/* By byte, in any locale. */
static int compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int declared_load(const char *dir, const struct declared_visitor *visitor)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, is_ours, compare);
    if (count < 0) {
        if (errno == ENOMEM)
            return -ENOMEM;
        if (errno != ENOENT)
            complain(visitor, dir, "cannot be read: %s", strerror(errno));
        return 0;
    }
    int r = 0;
    for (int i = 0; i < count; i++) {
        char *file CLEANUP(cleanup_free) = NULL;
        if (r == 0 && asprintf(&file, "%s/%s", dir, entries[i]->d_name) < 0) {
            file = NULL;
            r = -ENOMEM;
        }
        if (r == 0)
            r = take_file(visitor, file);
        free(entries[i]);
    }
    free(entries);
    return r;
}

/* --- contradictions */

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
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(others[i]->text, declaration->text) == 0)
            continue;
        if (i == 0)
            complain(c->visitor, declaration->file, "%s is declared otherwise in %s",
                     declaration->name, others[i]->file);
        else
            complain(c->visitor, declaration->file, "key %" PRIu32 " is declared otherwise in %s",
                     declaration->key, others[i]->file);
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
