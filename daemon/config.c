/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char config_system_path[] = SHMD_CONFIG_DIR "/shmd.conf";

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

/* All limits are numbers here. is_size() knows those that count bytes. */
static const struct key keys[] = {
#define X(limit, def, low, high)                                                                   \
    {#limit, KEY_NUMBER, offsetof(struct config, limits.limit), low, high},
    LIMITS(X)
#undef X
        {"admin_group", KEY_GROUP, 0, 0, 0},
    {"attach_timeout_ms", KEY_NUMBER, offsetof(struct config, attach_timeout_ms), 1, 3600000},
    {"reconcile_ms", KEY_NUMBER, offsetof(struct config, reconcile_ms), 10, 3600000},
    {"turn_work_us", KEY_NUMBER, offsetof(struct config, turn_work_us), 250, 1000000},
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
    char *section; /* the line that began it, owned; NULL: none did */
    uint64_t seen; /* a bit for each key */
    struct config *config;
    struct config_errors *errors;
};

/* KEY NULL: the error is about the line as a whole. */
#define fail(r, key, ...) config_errors_add((r)->errors, (r)->path, (r)->line, key, __VA_ARGS__)

static void refuse_number(struct reading *r, const struct key *key, const char *value)
{
    fail(r, key->name, "%s \"%s\": must be a whole number from %" PRIu64 " to %" PRIu64 "%s",
         key->name, value, key->min, key->max,
         is_size(key) ? ", or one followed by K, M, G or T" : "");
}

static void set_number(struct reading *r, const struct key *key, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    const char *unit = value + digits;
    unsigned shift = 0;
    if (is_size(key) && *unit && !unit[1])
        shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : *unit == 'T' ? 40 : 0;
    errno = 0;
    uint64_t number = strtoull(value, NULL, 10);
    if (digits == 0 || (*unit && shift == 0) || errno || number > UINT64_MAX >> shift ||
        number << shift < key->min || number << shift > key->max) {
        refuse_number(r, key, value);
        return;
    }
    number <<= shift;
    memcpy((char *)r->config + key->offset, &number, sizeof(number));
}

static void set_group(struct reading *r, const struct key *key, const char *value)
{
    if (*value && !value[strspn(value, "0123456789")]) {
        errno = 0;
        unsigned long long number = strtoull(value, NULL, 10);
        if (errno || number >= UINT32_MAX) {
            fail(r, key->name, "%s \"%s\": a group's number is from 0 to %" PRIu32, key->name,
                 value, UINT32_MAX - 1);
            return;
        }
        r->config->admin_group = (uint32_t)number;
    } else {
        errno = 0;
        const struct group *group = *value ? getgrnam(value) : NULL;
        if (!group) {
            fail(r, key->name,
                 "%s \"%s\": must be a group's name or number; there is no such group%s%s",
                 key->name, value, errno ? ": " : "", errno ? strerror(errno) : "");
            return;
        }
        r->config->admin_group = group->gr_gid;
    }
    r->config->has_admin_group = true;
}

static void set_level(struct reading *r, const struct key *key, const char *value)
{
    for (int i = 0; log_level_words[i]; i++) {
        if (strcmp(log_level_words[i], value) == 0) {
            r->config->log_level = (enum log_level)i;
            return;
        }
    }
    fail(r, key->name, "%s \"%s\": must be error, warning, notice, info or debug", key->name,
         value);
}

static void set_directory(struct reading *r, const struct key *key, const char *value)
{
    if (*value != '/') {
        fail(r, key->name, "%s \"%s\": must be a path that begins with /", key->name, value);
        return;
    }
    char *copy = strdup(value);
    if (!copy) {
        r->errors->out_of_memory = true;
        return;
    }
    free(r->config->segments_dir);
    r->config->segments_dir = copy;
    r->config->segments_dir_line = r->line;
}

static void refuse_key(struct reading *r, const char *name)
{
    char all[N_KEYS * 32] = "";
    char *end = all;
    for (size_t i = 0; i < N_KEYS; i++)
        end +=
            snprintf(end, sizeof(all) - (size_t)(end - all), "%s%s", i ? ", " : "", keys[i].name);
    fail(r, name, "%s: unknown key; the keys are %s", name, all);
}

static void set(struct reading *r, const char *name, const char *value)
{
    size_t i = 0;
    while (i < N_KEYS && strcmp(keys[i].name, name) != 0)
        i++;
    if (i == N_KEYS) {
        refuse_key(r, name);
        return;
    }
    if (r->seen & UINT64_C(1) << i) {
        fail(r, name, "%s: the key is set for the second time", name);
        return;
    }
    r->seen |= UINT64_C(1) << i;
    switch (keys[i].type) {
    case KEY_NUMBER: set_number(r, &keys[i], value); return;
    case KEY_GROUP: set_group(r, &keys[i], value); return;
    case KEY_LEVEL: set_level(r, &keys[i], value); return;
    case KEY_DIRECTORY: set_directory(r, &keys[i], value); return;
    }
}

static void reserve(struct reading *r, const char *prefix, const char *value)
{
    char error[RESERVED_NAMES_ERROR_BYTES];
    int result = reserved_names_add(&r->config->names, prefix, value, error);
    if (result == -ENOMEM)
        r->errors->out_of_memory = true;
    else if (result < 0)
        fail(r, prefix, "%s", error);
}

/* inih's handler. It always gives the 1 that says that the pair was taken: errors have a list. */
static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    if (strcmp(section, "names") == 0)
        reserve(r, name, value);
    else if (*section && strcmp(section, "shmd") != 0)
        fail(r, name, "%s: is in section [%s], and only [shmd] and [names] are read", name,
             section);
    else
        set(r, name, value);
    return 1;
}

