/* SPDX-License-Identifier: MIT */
/*
 * A core on fakes: a kernel, clocks, processes and a store in memory, with what tests of the core
 * do all the time. It checks after each turn that records, ties, charges, pidfds and the store
 * agree, whatever the test is about.
 *
 * What the fakes allocate does not count for fake_memory.h, so programs with a fixture are linked
 * with its flags.
 */
#ifndef SHMD_TESTS_FAKES_CORE_FIXTURE_H
#define SHMD_TESTS_FAKES_CORE_FIXTURE_H

#include "daemon/core/core.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_processes.h"
#include "tests/fakes/fake_store.h"
#include "tests/fakes/fake_sysv.h"

enum {
    DAEMON = 990, /* uid and gid of fake_sysv's daemon */
    DAEMON_PID = 100,
    ALICE = 1000,
    BOB = 1001,
    ALICES = 2000, /* groups */
    BOBS = 2001,
    VIDEO = 44,
};

struct core_fixture {
    struct fake_sysv *k;
    struct fake_clock clock;
    struct fake_store store;
    struct fake_processes p;
    struct machine machine;
    struct core_settings settings;
    struct core core;
    struct core_start start; /* what the last start found */
    const char *reason;      /* of the last write to the store that failed */

    /* Of the last call. */
    struct found found;
    bool created;
    struct outcome_detail detail;

    char told[16384]; /* events of all turns, as core_fixture_told() shows them */
    bool has_restarted;
    void (*before_start)(struct core_fixture *f); /* the test's to set; NULL: nothing is done */
};

/* Sets a limit of the running daemon. */
#define FIXTURE_LIMIT(f, key, value)                                                               \
    ((f)->core.settings.limits.key = (value), core_fixture_configure(f))
void core_fixture_configure(struct core_fixture *f);

/* A started core of the daemon, on a machine with 2 MiB pages, none of them free. */
struct core_fixture *core_fixture_new(void);
/* Checks that nothing is left behind. */
void core_fixture_free(struct core_fixture *f);

/* The daemon ends in order and another starts from the same store, with the next pid. */
int core_fixture_restart(struct core_fixture *f);
/* The same after SIGKILL: facts of this turn are not recorded. */
int core_fixture_crash(struct core_fixture *f);

/* The end of a turn: how recording the facts ended. Events are told and waiters hear them. */
int core_fixture_turn(struct core_fixture *f);
/* Time passes in steps from deadline to deadline, each a turn. */
void core_fixture_pass(struct core_fixture *f, int64_t ms);

/* What was told since the last call, as «created:frames changed:- removed/expired:frames». */
const char *core_fixture_told(struct core_fixture *f);

/* All that a change could change, as text on the heap: kernel, records, ties, charges, deadlines,
 * pidfds, what the turn holds. */
char *core_fixture_snapshot(struct core_fixture *f);

/* Charges, ties, pidfds and the store are what the records say; each turn's end looks. */
void core_fixture_check(struct core_fixture *f);
/* Every record has its segment in the kernel, and every segment that the daemon made its record. */
void core_fixture_check_kernel(struct core_fixture *f);

/* A process of UID with a connection; the pid's process is started unless it lives. */
struct caller core_fixture_caller(struct core_fixture *f, uint32_t uid, int32_t pid);

/* Process PID dies: its attachments go, and the daemon notices. */
void core_fixture_kill(struct core_fixture *f, int32_t pid);

/* --- calls: the core's verbs on what is called NAME, results in the fixture. Access is not looked
 * at, for that is the dispatcher's business. */

#define GIVEN(x)                                                                                   \
    {                                                                                              \
        true, (x)                                                                                  \
    }
/* As a value, for an assignment. */
#define GIVEN_INT(x)  ((struct opt_int)GIVEN(x))
#define GIVEN_BOOL(x) ((struct opt_bool)GIVEN(x))

int fixture_create(struct core_fixture *f, struct caller *caller, const struct create_params *p);
int fixture_look(struct core_fixture *f, const char *name);
int fixture_set(struct core_fixture *f, struct caller *caller, const char *name,
                const struct set_params *p);
int fixture_remove(struct core_fixture *f, const char *name);
int fixture_hold(struct core_fixture *f, struct caller *caller, const char *name);
int fixture_release(struct core_fixture *f, struct caller *caller, const char *name);
int fixture_ready(struct core_fixture *f, const char *name);
int fixture_adopt(struct core_fixture *f, struct caller *caller, const struct adopt_params *p);

/* A segment of 4096 bytes; it must be made. A turn ends. */
struct segment *fixture_made(struct core_fixture *f, struct caller *caller, const char *name,
                             enum lifetime lifetime);

/* The record called NAME, or NULL; the kernel is not looked at. */
struct segment *fixture_record(const struct core_fixture *f, const char *name);
/* What the kernel has of it; it must be there. */
struct sysv_stat *fixture_kernel(const struct core_fixture *f, const char *name);

#endif
