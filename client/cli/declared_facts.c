/* SPDX-License-Identifier: MIT */
#include "client/cli/declared_facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/message.h"
#include "protocol/params.h"
#include "protocol/terms.h"

enum { FILE_BYTES_MAX = 1024 * 1024 }; /* as the daemon reads them */

/* --- lists of segments */

int declared_list_add(struct declared_list *list, const char *name, uint32_t key)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 16;
        struct declared_name *more = reallocarray(list->rows, capacity, sizeof(*more));
        if (!more)
            return -ENOMEM;
        list->rows = more;
        list->capacity = capacity;
    }
    struct declared_name row = {name ? strdup(name) : NULL, key};
    if (name && !row.name)
        return -ENOMEM;
    list->rows[list->count++] = row;
    return 0;
}

static bool has(const struct declared_list *list, const char *name, uint32_t key)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct declared_name *row = &list->rows[i];
        if (name ? row->name && strcmp(row->name, name) == 0 : row->key == key)
            return true;
    }
    return false;
}

void declared_list_deinit(struct declared_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->rows[i].name);
    free(list->rows);
    *list = (struct declared_list){NULL, 0, 0};
}

/* --- the files */

/* The descriptor, or a negative errno; -EINVAL: it is no file. Where others may put files, doctor,
 * which is often root's, only looks at what is no file: to open a device can do something, and a
 * FIFO waits for a writer. */
static int open_file(const char *path)
{
    char again[32];
    struct stat st;
    int place = open(path, O_PATH | O_CLOEXEC), fd = -EINVAL;
    if (place < 0)
        return -errno;
    snprintf(again, sizeof(again), "/proc/self/fd/%d", place);
    if (fstat(place, &st) < 0 ||
        (S_ISREG(st.st_mode) && (fd = open(again, O_RDONLY | O_CLOEXEC)) < 0))
        fd = -errno;
    close(place);
    return fd;
}

/* Reads the file at PATH whole, with a NUL behind its bytes: 0 or a negative errno; -EINVAL: it is
 * no file, -EFBIG: it is too long. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
    size_t len = 0;
    ssize_t n = 1;
    int fd = open_file(path);
    if (fd < 0)
        return fd;
    char *text = malloc(FILE_BYTES_MAX + 2);
    while (text && n > 0 && len <= FILE_BYTES_MAX) {
        n = read(fd, text + len, FILE_BYTES_MAX + 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    int r = !text ? -ENOMEM : n < 0 ? -errno : len > FILE_BYTES_MAX ? -EFBIG : 0;
    close(fd);
    if (r < 0) {
        free(text);
        return r;
    }
    text[len] = '\0';
    *ret = text;
    *ret_len = len;
    return 0;
}

/* Takes the directory out of LINE when it is `segments_dir = DIRECTORY`. */
static void take_line(const char *line, char *dir, size_t size)
{
    static const char key[] = "segments_dir", blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    if (strncmp(line, key, strlen(key)) != 0)
        return;
    line += strlen(key);
    line += strspn(line, blanks);
    if (*line != '=' && *line != ':')
        return;
    line++;
    line += strspn(line, blanks);
    size_t len = strlen(line);
    while (len > 0 && strchr(blanks, line[len - 1]))
        len--;
    if (len > 0 && len < size)
        snprintf(dir, size, "%.*s", (int)len, line);
}

/* CONFIG_DIR is where CONFIG lies. */
static void find_directory(const char *root, const char *config, const char *config_dir,
                           struct declared_facts *f)
{
    char path[PATH_MAX];
    char *text, *rest;
    size_t len;
    snprintf(f->dir, sizeof(f->dir), "%s/segments.d", config_dir);
    snprintf(path, sizeof(path), "%s%s", root, config);
    if (read_file(path, &text, &len) < 0)
        return;
    rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        take_line(line, f->dir, sizeof(f->dir));
    free(text);
}

/* A sticky directory's files are replaced by their owners alone. */
static void check_writers(const char *root, const char *path, uint32_t owner,
                          struct declared_facts *f)
{
    char full[PATH_MAX];
    struct stat st;
    snprintf(full, sizeof(full), "%s%s", root, path);
    if (stat(full, &st) != 0)
        return;
    bool is_strangers = st.st_uid != 0 && st.st_uid != owner;
    bool is_open = (st.st_mode & S_IWOTH) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX));
    if (!is_strangers && !is_open)
        return;
    if (f->n_loose++ > 0)
        return;
    f->loose.mode = st.st_mode & 07777;
    f->loose.uid = st.st_uid;
    f->loose.is_strangers = is_strangers;
    snprintf(f->loose.path, sizeof(f->loose.path), "%s", path);
}

