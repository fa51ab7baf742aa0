/* SPDX-License-Identifier: MIT */
/* The oracle, as its files share it. */
#ifndef SHMD_TESTS_SIMULATION_ORACLE_STATE_H
#define SHMD_TESTS_SIMULATION_ORACLE_STATE_H

#include "tests/simulation/model.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/shown.h"

enum { TOLD_KEPT = 4096, CODES_MAX = 64, CAUSES_MAX = 64, CUT_OFF_MAX = 64, DOUBTS_MAX = 4 };

/* An event, as the log has it. */
struct told {
    bool is_lost;
    bool has_cause; /* in what the model has done in the same turn */
    enum event_kind kind;
    enum reason reason;
    int64_t at_ms;
    struct shown shows;
    struct sysv_stat kernel;
};

struct listener {
    bool is_on;
    bool is_unsure; /* there was no memory for the answer: it hears events, or none */
    uint32_t kinds;
    char prefix[NAME_BYTES];
    uint64_t next; /* the serial of the first event that it has not passed */
};

/* A uid, and the lines of the log that it has caused. */
struct cause {
    uint32_t uid;
    int64_t full_at_ms; /* boot clock: when it may have a whole burst again */
    bool has_used_all;  /* since it was told last how many were left out */
};

/* What is said on one connection. */
struct talk {
    struct connection *connection;
    struct ask *asks; /* in the order in which they were sent; those from N_DONE on are open */
    size_t n_asks, n_done, capacity;
    unsigned n_batches;
    struct ask *waits; /* executed, and without an answer yet */
    size_t n_waits, waits_capacity;
    char *text; /* answered, and not a whole value yet */
    size_t len, text_capacity;
    struct listener listener;
    size_t later_heard; /* of the answers that stand behind a batch's */
    size_t heard_twice; /* of TEXT, what follows was heard there */
};

/* What a kill or a fault has cut off, and may have been done: a segment as it would be then. */
struct cut_off {
    enum method method;
    struct model_segment asked; /* its labels are owned */
    uint64_t replaced;          /* that goes with it; 0: none */
    bool kernel_is_old;         /* at the kill the kernel had not been told */
    bool is_refused; /* the kernel's part was taken back, and the record perhaps could not be */
};

struct oracle {
    struct world *w;
    struct model m;
    struct talk talks[CONNECTIONS_MAX];
    struct told told[TOLD_KEPT]; /* by serial */
    uint64_t last_told;
    uint64_t told_before;      /* serial of the last event before the present daemon's */
    uint64_t turn_after;       /* the events of this turn are those above it */
    bool has_unsure_news;      /* of some segment, or it must be looked for */
    unsigned long turn_faults; /* of the world, when it began */
    int64_t sweep_until_ms;    /* boot clock: a sweep was under way then */
    int64_t listens_since_ms;  /* somebody wants to hear who attaches; 0: nobody */
    uint64_t last_serial;      /* of a segment, that was ever answered */
    bool must_learn;
    bool is_unsure_of_new;     /* a kill cut off what makes a segment */
    bool is_unsure_of_adopted; /* in particular, what adopts or gives up one */
    /* What a kill has left between shmget() and the record: the next start removes it. */
    struct sysv_stat unacknowledged[CODES_MAX];
    size_t n_unacknowledged;
    bool may_have_left_rest; /* one of them may be of a create that was refused before the kill */
    struct cut_off
        cut_off[CUT_OFF_MAX];     /* while this daemon runs, and until the next has started */
    size_t n_cut_off;             /* above CUT_OFF_MAX: there were more */
    bool new_may_be_recorded;     /* see oracle_refused_by_store() */
    bool adopted_may_be_recorded; /* the same */
    bool may_tell_of_unknown;     /* one that was made, and has ended, and nobody heard */
    bool had_fault;               /* since all was settled last */
    bool faults_seen;             /* while the present connection was served */
    unsigned long faults_counted; /* of the world */
    int64_t last_fault_ms;        /* boot clock */
    struct cause causes[CAUSES_MAX];
    size_t n_causes;
    bool has_nameless_lines; /* that cannot be told whose they are */
    int64_t ended_at_ms;     /* boot clock: when the last daemon did */
    unsigned n_long_looks;   /* creates of this turn that have looked at many segments */
    unsigned long long_looks_turn;
    unsigned long removals_refused; /* by the kernel, or looks, until it was looked at last */
    bool is_killed;
    uint64_t executed[METHOD_COUNT]; /* by this daemon */
    uint64_t n_bad;                  /* of no method that is known */
    bool executed_is_unsure;
};

/* What failed lately is not made up for yet: the next sweeps do that. */
static inline bool oracle_had_fault(const struct oracle *o)
{
    return o->last_fault_ms > 0 &&
           o->w->clock.boot_ms <= o->last_fault_ms + 3 * o->w->settings.reconcile_ms;
}

static inline struct talk *talk_of(struct oracle *o, const struct connection *c)
{
    return &o->talks[c->label];
}

/* It is not known what has become of ASK: the model learns it when the connection was served. */
void oracle_be_unsure(struct oracle *o, const struct ask *ask);
/* ASK was refused because the store takes no changes: the record may have been written, and stay if
 * the daemon is killed before it can take it back. */
void oracle_refused_by_store(struct oracle *o, const struct ask *ask);
/* ASK was executed, and nobody hears how it ended: the model learns it from the daemon. */
void oracle_execute_unheard(struct oracle *o, struct ask *ask);
/* WAIT is over, and its answer does not tell whether it holds: the model learns that at once. */
void oracle_learn_wait(struct oracle *o, const struct ask *wait);