/* What inih reads at a time: the line that began the section, and the line in question. */
struct piece {
    struct reading *reading;
    const char *lines[2];
    size_t n_given;
};

/* inih's reader. A line that inih would cut is an error. */
static char *give_line(char *to, int size, void *context)
{
    struct piece *piece = context;
    if (piece->n_given == 2)
        return NULL;
    const char *line = piece->lines[piece->n_given++];
    if (strlen(line) >= (size_t)size - 1) {
        fail(piece->reading, NULL, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    return strcpy(to, line);
}

/* Takes LINE by itself, so that no error hides another and inih joins no lines. */
static void take_line(struct reading *r, const char *line)
{
    struct piece piece = {r, {r->section ? r->section : "", line}, 0};
    size_t before = r->errors->count;
    int bad_line = ini_parse_stream(give_line, &piece, take_pair, r);
    if (bad_line < 0) {
        r->errors->out_of_memory = true;
        return;
    }
    if (r->errors->count > before)
        return;
    if (bad_line > 0) {
        fail(r, NULL, "must be KEY = VALUE, [shmd], [names] or a comment");
        return;
    }
    if (*line == '[') {
        free(r->section);
        r->section = strdup(line);
        r->errors->out_of_memory = r->errors->out_of_memory || !r->section;
    }
}

/* LINE without a byte order mark and without blanks at its beginning, which inih does not expect.
 */
static const char *start_of(const char *line, bool is_first)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (is_first && strncmp(line, mark, strlen(mark)) == 0)
        line += strlen(mark);
    return line + strspn(line, " \t");
}

static void take_lines(struct reading *r)
{
    char *line CLEANUP(cleanup_free) = NULL;
    size_t room = 0;
    while (!r->errors->out_of_memory) {
        r->line++;
        errno = 0;
        ssize_t len = getline(&line, &room, r->file);
        if (len < 0 && feof(r->file))
            return;
        if (len < 0) {
            fail(r, NULL, "cannot be read: %s", strerror(errno ? errno : EIO));
            return;
        }
        if (memchr(line, '\0', (size_t)len)) {
            fail(r, NULL, "there is a NUL in this line: this is not a configuration file");
            return;
        }
        take_line(r, start_of(line, r->line == 1));
        if (r->errors->count > CONFIG_ERRORS_MAX)
            return;
    }
}

/* What holds where the file says nothing. segments_dir comes when the file has been read. */
static const struct config defaults = {
    .limits = LIMITS_DEFAULT,
    .attach_timeout_ms = 60000,
    .reconcile_ms = 5000,
    .turn_work_us = 2000,
    .log_level = LOG_LEVEL_INFO,
};

/* A file named by --config may be where anybody can make a directory beside it. That directory
 * counts when its owner is root or the owner of the file, who could name any directory in it. */
static bool is_of_the_same_owner(const char *dir, const char *path)
{
    struct stat of_name, of_file;
    return lstat(dir, &of_name) == 0 && stat(path, &of_file) == 0 &&
           (of_name.st_uid == 0 || of_name.st_uid == of_file.st_uid);
}

/* Makes RET the directory segments.d beside the file PATH, or NULL when it does not count. 0 or
 * -ENOMEM. */
static int find_segments_dir(const char *path, bool is_given, char **ret)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    char *beside CLEANUP(cleanup_free) = NULL;
    struct stat st;
    if (asprintf(&beside, "%.*ssegments.d", (int)len, path) < 0) {
        beside = NULL;
        return -ENOMEM;
    }
    bool counts = stat(beside, &st) == 0 && S_ISDIR(st.st_mode) &&
                  (!is_given || is_of_the_same_owner(beside, path));
    *ret = counts ? steal_pointer(&beside) : NULL;
    return 0;
}

static void read_file(struct reading *r, bool is_given)
{
    r->file = fopen(r->path, "re");
    if (!r->file) {
        if (errno == ENOMEM)
            r->errors->out_of_memory = true;
        else if (errno != ENOENT || is_given)
            config_errors_add(r->errors, r->path, 0, NULL, "cannot be read: %s", strerror(errno));
        return;
    }
    take_lines(r);
    fclose(r->file);
    free(steal_pointer(&r->section));
}

int config_load(const char *path, bool is_given, struct config *ret, struct config_errors *errors)
{
    struct config config CLEANUP(config_deinit) = defaults;
    struct reading r = {.path = path, .config = &config, .errors = errors};
    if (path)
        read_file(&r, is_given);
    if (errors->out_of_memory)
        return -ENOMEM;
    if (path && !config.segments_dir && find_segments_dir(path, is_given, &config.segments_dir) < 0)
        return -ENOMEM;
    *ret = config;
    config.segments_dir = NULL;
    config.names = (struct reserved_names){.count = 0};
    return 0;
}

void config_deinit(struct config *config)
{
    free(steal_pointer(&config->segments_dir));
    reserved_names_deinit(&config->names);
}
