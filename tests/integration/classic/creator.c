/* SPDX-License-Identifier: MIT */
/* A program of the old school: creates a segment, writes a string into it and prints its id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

int main(int argc, char *argv[])
{
    if (argc != 3) {
        fprintf(stderr, "usage: creator KEY TEXT\n");
        return EXIT_FAILURE;
    }
    size_t length = strlen(argv[2]) + 1;
    int shmid = shmget((key_t)strtol(argv[1], NULL, 0), length, IPC_CREAT | IPC_EXCL | 0600);
    if (shmid < 0) {
        perror("shmget");
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
    printf("%d\n", shmid);
    return EXIT_SUCCESS;
}
