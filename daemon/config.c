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

struct reading {
    FILE *file;
    const char *path;
    unsigned line;
    uint64_t seen; /* a bit for each key */
    struct config *config;
    int error;  /* the first; what follows is not looked at */
    char *text; /* its text, owned */
};

__attribute__((format(printf, 3, 4))) static int fail(struct reading *r, int error,
                                                      const char *format, ...)
{
    if (r->error < 0)
        return r->error;
    r->error = error;
    char *what CLEANUP(cleanup_free) = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        what = NULL;
    va_end(args);
    if (!what || asprintf(&r->text, "%s:%u: %s", r->path, r->line, what) < 0)
        r->text = NULL;
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
    if (r->error < 0)
        return 0;
    if (*section && strcmp(section, "shmd") != 0)
        return fail(r, -EINVAL, "%s: stands in section [%s], and only [shmd] is read", name,
                    section) == 0;
    return set(r, name, value) == 0;
}

/*
 * inih's reader. It counts the lines, which inih does not tell its handler; takes blanks from the
 * beginning, which would join a line to the one before; and gives no line that inih would cut.
 */
static char *read_line(char *to, int size, void *context)
{
    struct reading *r = context;
    char *line CLEANUP(cleanup_free) = NULL;
    size_t room = 0;
    if (r->error < 0)
        return NULL;
    r->line++;
    errno = 0;
    ssize_t len = getline(&line, &room, r->file);
    if (len < 0) {
        if (!feof(r->file))
            fail(r, errno ? -errno : -EIO, "%s", strerror(errno ? errno : EIO));
        return NULL;
    }
    if (memchr(line, '\0', (size_t)len)) {
        fail(r, -EINVAL, "there is a NUL in this line: this is no configuration");
        return NULL;
    }
    const char *start = line + strspn(line, " \t");
    if (strlen(start) >= (size_t)size - 1) {
        fail(r, -EINVAL, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    return strcpy(to, start);
}

/* What holds where nothing is said; `segments_dir` is settled when all is read. */
static const struct config defaults = {
    .limits = LIMITS_DEFAULT,
    .attach_timeout_ms = 60000,
    .reconcile_ms = 5000,
    .log_level = LOG_LEVEL_INFO,
};

/* segments.d beside the file of that PATH if it is there, else the system's; NULL: out of memory.
 */
static char *find_segments_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    char *beside CLEANUP(cleanup_free) = NULL;
    struct stat st;
    if (asprintf(&beside, "%.*ssegments.d", (int)len, path) < 0)
        return beside = NULL;
    if (stat(beside, &st) == 0 && S_ISDIR(st.st_mode))
        return steal_pointer(&beside);
    return strdup(SHMD_CONFIG_DIR "/segments.d");
}

static int read_file(struct reading *r)
{
    int bad_line = ini_parse_stream(read_line, r, take_pair, r);
    if (bad_line > 0 && (r->error == 0 || (unsigned)bad_line < r->line)) {
        /* inih's own finding; it may have come before ours. */
        free(steal_pointer(&r->text));
        r->error = 0;
        r->line = (unsigned)bad_line;
        return fail(r, -EINVAL, "must be KEY = VALUE, [shmd] or a comment");
    }
    if (bad_line < 0)
        return fail(r, -ENOMEM, "out of memory");
    return r->error;
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
        e = read_file(&r);
        fclose(r.file);
        if (e < 0) {
            *ret_error = r.text;
            return e;
        }
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
