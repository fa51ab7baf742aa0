/* SPDX-License-Identifier: MIT */
#include "daemon/declared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/core/kernel_refusal.h"
#include "protocol/json_slice.h"
#include "protocol/terms.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

/* Reads FILE whole, with a NUL behind its bytes: 0 or a negative errno. */
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
    bytes[len] = '\0';
    *ret = steal_pointer(&bytes);
    *ret_len = len;
    return 0;
}

/* What create allows and a declared segment cannot have, and what no create can make here: NULL, or
 * the reason, with the KEY. */
static const char *check(const struct create_params *params, const struct machine *machine,
                         const char **ret_key)
{
    struct outcome_detail unused;
    if (!params->name && params->key.value == 0) {
        *ret_key = "name";
        return "parameter name: missing: a declared segment needs one, or a key other than 0";
    }
    if (params->lifetime.given && params->lifetime.value != LIFETIME_PERSISTENT) {
        *ret_key = "lifetime";
        return "parameter lifetime: must be persistent: a declared segment depends on no process";
    }
    if (params->ready.given && !params->ready.value) {
        *ret_key = "ready";
        return "parameter ready: must be true: no process creates a declared segment and fills it";
    }
    if (kernel_refusal_of_size((uint64_t)params->size.value, &unused) != 0) {
        *ret_key = "size";
        return "parameter size: no process can attach so many bytes";
    }
    if (params->huge_page_size.value != 0 &&
        !machine_has_huge_pages(machine, (uint64_t)params->huge_page_size.value)) {
        *ret_key = "huge_page_size";
        return "parameter huge_page_size: this kernel has no pages of that size: "
               "/sys/kernel/mm/hugepages shows which it has";
    }
    return NULL;
}

/* --- places in a file's text */

/* A place that moves forward only, so that all lines of a text are counted once. */
struct place {
    const char *at;
    unsigned line;
};

static unsigned move_to(struct place *place, const char *to)
{
    for (; place->at < to; place->at++)
        place->line += *place->at == '\n';
    return place->line;
}

/* The line of the member KEY of ENTRY, which begins at PLACE; that of the entry without one. */
static unsigned line_of_key(struct place place, struct json_slice entry, const char *key)
{
    unsigned line = place.line;
    struct json_walk walk = json_walk_begin(entry);
    struct json_slice name, value;
    while (*entry.text == '{' && json_walk_next(&walk, &name, &value))
        if (name.len == strlen(key) && memcmp(name.text, key, name.len) == 0)
            return move_to(&place, name.text);
    return line;
}

/* --- files */

static const char *string_param(const struct failure *f, const char *name)
{
    for (size_t i = 0; i < f->n_params; i++)
        if (strcmp(f->params[i].name, name) == 0 && f->params[i].string)
            return f->params[i].string;
    return "";
}

static int append(struct declared *declared, const struct declared_segment *declaration)
{
    if (declared->count == declared->capacity) {
        size_t capacity = declared->capacity ? declared->capacity * 2 : 16;
        struct declared_segment *items = reallocarray(declared->items, capacity, sizeof(*items));
        if (!items)
            return -ENOMEM;
        declared->items = items;
        declared->capacity = capacity;
    }
    declared->items[declared->count++] = *declaration;
    return 0;
}

/* Takes entry INDEX of FILE, whose text is ENTRY and begins at PLACE. */
static int take_entry(struct declared *declared, const struct declared_file *file, size_t index,
                      struct json_slice entry, const struct place *place,
                      struct config_errors *errors)
{
    char where[32] = "";
    union params params;
    struct failure failure;
    const char *key = NULL, *why;
    if (message_is_batch(&file->message))
        snprintf(where, sizeof(where), "entry %zu: ", index + 1);
    if (params_decode(METHOD_CREATE, message_member(&file->message, index), &params, &failure) <
        0) {
        key = string_param(&failure, "parameter");
        why = failure_message(&failure);
    } else {
        why = check(&params.create, declared->machine, &key);
    }
    if (!why) {
        struct declared_segment declaration = {file->path, place->line, params.create};
        return append(declared, &declaration);
    }
    config_errors_add(errors, file->path, line_of_key(*place, entry, key), key, "%s%s", where, why);
    return 0;
}

