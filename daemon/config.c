#include "daemon/config.h"

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char config_default_path[] = SHMD_CONFIG_DIR "/shmd.conf";

enum key_type {
    KEY_NUMBER,    /* uint64_t, min..max */
    KEY_GROUP,     /* admin_group */
    KEY_LEVEL,     /* log_level */
    KEY_DIRECTORY, /* segments_dir */
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    uint64_t min, max;
};

/* All limits are numbers here; those that count bytes are told by is_size(). */
static const struct key keys[] = {
#define X(limit, def, low, high)                                                                   \
    {#limit, KEY_NUMBER, offsetof(struct config, limits.limit), low, high},
    LIMITS(X)
#undef X
        {"admin_group", KEY_GROUP, 0, 0, 0},
    {"attach_timeout_ms", KEY_NUMBER, offsetof(struct config, attach_timeout_ms), 1, 3600000},
    {"reconcile_ms", KEY_NUMBER, offsetof(struct config, reconcile_ms), 10, 3600000},
    {"log_level", KEY_LEVEL, 0, 0, 0},
    {"segments_dir", KEY_DIRECTORY, 0, 0, 0},
};
enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

_Static_assert(N_KEYS <= 64, "one bit each in reading.seen");

static bool is_size(const struct key *key)
{
    return key->type == KEY_NUMBER &&
           (strstr(key->name, "_bytes") || strcmp(key->name, "output_high_water") == 0 ||
            strcmp(key->name, "subscriber_cap") == 0);
}

enum { ERRORS_MAX = 20 }; /* that are told of one file */

struct reading {
    FILE *file;
    const char *path;
    unsigned line;
    char *section; /* the line that began it, owned; NULL: none did */
    uint64_t seen; /* a bit for each key */
    struct config *config;
    int error; /* the first */
    unsigned n_errors;
    FILE *report; /* all of them, a line each */
};

__attribute__((format(printf, 3, 4))) static int fail(struct reading *r, int error,
                                                      const char *format, ...)
{
    if (r->error == 0)
        r->error = error;
    fprintf(r->report, "%s%s:%u: ", r->n_errors > 0 ? "\n" : "", r->path, r->line);
    r->n_errors++;
    va_list args;
    va_start(args, format);
    vfprintf(r->report, format, args);
    va_end(args);
    return error;
}

static int refuse_number(struct reading *r, const struct key *key, const char *value)
{
    return fail(r, -EINVAL, "%s \"%s\": must be a whole number from %" PRIu64 " to %" PRIu64 "%s",
                key->name, value, key->min, key->max,
                is_size(key) ? ", or one followed by K, M or G" : "");
}

static int set_number(struct reading *r, const struct key *key, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    const char *unit = value + digits;
    unsigned shift = 0;
    if (is_size(key) && *unit && !unit[1])
        shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0;
    if (digits == 0 || (*unit && shift == 0))
        return refuse_number(r, key, value);
    errno = 0;
    uint64_t number = strtoull(value, NULL, 10);
    if (errno || number > UINT64_MAX >> shift)
        return refuse_number(r, key, value);
    number <<= shift;
    if (number < key->min || number > key->max)
        return refuse_number(r, key, value);
    memcpy((char *)r->config + key->offset, &number, sizeof(number));
    return 0;
}

static int set_group(struct reading *r, const struct key *key, const char *value)
{
    if (*value && !value[strspn(value, "0123456789")]) {
        errno = 0;
        unsigned long long number = strtoull(value, NULL, 10);
        if (errno || number >= UINT32_MAX)
            return fail(r, -EINVAL, "%s \"%s\": a group's number is from 0 to %" PRIu32, key->name,
                        value, UINT32_MAX - 1);
        r->config->admin_group = (uint32_t)number;
    } else {
        errno = 0;
        const struct group *group = *value ? getgrnam(value) : NULL;
        if (!group)
            return fail(r, -EINVAL,
                        "%s \"%s\": must be a group's name or number; there is no such group%s%s",
                        key->name, value, errno ? ": " : "", errno ? strerror(errno) : "");
        r->config->admin_group = group->gr_gid;
    }
    r->config->has_admin_group = true;
    return 0;
}

static int set_level(struct reading *r, const struct key *key, const char *value)
{
    for (int i = 0; log_level_words[i]; i++) {
        if (strcmp(log_level_words[i], value) == 0) {
            r->config->log_level = (enum log_level)i;
            return 0;
        }
    }
    return fail(r, -EINVAL, "%s \"%s\": must be error, warning, notice, info or debug", key->name,
                value);
}

static int set_directory(struct reading *r, const struct key *key, const char *value)
{
    if (*value != '/')
        return fail(r, -EINVAL, "%s \"%s\": must be a path that begins with /", key->name, value);
    char *copy = strdup(value);
    if (!copy)
        return fail(r, -ENOMEM, "%s: out of memory", key->name);
    free(r->config->segments_dir);
    r->config->segments_dir = copy;
    r->config->has_segments_dir = true;
    return 0;
}

static int refuse_key(struct reading *r, const char *name)
{
    char all[N_KEYS * 32] = "";
    char *end = all;
    for (size_t i = 0; i < N_KEYS; i++)
        end +=
            snprintf(end, sizeof(all) - (size_t)(end - all), "%s%s", i ? ", " : "", keys[i].name);
    return fail(r, -EINVAL, "%s: unknown key; there are: %s", name, all);
}

static int set(struct reading *r, const char *name, const char *value)
{
    size_t i = 0;
    while (i < N_KEYS && strcmp(keys[i].name, name) != 0)
        i++;
    if (i == N_KEYS)
        return refuse_key(r, name);
    if (r->seen & UINT64_C(1) << i)
        return fail(r, -EINVAL, "%s: stands here for the second time", name);
    r->seen |= UINT64_C(1) << i;
    switch (keys[i].type) {
    case KEY_NUMBER: return set_number(r, &keys[i], value);
    case KEY_GROUP: return set_group(r, &keys[i], value);
    case KEY_LEVEL: return set_level(r, &keys[i], value);
    case KEY_DIRECTORY: return set_directory(r, &keys[i], value);
    }
    return -EINVAL;
}

/* inih's handler: not 0 for good. */
static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    if (*section && strcmp(section, "shmd") != 0)
        return fail(r, -EINVAL, "%s: stands in section [%s], and only [shmd] is read", name,
                    section) == 0;
    return set(r, name, value) == 0;
}

