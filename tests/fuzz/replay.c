/* SPDX-License-Identifier: MIT */
/*
 * Feeds the files of a directory to the target this is linked with, and each of their prefixes'
 * halves too, and reports as TAP: `replay DIRECTORY`.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void feed(const char *path)
{
    FILE *file = fopen(path, "rb");
    MUST(file);
    static uint8_t data[1 << 20];
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    /* Exactly as large as it is, for AddressSanitizer and valgrind to guard. */
    for (size_t n = size;; n /= 2) {
        uint8_t *copy = malloc(n ? n : 1);
        MUST(copy);
        memcpy(copy, data, n);
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
        if (n == 0)
            return;
    }
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    MUST(argc == 2);
    int n = scandir(argv[1], &entries, NULL, alphasort), tests = 0;
    if (n < 0) {
        printf("Bail out! %s: %s\n", argv[1], strerror(errno));
        return 99;
    }
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
            feed(path);
            printf("ok %d - %s\n", ++tests, entries[i]->d_name);
            fflush(stdout);
        }
        free(entries[i]);
    }
    free(entries);
    /* A corpus that is not there tests nothing. */
    if (tests == 0)
        printf("not ok 1 - %s holds no seeds\n", argv[1]);
    printf("1..%d\n", tests ? tests : 1);
    return tests ? 0 : 1;
}
