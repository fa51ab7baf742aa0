#include "daemon/configuration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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

static int read_files(struct configuration *c, struct reading *ret)
{
    int r = config_load(c->path, c->is_given, &ret->config, &c->errors);
    if (r < 0)
        return r;
    ret->has_errors_in_config = c->errors.count > 0;
    check_segments_dir(c->path, &ret->config, &c->errors);
    return declared_read(ret->config.segments_dir, &ret->declared, &c->errors);
}

/* Reads all files and logs the errors, which replace those of the last reading. 0 or -ENOMEM; RET
 * is to be freed in any case. */
static int read_anew(struct configuration *c, struct reading *ret)
{
    *ret = (struct reading){.has_errors_in_config = false};
    config_errors_deinit(&c->errors);
    int r = read_files(c, ret);
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
                                  .reconcile_ms = c->config.reconcile_ms};
}

static void declare(const struct declaration *declaration, struct core *core)
{
    const struct create_params *params = &declaration->params;
    struct outcome_detail detail = {0};
    struct failure failure;
    bool created = false;
    char key[32];
    const char *name = params->name ? params->name : key;
    snprintf(key, sizeof(key), "(key %" PRIu32 ")", (uint32_t)params->key.value);
    int r = declare_segment(core, params, &created, &detail);
    if (r == 0) {
        if (created)
            log_info("%s: created %s, which is declared here", declaration->file, name);
        return;
    }
    outcome_to_failure(r, &detail, NULL, NULL, &failure);
    log_error("%s: the declared segment %s: %s", declaration->file, name,
              failure_message(&failure));
}

void configuration_declare(const struct configuration *c, struct core *core)
{
    declare_none(core);
    for (size_t i = 0; i < c->declared.count; i++)
        declare(&c->declared.items[i], core);
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
