#include "daemon/declared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