/* What inih is given at a time: the line that began the section, and the line in question. */
struct piece {
    struct reading *reading;
    const char *lines[2];
    size_t n_given;
};

/* inih's reader. It gives no line that inih would cut. */
static char *give_line(char *to, int size, void *context)
{
    struct piece *piece = context;
    if (piece->n_given == 2)
        return NULL;
    const char *line = piece->lines[piece->n_given++];
    if (strlen(line) >= (size_t)size - 1) {
        fail(piece->reading, -EINVAL, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    return strcpy(to, line);
}

/* LINE by itself, so that no error hides another and inih joins no lines: 0, or a negative errno
 * that ends the reading. */
static int take_line(struct reading *r, const char *line)
{
    struct piece piece = {r, {r->section ? r->section : "", line}, 0};
    unsigned before = r->n_errors;
    int bad_line = ini_parse_stream(give_line, &piece, take_pair, r);
    if (bad_line < 0)
        return fail(r, -ENOMEM, "out of memory");
    if (r->n_errors > before)
        return 0;
    if (bad_line > 0) {
        fail(r, -EINVAL, "must be KEY = VALUE, [shmd] or a comment");
        return 0;
    }
    if (*line == '[') {
        char *section = strdup(line);
        if (!section)
            return fail(r, -ENOMEM, "out of memory");
        free(r->section);
        r->section = section;
    }
    return 0;
}

/* What of a line is for inih: no byte order mark, no blanks at the beginning. */
static const char *start_of(const char *line, bool is_first)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (is_first && strncmp(line, mark, strlen(mark)) == 0)
        line += strlen(mark);
    return line + strspn(line, " \t");
}

/* What is wrong with a line does not end it, unless there are too many of these. */
static int take_lines(struct reading *r)
{
    char *line CLEANUP(cleanup_free) = NULL;
    size_t room = 0;
    for (;;) {
        r->line++;
        errno = 0;
        ssize_t len = getline(&line, &room, r->file);
        if (len < 0 && feof(r->file))
            return r->error;
        if (len < 0)
            return fail(r, errno ? -errno : -EIO, "%s", strerror(errno ? errno : EIO));
        if (r->n_errors == ERRORS_MAX)
            return fail(r, -EINVAL, "this and what follows is not looked at");
        if (memchr(line, '\0', (size_t)len))
            return fail(r, -EINVAL, "there is a NUL in this line: this is no configuration");
        int e = take_line(r, start_of(line, r->line == 1));
        if (e < 0)
            return e;
    }
}

/* What holds where nothing is said; `segments_dir` is settled when all is read. */
static const struct config defaults = {
    .limits = LIMITS_DEFAULT,
    .attach_timeout_ms = 60000,
    .reconcile_ms = 5000,
    .log_level = LOG_LEVEL_INFO,
};

/* Beside the file PATH may be where anybody can make a directory: it must be of whoever the file is
 * of, who could as well have named another there. */
static bool is_of_the_same_owner(const char *dir, const char *path)
{
    struct stat of_name, of_dir, of_file;
    return lstat(dir, &of_name) == 0 && stat(dir, &of_dir) == 0 && S_ISDIR(of_dir.st_mode) &&
           stat(path, &of_file) == 0 && (of_name.st_uid == 0 || of_name.st_uid == of_file.st_uid);
}

/* segments.d beside the file PATH if it is there, else the system's; NULL: out of memory. */
static char *find_segments_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    char *beside CLEANUP(cleanup_free) = NULL;
    if (asprintf(&beside, "%.*ssegments.d", (int)len, path) < 0)
        return beside = NULL;
    if (is_of_the_same_owner(beside, path))
        return steal_pointer(&beside);
    return strdup(SHMD_CONFIG_DIR "/segments.d");
}

