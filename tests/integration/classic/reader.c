/* SPDX-License-Identifier: MIT */
/* A program of the old school: attaches a segment by its id and prints the string in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

int main(int argc, char *argv[])
{
    if (argc != 2) {
        fprintf(stderr, "usage: reader SHMID\n");
        return EXIT_FAILURE;
    }
    int shmid = atoi(argv[1]);
    struct shmid_ds ds;
    if (shmctl(shmid, IPC_STAT, &ds) < 0) {
        perror("shmctl");
        return EXIT_FAILURE;
    }
    const char *text = shmat(shmid, NULL, SHM_RDONLY);
    if (text == (void *)-1) {
        perror("shmat");
        return EXIT_FAILURE;
    }
    printf("%.*s\n", (int)strnlen(text, ds.shm_segsz), text);
    if (shmdt(text) < 0) {
        perror("shmdt");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