static void note_invalid(struct declared_facts *f, const char *path, const char *why)
{
    if (f->n_invalid++ == 0)
        snprintf(f->invalid, sizeof(f->invalid), "%.250s: %.250s", path, why);
}

static void note_missing(struct declared_facts *f, const char *name, uint32_t key)
{
    char text[32];
    size_t used = strlen(f->missing);
    snprintf(text, sizeof(text), "key 0x%08" PRIx32, key);
    name = name ? name : text;
    if (used + strlen(name) + 3 < sizeof(f->missing)) /* whole, or not at all */
        snprintf(f->missing + used, sizeof(f->missing) - used, "%s%s", used ? ", " : "", name);
    f->n_missing++;
}

/* What the daemon would say of one entry; what only it can tell, as contradictions between entries,
 * is left to it. */
static void take_entry(const struct message *message, size_t index, const char *path,
                       const struct declared_list *there, struct declared_facts *f)
{
    union params params;
    struct failure failure;
    if (params_decode(METHOD_CREATE, message_member(message, index), &params, &failure) < 0) {
        note_invalid(f, path, failure_message(&failure));
        return;
    }
    const struct create_params *p = &params.create;
    uint32_t key = p->key.given ? (uint32_t)p->key.value : 0;
    if (!p->name && key == 0)
        note_invalid(f, path, "an entry has neither a name nor a key");
    else if (p->lifetime.given && p->lifetime.value != LIFETIME_PERSISTENT)
        note_invalid(f, path, "the lifetime of an entry is not persistent");
    else if (p->ready.given && !p->ready.value)
        note_invalid(f, path, "an entry has ready false, and no process would fill the segment");
    else if (!has(there, p->name, key))
        note_missing(f, p->name, key);
}

static void take_text(const char *text, size_t len, const char *path,
                      const struct declared_list *there, struct declared_facts *f)
{
    struct message message;
    struct failure failure;
    if (message_decode(text, len, &message, &failure) < 0) {
        note_invalid(f, path, failure_message(&failure));
        return;
    }
    for (size_t i = 0; i < message_calls(&message); i++)
        take_entry(&message, i, path, there, f);
    message_free(&message);
}

/* The file at FULL, which messages call PATH. */
static void read_entries(const char *full, const char *path, const struct declared_list *there,
                         struct declared_facts *f)
{
    char *text;
    size_t len;
    int r = read_file(full, &text, &len);
    if (r == -EACCES)
        f->n_unreadable++;
    else if (r == -EINVAL)
        note_invalid(f, path, "it is not a file");
    else if (r == -EFBIG)
        note_invalid(f, path, "it is longer than 1 MiB");
    else if (r < 0)
        note_invalid(f, path, strerror(-r));
    if (r < 0)
        return;
    take_text(text, len, path, there, f);
    free(text);
}

static size_t read_directory(const char *root, const char *dir, uint32_t owner,
                             const struct declared_list *there, struct declared_facts *f)
{
    char path[PATH_MAX], full[PATH_MAX];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s%s", root, dir);
    DIR *d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0) {
            count++;
            snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            check_writers(root, path, owner, f);
            snprintf(full, sizeof(full), "%s%s", root, path);
            read_entries(full, path, there, f);
        }
    }
    if (d)
        closedir(d);
    return count;
}

static bool is_enabled(const char *root)
{
    static const char *const directories[] = {"/etc", "/run", "/usr/local/lib", "/usr/lib"};
    static const char *const kinds[] = {"wants", "requires"};
    enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    for (size_t i = 0; i < N_KINDS * sizeof(directories) / sizeof(directories[0]); i++) {
        char pattern[PATH_MAX];
        glob_t found;
        snprintf(pattern, sizeof(pattern), "%s%s/systemd/system/*.%s/shmd.service", root,
                 directories[i / N_KINDS], kinds[i % N_KINDS]);
        bool is_there = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
        globfree(&found);
        if (is_there)
            return true;
    }
    return false;
}

void declared_facts_read(const char *root, const char *config, uint32_t owner,
                         const struct declared_list *there, struct declared_facts *ret)
{
    char path[PATH_MAX], config_dir[CONFIG_PATH_SIZE];
    const char *slash = strrchr(config, '/');
    struct stat st;
    *ret = (struct declared_facts){.n_files = 0};
    snprintf(config_dir, sizeof(config_dir), "%.*s", slash ? (int)(slash - config) : 0, config);
    find_directory(root, config, config_dir, ret);
    check_writers(root, *config_dir ? config_dir : "/", owner, ret);
    check_writers(root, config, owner, ret);
    check_writers(root, ret->dir, owner, ret);
    ret->n_files = read_directory(root, ret->dir, owner, there, ret);
    snprintf(path, sizeof(path), "%s/run/systemd/system", root);
    ret->systemd_runs = stat(path, &st) == 0;
    ret->service_is_enabled = is_enabled(root);
}
