/* SPDX-License-Identifier: MIT */
#include "daemon/configuration.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/core/declare.h"
#include "daemon/rpc/outcome_to_error.h"

enum { LINE_BYTES = 1024 }; /* the log takes no longer line */

/* --- reading */

/* What a reading found. */
struct reading {
    struct config config;
    struct declared declared;
    bool has_errors_in_config; /* CONFIG has defaults in place of what is wrong */
};

static void reading_deinit(struct reading *r)
{
    declared_deinit(&r->declared);
    config_deinit(&r->config);
}

static void log_errors(const struct config_errors *errors)
{
    char text[LINE_BYTES];
    for (size_t i = 0; i < errors->count; i++) {
        config_error_text(&errors->items[i], text, sizeof(text));
        log_error("%s", text);
    }
}

/* A directory that the file sets must be there; segments.d beside the file need not. */
static void check_segments_dir(const char *path, const struct config *config,
                               struct config_errors *errors)
{
    struct stat st;
    if (config->segments_dir_line > 0 && stat(config->segments_dir, &st) < 0 && errno == ENOENT)
        config_errors_add(errors, path, config->segments_dir_line, "segments_dir",
                          "segments_dir \"%s\": there is no such directory", config->segments_dir);
}

/* Who writes PATH decides who is an admin and what there is. In a sticky directory, such as /tmp,
 * files are replaced by their owners alone. */
static void warn_of_writers(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return;
    bool is_open = (st.st_mode & S_IWOTH) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX));
    if (is_open)
        log_warning("%s: every user can write it (mode %04o) and so decide what the "
                    "daemon allows: chmod o-w",
                    path, (unsigned)st.st_mode & 07777);
    else if (st.st_uid != 0 && st.st_uid != geteuid())
        log_warning("%s: it is neither root's nor the daemon's: uid %" PRIu32 " can write it and "
                    "so decide what the daemon allows",
                    path, (uint32_t)st.st_uid);
}

static void warn_of_all_writers(const char *path, const struct reading *r)
{
    const char *last = "";
    char *directory CLEANUP(cleanup_free) = path ? strdup(path) : NULL;
    if (!directory)
        return;
    warn_of_writers(dirname(directory));
    warn_of_writers(path);
    if (r->config.segments_dir)
        warn_of_writers(r->config.segments_dir);
    for (size_t i = 0; i < r->declared.count; i++) {
        if (strcmp(r->declared.items[i].file, last) != 0)
            warn_of_writers(r->declared.items[i].file);
        last = r->declared.items[i].file;
    }
}

static int read_files(struct configuration *c, struct reading *ret)
{
    int r = config_load(c->path, c->is_given, &ret->config, &c->errors);
    if (r < 0)
        return r;
    ret->has_errors_in_config = c->errors.count > 0;
    check_segments_dir(c->path, &ret->config, &c->errors);
    return declared_read(ret->config.segments_dir, c->machine, &ret->declared, &c->errors);
}

/* Reads all files and logs the errors, which replace those of the last reading. 0 or -ENOMEM; RET
 * is to be freed in any case. */
static int read_anew(struct configuration *c, struct reading *ret)
{
    *ret = (struct reading){.has_errors_in_config = false};
    config_errors_deinit(&c->errors);
    int r = read_files(c, ret);
    warn_of_all_writers(c->path, ret);
    log_errors(&c->errors);
    if (r < 0)
        log_error("the configuration cannot be read: %s", strerror(-r));
    return r;
}

static void put_into_force(struct configuration *c, struct reading *reading)
{
    config_deinit(&c->config);
    declared_deinit(&c->declared);
    c->config = reading->config;
    c->declared = reading->declared;
    *reading = (struct reading){.has_errors_in_config = false};
}

static void log_missing_file(const struct configuration *c)
{
    struct stat st;
    if (!c->path)
        log_notice("no configuration file is read: this is not the system's instance, and --config "
                   "is not given");
    else if (!c->is_given && stat(c->path, &st) < 0 && errno == ENOENT)
        log_notice("the defaults hold, as there is no file %s", c->path);
}

int configuration_start(struct configuration *c)
{
    struct reading reading CLEANUP(reading_deinit);
    log_missing_file(c);
    int r = read_anew(c, &reading);
    if (r == 0 && reading.has_errors_in_config)
        r = -EINVAL;
    if (r == 0)
        put_into_force(c, &reading);
    return r;
}

int configuration_reload(struct configuration *c)
{
    struct reading reading CLEANUP(reading_deinit);
    int r = read_anew(c, &reading);
    if (r == 0 && c->errors.count > 0)
        r = -EINVAL;
    if (r == 0)
        put_into_force(c, &reading);
    return r;
}

int configuration_check(struct configuration *c)
{
    struct reading reading CLEANUP(reading_deinit);
    log_missing_file(c);
    int r = read_anew(c, &reading);
    return r == 0 && c->errors.count > 0 ? -EINVAL : r;
}

void configuration_deinit(struct configuration *c)
{
    declared_deinit(&c->declared);
    config_deinit(&c->config);
    config_errors_deinit(&c->errors);
}

/* --- what is in force */

