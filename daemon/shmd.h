/* SPDX-License-Identifier: MIT */
/* The daemon as a whole: builds its parts from the seams up and takes them down in reverse. */
#ifndef SHMD_SHMD_H
#define SHMD_SHMD_H

/* Runs shmd with these arguments; the process's exit status. */
int shmd_main(int argc, char **argv);

#endif
