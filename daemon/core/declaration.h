/* SPDX-License-Identifier: MIT */
/*
 * What a configuration file declares of a segment, and in what the segment differs from it. Only
 * what the file names counts: a member that it leaves out may be as it is.
 */
#ifndef SHMD_CORE_DECLARATION_H
#define SHMD_CORE_DECLARATION_H

#include "daemon/core/deadlines.h"
#include "daemon/sys/sysv.h"
#include "protocol/params.h"
#include "protocol/terms.h"

struct segment;
struct declare_report;

/* The members that `set` can change. All others are conflicts. */
#define DRIFT_SETTABLE                                                                             \
    (1U << DRIFT_MODE | 1U << DRIFT_UID | 1U << DRIFT_GID | 1U << DRIFT_LABELS |                   \
     1U << DRIFT_TTL_MS | 1U << DRIFT_IDLE_TTL_MS | 1U << DRIFT_LOCKED)

/* What is wrong with a segment: it is reported once, and again when it has changed. */
struct declare_trouble {
    int error;          /* of creating it: an outcome or a negative errno; 0: it exists */
    unsigned conflicts; /* bits of enum drift */
    uint64_t serial;    /* of the segment that has them; 0: there is none */
};

struct declaration {
    struct create_params params; /* has a name or a key; its texts are in `texts` */
    const char *file;            /* where it is declared; in `texts` */
    char *texts;                 /* owned */
    struct declare_trouble reported;
};

typedef void declare_report_fn(void *context, const struct declare_report *report);

/* All declarations. Zeros: there are none. */
struct declarations {
    struct declaration *items; /* owned */
    size_t count, capacity;
    /* Owned, sorted: those with a name, and those with a key. */
    const struct declaration **by_name, **by_key;
    size_t n_names, n_keys;
    struct deadline look; /* set while there are declarations: when they are looked at again */
    size_t n_to_look_at;  /* of the look that is under way: the last so many of ITEMS */
    declare_report_fn *report;
    void *context;
};

/* Adds a copy of PARAMS, which FILE declares: 0 or -ENOMEM. */
int declarations_add(struct declarations *d, const char *file,
                     const struct create_params *params) MUST_CHECK;
/* After the last was added; only then are they found. 0 or -ENOMEM. */
int declarations_sort(struct declarations *d) MUST_CHECK;
void declarations_deinit(struct declarations *d);

/* The declaration that means a segment of that NAME (NULL: none) and KEY (0: none): by the name, or
 * else by the key. NULL: there is none. */
const struct declaration *declaration_of(const struct declarations *d, const char *name,
                                         uint32_t key);

/*
 * Whether SEGMENT, which the daemon of OWN_UID has made for a declaration, belongs to RET_UID as
 * soon as it is not the declared one any more: removed and still attached, or renamed. Else the
 * daemon would be charged for it, and who may change the one could use up what the daemon may have
 * for all.
 */
bool declaration_heir(const struct declarations *d, const struct segment *segment, uint32_t own_uid,
                      uint32_t *ret_uid);

/* In what SEGMENT, as KERNEL has it, differs from D at NOW_MS (boot clock): bits of enum drift. A
 * segment that is being removed does not differ. OWN_UID is the daemon's. */
uint32_t declaration_drift(const struct declaration *d, const struct segment *segment,
                           const struct sysv_stat *kernel, uint32_t own_uid, int64_t now_ms);

#endif
