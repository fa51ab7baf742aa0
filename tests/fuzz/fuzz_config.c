/*
 * Configuration and declared segments of any content: taken whole, or refused with a sentence that
 * names the file. What is taken is within its ranges.
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

static int each(void *context, const char *file, const struct create_params *params)
{
    (void)context;
    (void)file;
    MUST(params->name ? !params_check_name(params->name) : params->key.value != 0);
    MUST(params->size.value > 0);
    return 0;
}

static void complain(void *context, const char *file, const char *what)
{
    (void)context;
    MUST(strcmp(file, json) == 0 && *what);
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
    char *error = NULL;
    const struct declared_visitor visitor = {each, complain, NULL};
    if (!directory[0])
        make_directory();
    put(conf, data, size);
    int r = config_load(conf, false, &config, &error);
    if (r == 0) {
        check_limits(&config.limits);
        config_deinit(&config);
    } else {
        MUST(error && strstr(error, conf));
    }
    free(error);
    put(json, data, size);
    MUST(declared_load(directory, &visitor) == 0);
    return 0;
}