/* 0, or the errno of the first thing that is wrong. */
static int read_file(struct reading *r, char **ret_error)
{
    char *text = NULL;
    size_t len = 0;
    r->report = open_memstream(&text, &len);
    if (!r->report)
        return -ENOMEM;
    int e = take_lines(r);
    bool is_whole = !ferror(r->report);
    is_whole = fclose(r->report) == 0 && is_whole;
    free(steal_pointer(&r->section));
    if (e < 0 && is_whole)
        *ret_error = text;
    else
        free(text);
    return e < 0 ? r->error : 0;
}

int config_load(const char *path, bool missing_is_fine, struct config *ret, char **ret_error)
{
    struct config config CLEANUP(config_deinit) = defaults;
    struct reading r = {.path = path, .config = &config};
    int e;
    *ret_error = NULL;
    r.file = fopen(path, "re");
    if (!r.file) {
        e = -errno;
        if (e != -ENOENT || !missing_is_fine) {
            if (asprintf(ret_error, "%s: %s", path, strerror(-e)) < 0)
                *ret_error = NULL;
            return e;
        }
    } else {
        e = read_file(&r, ret_error);
        fclose(r.file);
        if (e < 0)
            return e;
    }
    if (!config.segments_dir && !(config.segments_dir = find_segments_dir(path)))
        return -ENOMEM;
    *ret = config;
    config.segments_dir = NULL;
    return 0;
}

void config_deinit(struct config *config)
{
    free(steal_pointer(&config->segments_dir));
}
