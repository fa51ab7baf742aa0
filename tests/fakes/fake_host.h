/* SPDX-License-Identifier: MIT */
/*
 * A state directory in memory, under a real journal. Its calls are counted, fail on cue, and can
 * stop to have any effect, as if the daemon had been killed between two of them. What is in the
 * directory then is what the next daemon finds.
 */
#ifndef SHMD_TESTS_FAKES_FAKE_HOST_H
#define SHMD_TESTS_FAKES_FAKE_HOST_H

#include "daemon/store/host.h"

enum { FAKE_FILES_MAX = 16, FAKE_OPEN_MAX = 16, FAKE_PAGE = 4096 };

struct fake_file {
    char name[64]; /* empty: it was deleted */
    uint8_t *data;
    size_t size, capacity;
    uint64_t room;  /* bytes that the disk has given, in whole pages */
    uint64_t inode; /* 0: free */
    uint32_t mode;
    bool is_regular;
    int n_open;
    bool is_locked; /* by one of the open ones */
};

/* What becomes of a call that is meant to fail. */
enum fake_fault {
    FAKE_NO_FAULT,
    FAKE_ERROR,      /* it fails, and nothing is done */
    FAKE_SHORT,      /* a write writes half; others fail */
    FAKE_EMPTY,      /* a write says that it wrote half, and wrote nothing; others fail */
    FAKE_DONE_ERROR, /* it fails, though all is done */
};

struct fake_host {
    struct fake_file files[FAKE_FILES_MAX];
    struct {
        struct fake_file *file; /* NULL: free */
        bool has_lock;
    } open[FAKE_OPEN_MAX];
    uint64_t next_inode;
    uint32_t directory_uid, directory_mode;
    bool directory_is_gone;  /* until it is entered again */
    bool directory_is_moved; /* the same; what is entered then is empty */
    bool directory_is_left;  /* the same; its path leads to it */
    uint64_t disk_free;      /* bytes */
    bool lacks_allocation;
    int64_t now_us, now_ms; /* now_us moves on with each look at it by step_us */
    int64_t step_us;

    unsigned n_calls; /* all but looks at the clock and close() */
    unsigned n_writes;
    uint64_t bytes_read;
    /* From call FAIL_FROM to FAIL_TO, counted from 1, calls have FAULT with FAIL_ERRNO (positive).
     */
    unsigned fail_from, fail_to;
    enum fake_fault fault;
    enum fake_fault later_fault; /* of all but the first; FAKE_NO_FAULT: the same */
    int fail_errno;
    unsigned n_faults;          /* calls that had one */
    unsigned long n_all_faults; /* the same, ever */
    /* Calls from number KILL_AT on have no effect; that one, if it is a write over the end of a
     * page and CUTS, is done up to there. 0: none. */
    unsigned kill_at;
    bool cuts;
    bool is_killed;
};

void fake_host_init(struct fake_host *h);
void fake_host_deinit(struct fake_host *h);
/* INTO becomes a copy of the directory as the next process finds it: nothing is open or locked. */
void fake_host_copy(const struct fake_host *h, struct fake_host *into);

struct host fake_host(struct fake_host *h);

/* Calls from the next one, COUNT of them, fail. */
void fake_host_fail(struct fake_host *h, unsigned count, enum fake_fault fault, int errnum);
/* No faults from now on. */
void fake_host_mend(struct fake_host *h);

/* The file of that name, or NULL. */
struct fake_file *fake_host_find(struct fake_host *h, const char *name);
/* Makes a file with that content in place of what has the name. */
struct fake_file *fake_host_put(struct fake_host *h, const char *name, const void *data, size_t n);
void fake_host_delete(struct fake_host *h, const char *name);
/* How many files have PART in their name. */
unsigned fake_host_count(const struct fake_host *h, const char *part);

#endif