/* Notes faults since the last look, in whatever part of the turn. */
void oracle_note_faults(struct oracle *o);

/* --- answers.c: what the daemon says, read from the outbox */

/* Reads what C's outbox has got, and hands each value on. */
void answers_read(struct oracle *o, struct connection *c);

/* --- written.c: what the daemon says, at the time when it does */

/* MESSAGE, which is sent, is the answer to ASK that was judged. */
void written_check_sent(struct oracle *o, const struct ask *ask, const json_t *message);

/* --- judge.c: whether an answer is right */

/* The answer to ASK; NULL: there is none, and the caller does not wait for it. */
void judge_answer(struct oracle *o, struct ask *ask, const json_t *message, bool had_fault);
void judge_wait(struct oracle *o, struct ask *ask, const json_t *message);
/* What may have ended of what a request is about. */
struct supposition {
    struct model_segment *doubts[DOUBTS_MAX];
    enum outside outside[DOUBTS_MAX];
    size_t n;
};
/* Let those of P whose bit is in ENDED have ended; until no more is supposed. */
void judge_suppose(const struct model *m, struct supposition *p, unsigned ended);
void judge_suppose_no_more(struct supposition *p);
/* Whether MESSAGE shows S as it is. */
void judge_segment(struct oracle *o, struct model_segment *s, const json_t *shown,
                   const char *where);

/* --- log_lines.c: what the daemon logs */

/* From now on O reads the log; NULL: nobody does. */
void log_lines_read_by(struct oracle *o);
/* Another daemon counts from nothing. */
void log_lines_begin_anew(struct oracle *o);

/* --- quotas.c: what is used up, and what is not */

/* Whether one of the quotas that the new segment of ASK needs may refuse it, or must. */
void quotas_judge_room(const struct oracle *o, const struct ask *ask, const struct answer *a,
                       bool *ret_may, bool *ret_must);
/* Whether ASK, which the model would grant, may be refused for the quota that DATA names. */
bool quotas_may_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a,
                       const json_t *data);
/* Whether ASK, which was granted, should have been refused for a quota. */
bool quotas_must_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a);
/* The kernel's limits, which are the fake's to keep: whether the one that DATA names is reached. */
bool quotas_kernel_may_refuse(const struct oracle *o, const struct ask *ask, const struct answer *a,
                              const json_t *data);
/* Whether each uid is charged what it has for sure; once all is settled. */
void quotas_check_counts(struct oracle *o);
/* Whether RESULT of an `info` shows as much of each quota as the caller's uid uses. */
void quotas_check_info(struct oracle *o, const struct ask *ask, const json_t *result);

/* --- events.c */

void events_read(struct oracle *o);
void events_subscribe(struct oracle *o, const struct ask *ask, const json_t *result);
/* Whether the subscription was begun cannot be told. */
void events_may_subscribe(struct oracle *o, const struct ask *ask);
void events_heard(struct oracle *o, struct talk *t, const json_t *params);
/* An event was lost, to a kill or for lack of memory: it may have told of any end. */
void events_excuse(struct oracle *o);
void events_check_heard(struct oracle *o);
/* What the turn has changed was told, and nothing else. */
void events_check_turn(struct oracle *o);
/* What it has changed is not told any more. */
void events_forget_turn(struct oracle *o);
/* Each that came or went long enough ago was told. */
void events_check_users(struct oracle *o);

/* --- cut_off.c: whether what was cut off is done whole, or not at all */

/* ASK, which makes something, may have been done. */
void cut_off_note_new(struct oracle *o, const struct ask *ask);
/* The same of ASK, which is about S. */
void cut_off_note_change(struct oracle *o, const struct ask *ask, const struct model_segment *s);
/* What was noted was refused because the store took nothing. */
void cut_off_refused(struct oracle *o);
void cut_off_forget(struct oracle *o);
/* The daemon has just been killed: the kernel has the old or the new. */
void cut_off_check_kernel(struct oracle *o);
/* R, which nobody was told of, is what one asked. */
void cut_off_check_new(struct oracle *o, const struct segment *r);
/* R is S as it was, or as one asked. */
void cut_off_check_change(struct oracle *o, const struct model_segment *s, const struct segment *r);
/* S has no record any more: one asked for that. */
void cut_off_check_gone(struct oracle *o, const struct model_segment *s);

/* --- holds.c: what must hold of the kernel and the records */

/* Since the last look at the kernel, it has refused to remove or to show one. */
bool holds_could_not_remove(const struct oracle *o);
/* Whether KEY is that of a segment that is recorded as removed, which the kernel has refused. */
bool holds_has_key_still(const struct oracle *o, uint32_t key);
/* The model takes from the daemon what a kill or a fault has left open. */
void holds_learn(struct oracle *o, struct model_segment *s);
/* S has just been disowned, and something has failed: what the kernel has refused, the unlocking or
 * the owner of one that was adopted, is as it was. */
void holds_learn_disowned(struct oracle *o, const struct model_segment *s);
/* IS_SETTLED: nothing has work. */
void holds_check_records(struct oracle *o, bool is_settled);
void holds_look_outside(struct oracle *o);
/* An adoption that a kill cut off may have been done, and its end have come with the daemon's. */
void holds_forget_adopted(struct oracle *o);
/* The daemon was killed in the midst of a create, perhaps. */
void holds_note_unacknowledged(struct oracle *o);
/* R, which nobody was told of, as the kernel had it when the daemon was killed, or has it now: its
 * owner may have changed it since. */
const struct sysv_stat *holds_as_made(const struct oracle *o, const struct segment *r);
void holds_check_unacknowledged(struct oracle *o, bool had_fault);

#endif
