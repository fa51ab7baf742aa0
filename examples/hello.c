/* SPDX-License-Identifier: MIT */
/*
 * hello write NAME fills a segment from standard input, hello read NAME waits until it is filled
 * and prints it; in any order, and also when the daemon is killed and started again meanwhile.
 */
#include <errno.h>
#include <shmd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 4096, PATIENCE_MS = 60000 };

static int fill(struct shmd *shmd, const char *name)
{
    struct shmd_segment *segment = NULL;
    void *memory;
    int r = shmd_create(shmd,
                        &(struct shmd_create_options){
                            .name = name, .size = SIZE, .exclusive = true, .not_ready = true},
                        &segment, NULL);
    if (r == 0)
        r = shmd_attach(shmd, segment, 0, &memory);
    if (r == 0) {
        if (fread(memory, 1, SIZE, stdin) == 0)
            fprintf(stderr, "hello: standard input has nothing\n");
        shmd_detach(memory);
        do
            r = shmd_ready(shmd, SHMD_SERIAL(segment->serial), NULL);
        while (r == -ECONNRESET && shmd_reconnect(shmd, PATIENCE_MS) == 0);
    }
    shmd_segment_free(segment);
    return r;
}

static int print(struct shmd *shmd, const char *name)
{
    struct shmd_segment *segment = NULL;
    void *memory;
    int r;
    do
        r = shmd_wait_trusted(shmd, name, -1, 0, NULL, &segment);
    while (r == -ECONNRESET && shmd_reconnect(shmd, PATIENCE_MS) == 0);
    if (r == 0)
        r = shmd_attach(shmd, segment, SHMD_ATTACH_READONLY, &memory);
    if (r == 0) {
        printf("%.*s", SIZE, (const char *)memory);
        shmd_detach(memory);
    }
    shmd_segment_free(segment);
    return r;
}

int main(int argc, char *argv[])
{
    struct shmd *shmd;
    bool writes = argc == 3 && strcmp(argv[1], "write") == 0;
    if (!writes && !(argc == 3 && strcmp(argv[1], "read") == 0)) {
        fprintf(stderr, "usage: hello write|read NAME\n");
        return 2;
    }
    int r = shmd_connect(NULL, -1, &shmd);
    if (r != 0) {
        char text[512];
        shmd_unreachable_text(NULL, r, text, sizeof(text));
        fprintf(stderr, "hello: cannot reach the daemon: %s\n", text);
        return 1;
    }
    r = writes ? fill(shmd, argv[2]) : print(shmd, argv[2]);
    if (r != 0) {
        char text[512];
        shmd_failure_text(shmd, text, sizeof(text));
        fprintf(stderr, "hello: %s\n", text);
    }
    shmd_disconnect(shmd);
    return r != 0;
}
