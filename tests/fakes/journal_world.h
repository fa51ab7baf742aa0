/* SPDX-License-Identifier: MIT */
/*
 * A journal on a host that a test can break, and beside it a model: what the journal is to hold
 * after the changes that it acknowledged. The model is what lives in memory, too.
 */
#ifndef SHMD_TESTS_FAKES_JOURNAL_WORLD_H
#define SHMD_TESTS_FAKES_JOURNAL_WORLD_H

#include "daemon/store/journal.h"
#include "tests/fakes/fake_host.h"

enum {
    MODEL_SEGMENTS_MAX = 2048,
    MODEL_TIES_MAX = 8,
    EXAMPLE_VERSIONS = 17, /* of example_segment(), from 0; the last one is the largest */
};

struct model {
    struct {
        uint64_t serial;
        unsigned version;
        struct stored_idle idle; /* since_ms 0: as the version has it */
        struct stored_tie ties[MODEL_TIES_MAX];
        size_t n_ties;
    } segments[MODEL_SEGMENTS_MAX]; /* ascending serials */
    size_t n;
    struct store_counters counters;
    size_t n_daemons;
};

struct example {
    struct stored_segment segment;
    struct label labels[SEGMENT_LABELS_MAX];
    char texts[8192];
};

struct world {
    struct fake_host host;
    struct journal *journal; /* NULL: closed */
    const char *boot_id;
    uint64_t ipc_namespace;
    struct model model;
    char log[4096]; /* what the journal said since it was opened last */
    unsigned n_errors, n_warnings;
    const char *reason;  /* of the last failure */
    struct example live; /* of next() */
    struct example example;
    int fail_next; /* of next(): a positive errno */
};

void world_init(struct world *w);
void world_deinit(struct world *w);

/* Opens the journal, loads it and lets it follow the model: 0 with RET, or a negative errno. */
int world_open(struct world *w, struct store_contents *ret);
/* Ends in order. */
void world_close(struct world *w);
/* As after SIGKILL: W's directory, and nothing else, goes to the next daemon. */
void world_kill(struct world *w);

/* What SERIAL is in VERSION; its size tells the version. W lends the memory, until the next call.
 */
const struct stored_segment *example_segment(struct world *w, uint64_t serial, unsigned version);
struct stored_tie example_tie(enum tie_role role, int32_t pid);

/* Writes RECORDS, and brings the model up to date when that succeeds. */
int world_write(struct world *w, const struct store_record *records, size_t n);
int world_put(struct world *w, uint64_t serial, unsigned version);
int world_remove(struct world *w, uint64_t serial);
int world_intend(struct world *w, uint32_t key, uint64_t size);
int world_abandon(struct world *w);

/* A script of WORLD_STEPS changes of all kinds; each is 0 or a negative errno. */
enum { WORLD_STEPS = 13 };
int world_step(struct world *w, unsigned step);

/* What RECORDS make of the model. */
void model_apply(struct model *m, const struct store_record *records, size_t n);

/* Whether CONTENTS are what the model says, in every field; prints what is not when SAYS. */
bool world_holds(struct world *w, const struct store_contents *contents, const struct model *model,
                 bool says);

#endif
