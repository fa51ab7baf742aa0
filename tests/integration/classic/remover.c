/* SPDX-License-Identifier: MIT */
/* A program of the old school: removes a segment by its id. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>

int main(int argc, char *argv[])
{
    if (argc != 2) {
        fprintf(stderr, "usage: remover SHMID\n");
        return EXIT_FAILURE;
    }
    if (shmctl(atoi(argv[1]), IPC_RMID, NULL) < 0) {
        perror("shmctl");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
