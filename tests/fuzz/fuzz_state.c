/*
 * A state file of any content: opening neither fails nor removes anything. What is no good is moved
 * aside; what is loaded obeys the rules of records; and a commit works afterwards.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/mark.h"
#include "protocol/params.h"
#include "tests/fuzz/fuzz.h"

static char directory[64];

static void remove_directory(void)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(directory);
}

static void make_directory(void)
{
    /* In memory: thousands of databases are made a minute. */
    snprintf(directory, sizeof(directory), "/dev/shm/shmd-fuzz-XXXXXX");
    if (!mkdtemp(directory)) {
        snprintf(directory, sizeof(directory), "/tmp/shmd-fuzz-XXXXXX");
        MUST(mkdtemp(directory));
    }
}

static int take_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                        size_t n_ties)
{
    uint64_t *last = context;
    MUST(segment->serial > *last);
    *last = segment->serial;
    MUST(segment->shmid >= 0 && segment->state < STATE_COUNT && segment->lifetime < LIFETIME_COUNT);
    MUST(!segment->name || !params_check_name(segment->name));
    MUST(segment->n_labels <= SEGMENT_LABELS_MAX);
    for (size_t i = 0; i < n_ties; i++)
        MUST(ties[i].role < TIE_ROLES && memchr(ties[i].comm, 0, sizeof(ties[i].comm)));
    segment_free(segment);
    return 0;
}

static int take_daemon(void *context, const struct store_daemon *daemon)
{
    (void)context;
    (void)daemon;
    return 0;
}

static void serve(struct store_sqlite *st)
{
    uint64_t last = 0;
    const struct store_visitor visitor = {take_segment, take_daemon, &last};
    struct store_meta meta = {0};
    const char *reason = NULL;
    MUST(store_sqlite_ops.load(st, &visitor, &meta) == 0);
    if (last > meta.last_serial)
        meta.last_serial = last;
    if (meta.last_serial >= INT64_MAX)
        return;
    struct segment *segment = segment_new();
    MUST(segment);
    segment->serial = ++meta.last_serial;
    segment->size = 1;
    const struct store_change change = {.serial = segment->serial, .segment = segment};
    MUST(store_sqlite_ops.commit(st, &change, 1, &meta, &reason) == 0);
    segment_free(segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct store_scope scope = {"11111111-1111-1111-1111-111111111111", 4026531839};
    char path[128];
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    if (!directory[0])
        atexit(remove_directory);
    make_directory();
    snprintf(path, sizeof(path), "%s/state.db", directory);
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    snprintf(path, sizeof(path), "%s/state.db-mark", directory);
    struct store_sqlite marking = {.mark = open(path, O_CREAT | O_WRONLY, 0600)};
    MUST(mark_put(&marking) == 0); /* nobody was told of anything */
    mark_close(&marking);
    MUST(store_sqlite_open(directory, &scope, &st, &opening) == 0);
    if (opening.opened == STORE_SET_ASIDE) {
        snprintf(path, sizeof(path), "%s/%s", directory, opening.set_aside);
        MUST(access(path, F_OK) == 0);
    }
    serve(st);
    store_sqlite_close(st);
    remove_directory();
    return 0;
}