static int take_entries(struct declared *declared, const struct declared_file *file,
                        const char *text, size_t len, struct config_errors *errors)
{
    struct place place = {text, 1};
    size_t blanks = strspn(text, " \t\r\n");
    struct json_slice whole = {text + blanks, len - blanks}, key, entry;
    if (!message_is_batch(&file->message)) {
        move_to(&place, whole.text);
        return take_entry(declared, file, 0, whole, &place, errors);
    }
    struct json_walk walk = json_walk_begin(whole);
    int r = 0;
    for (size_t i = 0; r == 0 && json_walk_next(&walk, &key, &entry); i++) {
        if (config_errors_is_full(errors))
            break;
        move_to(&place, entry.text);
        r = take_entry(declared, file, i, entry, &place, errors);
    }
    return r;
}

/* Reads and decodes the file; what is wrong is in ERRORS then. 0 with the text, which is owned and
 * ends with a NUL, or NULL when the file cannot be used; or -ENOMEM. */
static int decode(struct declared_file *file, char **ret_text, size_t *ret_len,
                  struct config_errors *errors)
{
    char *text CLEANUP(cleanup_free) = NULL;
    struct failure failure;
    size_t len = 0;
    *ret_text = NULL;
    int r = read_file(file->path, &text, &len);
    if (r == -ENOMEM)
        return r;
    if (r == -EFBIG || r == -EINVAL) {
        config_errors_add(errors, file->path, 0, NULL, "%s",
                          r == -EFBIG ? "is longer than 1 MiB" : "is not a file");
        return 0;
    }
    if (r < 0) {
        config_errors_add(errors, file->path, 0, NULL, "cannot be read: %s", strerror(-r));
        return 0;
    }
    r = message_decode(text, len, &file->message, &failure);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        config_errors_add(errors, file->path, failure.line, NULL, "%s", failure_message(&failure));
        return 0;
    }
    *ret_text = steal_pointer(&text);
    *ret_len = len;
    return 0;
}

static int take_file(struct declared *declared, const char *dir, const char *name,
                     struct config_errors *errors)
{
    char *text CLEANUP(cleanup_free) = NULL;
    size_t len = 0;
    struct declared_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->next = declared->files;
    declared->files = file;
    if (asprintf(&file->path, "%s/%s", dir, name) < 0) {
        file->path = NULL;
        return -ENOMEM;
    }
    int r = decode(file, &text, &len, errors);
    return r == 0 && text ? take_entries(declared, file, text, len, errors) : r;
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

int declared_read(const char *dir, const struct machine *machine, struct declared *ret,
                  struct config_errors *errors)
{
    struct declared declared CLEANUP(declared_deinit) = {.machine = machine};
    struct dirent **entries = NULL;
    int count = dir ? scandir(dir, &entries, is_ours, compare) : 0;
    if (count < 0) {
        if (errno == ENOMEM)
            return -ENOMEM;
        if (errno != ENOENT)
            config_errors_add(errors, dir, 0, NULL, "cannot be read: %s", strerror(errno));
        count = 0;
    }
    int r = 0;
    for (int i = 0; i < count; i++) {
        if (r == 0 && !config_errors_is_full(errors))
            r = take_file(&declared, dir, entries[i]->d_name, errors);
        free(entries[i]);
    }
    free(entries);
    if (r == 0)
        r = declared_drop_contradictions(&declared, errors);
    if (r == 0 && errors->out_of_memory)
        r = -ENOMEM;
    if (r < 0)
        return r;
    *ret = declared;
    declared = (struct declared){0};
    return 0;
}

void declared_deinit(struct declared *declared)
{
    while (declared->files) {
        struct declared_file *next = declared->files->next;
        message_free(&declared->files->message);
        free(declared->files->path);
        free(declared->files);
        declared->files = next;
    }
    free(declared->items);
    *declared = (struct declared){0};
}
