/* SPDX-License-Identifier: MIT */
/*
 * Configuration and declared segments of any content: what is taken is within its ranges, and every
 * error names its file.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/declared.h"
#include "tests/fuzz/fuzz.h"

static char directory[64], conf[96], json[96];

static void remove_directory(void)
{
    unlink(conf);
    unlink(json);
    rmdir(directory);
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "/dev/shm/shmd-fuzz-XXXXXX");
    if (!mkdtemp(directory)) {
        snprintf(directory, sizeof(directory), "/tmp/shmd-fuzz-XXXXXX");
        MUST(mkdtemp(directory));
    }
    snprintf(conf, sizeof(conf), "%s/shmd.conf", directory);
    snprintf(json, sizeof(json), "%s/a.json", directory);
    atexit(remove_directory);
}

static void put(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void check_declaration(const struct declared_segment *declaration)
{
    const struct create_params *params = &declaration->params;
    MUST(strcmp(declaration->file, json) == 0 && declaration->line > 0);
    MUST(params->name ? !params_check_name(params->name) : params->key.value != 0);
    MUST(params->size.value > 0);
}

/* Empties ERRORS. */
static void check_errors(struct config_errors *errors, const char *file)
{
    MUST(!errors->out_of_memory && errors->count <= CONFIG_ERRORS_MAX + 1);
    for (size_t i = 0; i < errors->count; i++)
        MUST(strcmp(errors->items[i].file, file) == 0 && *errors->items[i].message);
    config_errors_deinit(errors);
}

static void check_range(uint64_t value, uint64_t min, uint64_t max)
{
    MUST(value >= min && value <= max);
}

static void check_limits(const struct limits *l)
{
#define X(name, def, min, max) check_range(l->name, (min), (max));
    LIMITS(X)
#undef X
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct declared declared;
    struct config_errors errors = {0};
    static const struct machine machine = {.huge_page_sizes = {2 << 20}, .n_huge_page_sizes = 1};
    if (!directory[0])
        make_directory();
    put(conf, data, size);
    MUST(config_load(conf, true, &config, &errors) == 0);
    check_limits(&config.limits);
    config_deinit(&config);
    check_errors(&errors, conf);
    put(json, data, size);
    MUST(declared_read(directory, &machine, &declared, &errors) == 0);
    for (size_t i = 0; i < declared.count; i++)
        check_declaration(&declared.items[i]);
    declared_deinit(&declared);
    check_errors(&errors, json);
    return 0;
}
