/* SPDX-License-Identifier: MIT */
/* A program of the old school: attaches a segment by its id and writes a string into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

int main(int argc, char *argv[])
{
    if (argc != 3) {
        fprintf(stderr, "usage: writer SHMID TEXT\n");
        return EXIT_FAILURE;
    }
    int shmid = atoi(argv[1]);
    struct shmid_ds ds;
    if (shmctl(shmid, IPC_STAT, &ds) < 0) {
        perror("shmctl");
        return EXIT_FAILURE;
    }
    size_t length = strlen(argv[2]) + 1;
    if (length > ds.shm_segsz) {
        fprintf(stderr, "the text needs %zu bytes, the segment has %zu\n", length, ds.shm_segsz);
        return EXIT_FAILURE;
    }
    char *text = shmat(shmid, NULL, 0);
    if (text == (void *)-1) {
        perror("shmat");
        return EXIT_FAILURE;
    }
    memcpy(text, argv[2], length);
    if (shmdt(text) < 0) {
        perror("shmdt");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