struct core_settings configuration_settings(const struct configuration *c)
{
    return (struct core_settings){.limits = c->config.limits,
                                  .access = {.own_uid = geteuid(),
                                             .has_admin_group = c->config.has_admin_group,
                                             .admin_group = c->config.admin_group,
                                             .names = c->config.names.rules,
                                             .n_names = c->config.names.count},
                                  .attach_timeout_ms = c->config.attach_timeout_ms,
                                  .reconcile_ms = c->config.reconcile_ms,
                                  .turn_work_us = c->config.turn_work_us};
}

/* --- declared segments */

/* Its name, or "(key 77)" in KEY. */
static const char *name_of(const struct create_params *p, char *key, size_t size)
{
    snprintf(key, size, "(key %" PRIu32 ")", (uint32_t)p->key.value);
    return p->name ? p->name : key;
}

/* "mode, labels" */
static void list_fields(unsigned fields, char *ret, size_t size)
{
    size_t used = 0;
    *ret = '\0';
    for (int i = 0; i < DRIFT_COUNT && used < size; i++)
        if (fields & (1U << i))
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     drift_words[i]);
}

/* What is otherwise of FIELD, and what is declared: "its size is 100, not 101". */
static void describe_conflict(const struct segment *s, const struct create_params *p,
                              enum drift field, char *ret, size_t size)
{
    switch (field) {
    case DRIFT_CREATOR: snprintf(ret, size, "uid %" PRIu32 " created it", s->creator.uid); return;
    case DRIFT_NAME:
        snprintf(ret, size, "the segment with its key is called %s", s->name ? s->name : "nothing");
        return;
    case DRIFT_KEY:
        snprintf(ret, size, "its key is %" PRIu32 ", not %" PRIu32, s->key, (uint32_t)p->key.value);
        return;
    case DRIFT_SIZE:
        snprintf(ret, size, "its size is %" PRIu64 ", not %" PRId64, s->size, p->size.value);
        return;
    case DRIFT_LIFETIME:
        snprintf(ret, size, "its lifetime is %s, not persistent", lifetime_words[s->lifetime]);
        return;
    default: snprintf(ret, size, "its %s is not as declared", drift_words[field]); return;
    }
}

static void log_conflict(const struct declare_report *r, const char *name)
{
    char text[LINE_BYTES / 2] = "";
    size_t used = 0;
    for (int i = 0; i < DRIFT_COUNT && used < sizeof(text) - 3; i++) {
        if (!(r->fields & (1U << i)))
            continue;
        if (used > 0)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "; ");
        describe_conflict(r->segment, &r->declaration->params, (enum drift)i, text + used,
                          sizeof(text) - used);
        used += strlen(text + used);
    }
    log_error("%s: the declared segment %s: %s. It stays as it is: change the file, or remove the "
              "segment and it is created as declared (serial %" PRIu64 " shmid %" PRId32 ")",
              r->declaration->file, name, text, r->segment->serial, r->segment->shmid);
}

static void log_declared(void *context, const struct declare_report *r)
{
    const char *file = r->declaration->file;
    const struct segment *s = r->segment;
    char key[32], fields[256];
    const char *name = name_of(&r->declaration->params, key, sizeof(key));
    struct failure failure;
    (void)context;
    list_fields(r->fields, fields, sizeof(fields));
    if (r->error != 0)
        outcome_to_failure(r->error, r->detail, NULL, NULL, &failure);
    switch (r->result) {
    case DECLARE_CREATED:
        log_info("%s: created %s, which is declared here (serial %" PRIu64 " shmid %" PRId32 ")",
                 file, name, s->serial, s->shmid);
        return;
    case DECLARE_CHANGED:
        log_info("%s: changed %s to what is declared here: %s (serial %" PRIu64 " shmid %" PRId32
                 ")",
                 file, name, fields, s->serial, s->shmid);
        return;
    case DECLARE_NOT_CREATED:
        log_error("%s: the declared segment %s: %s", file, name, failure_message(&failure));
        return;
    case DECLARE_NOT_CHANGED:
        log_error("%s: the declared segment %s: cannot change its %s: %s", file, name, fields,
                  failure_message(&failure));
        return;
    case DECLARE_CONFLICT: log_conflict(r, name); return;
    }
}

void configuration_declare(const struct configuration *c, struct core *core)
{
    struct declarations declarations CLEANUP(declarations_deinit) = {.report = log_declared};
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->declared.count; i++)
        r = declarations_add(&declarations, c->declared.items[i].file,
                             &c->declared.items[i].params);
    if (r == 0)
        r = declare_segments(core, &declarations);
    if (r < 0)
        log_error("the declared segments stay as they were: %s", strerror(-r));
}

void configuration_describe_errors(const struct configuration *c, const char *what, char *ret,
                                   size_t size)
{
    char first[LINE_BYTES] = "out of memory", more[48] = "";
    if (c->errors.count > 0)
        config_error_text(&c->errors.items[0], first, sizeof(first));
    if (c->errors.count > 1)
        snprintf(more, sizeof(more), " (and %zu more)", c->errors.count - 1);
    snprintf(ret, size, "%s: %s%s", what, first, more);
}
