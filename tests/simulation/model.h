/* SPDX-License-Identifier: MIT */
/*
 * The model: what the protocol promises, said as plainly as can be, for one small machine. It
 * shares no code with the daemon. A request is answered in two steps: model_answer() says what the
 * answer must be, and model_apply() brings the model up to date.
 *
 * Some ends of segments happen when the daemon notices what caused them. Until it has shown that
 * it has, both answers are right: such a segment may_be_gone. The oracle tries both.
 */
#ifndef SHMD_TESTS_SIMULATION_MODEL_H
#define SHMD_TESTS_SIMULATION_MODEL_H

#include <jansson.h>

#include "protocol/methods.h"
#include "protocol/terms.h"
#include "tests/simulation/world.h"

enum { NAME_BYTES = 256, HOLDERS_MAX = 64, SEGMENTS_MAX = 16384, LIVE_MAX = 2048, MODES_MAX = 16 };

/* JSON-RPC codes of PROTOCOL.md. */
enum code {
    CODE_OK = 0,
    CODE_NO_SUCH_SEGMENT = 1,
    CODE_SEGMENT_EXISTS = 2,
    CODE_PERMISSION_DENIED = 3,
    CODE_SIZE_MISMATCH = 4,
    CODE_LIMIT_REACHED = 5,
    CODE_QUOTA_EXCEEDED = 6,
    CODE_SEGMENT_BUSY = 7,
    CODE_STALE_SEGMENT = 8,
    CODE_INITIALISER_DIED = 9,
    CODE_TIMED_OUT = 10,
    CODE_KEY_IN_USE = 11,
    CODE_NOT_HOLDABLE = 12,
    CODE_STORE_FAILURE = 13,
    CODE_SHUTTING_DOWN = 14,
    CODE_NOT_SUPPORTED = 15,
    CODE_INVALID_PARAMETER = -32602,
    CODE_INTERNAL = -32603,
    CODE_WAITS = 100, /* no answer yet */
};

/* Who a segment depends on: a process, or a connection. */
struct holder {
    const struct process *process;
    const struct connection *connection; /* NULL: the process alone counts */
};

/* What has become of it in the kernel behind the daemon's back. */
enum outside { OUTSIDE_NOTHING, OUTSIDE_GONE, OUTSIDE_DYING, OUTSIDE_RECYCLED };

struct model_segment {
    uint64_t serial;
    char name[NAME_BYTES];     /* "": none */
    char new_name[NAME_BYTES]; /* that it takes when it is ready; or had before its removal */
    uint64_t replaces;
    struct sysv_stat kernel; /* as the kernel must show it; attachments and times do not count */
    /* Modes that the daemon may have seen last: the one at its last sure look, and those since. */
    uint32_t modes[MODES_MAX];
    size_t n_modes;   /* above MODES_MAX: any */
    size_t sure_from; /* those before it only in events that wait to be told */
    uint32_t creator_uid, creator_gid;
    int32_t creator_pid;
    bool creator_was_admin;
    enum segment_state state;
    enum lifetime lifetime;
    bool adopted, noreserve;
    uint64_t huge_page_size;
    int64_t expires_at_ms, idle_ttl_ms;
    int64_t idle_since_ms; /* nobody has it attached since then, at the earliest */
    int64_t idle_by_ms;    /* and at the latest, as the daemon sees it */
    struct {
        uint64_t nattch;
        int64_t atime, dtime;
    } use;                 /* as the kernel told it when idle_by_ms was set */
    int64_t created_at_ms; /* wall clock, as it was shown first; 0: not yet */
    json_t *labels;        /* owned */
    struct holder holders[HOLDERS_MAX];
    size_t n_holders;
    const struct process *initialiser, *attacher; /* NULL: none */
    bool has_unseen;     /* it has had ties to processes that have no pid here */
    bool is_left_behind; /* in the time of another daemon */
    bool was_attached;   /* by a client, since the daemon anchored it */
    int64_t anchor_until_ms;
    bool is_kept; /* the daemon has it attached, so that the kernel does not take it away */
    enum outside outside;
    bool has_ended;       /* it has no record any more */
    bool is_hidden;       /* the oracle tries what would be if it had ended */
    bool is_unsure;       /* a request about it was cut off by a kill, or had a fault */
    bool may_be_recorded; /* a change of it that the store refused */
    bool removal_is_told, is_disowned;
    bool may_be_disowned; /* nobody has heard how that ended */
    bool is_of_the_past;  /* it ended in the time of another daemon: this one may find that out */
    unsigned ended_by;    /* what has ended it, as a bit 1 << enum reason for each; 0: not known */
    bool is_news_unsure;  /* what this turn has done to it, and may tell of it, is not known */
    struct {
        uint64_t n, n_told;               /* attachments: that there are, and as was told last */
        int64_t last_came_s, last_went_s; /* the kernel's latest times */
        int64_t since_ms;                 /* boot clock: of the last that came or went */
        bool is_in_sweep;                 /* which a sweep may have passed already */
        bool may_tell_came, may_tell_went, must_tell_came, must_tell_went;
    } users;
};

struct due;

struct model {
    struct world *w;
    struct model_segment *all[SEGMENTS_MAX]; /* in the order in which they were made */
    size_t n_all;
    struct model_segment *live[LIVE_MAX];
    size_t n_live;
    /* Segments that are not the daemon's, as they must be. */
    struct sysv_stat foreign[LIVE_MAX];
    size_t n_foreign;
    struct due *dues; /* what is to be told by the end of the turn, in this order */
    size_t n_dues, dues_capacity;
    /* The daemon has found kernel.shm_rmid_forced set when it started, and so it is still. */
    bool rmid_is_forced;
};

struct ask {
    enum method method;
    json_t *message; /* owned: the whole request */
    const json_t *params;
    struct connection *connection;
    long long id;
    unsigned batch;   /* asks of the same number were sent as one batch; 0: it stands alone */
    bool is_answered; /* a notification is not */
    bool is_deferred; /* of a batch whose answer comes late */
    bool is_bad;      /* with the expected CODE */
    int code;
    bool is_judged;      /* a wait, when it was executed */
    json_t *written;     /* owned: the answer, when it was written before it could be sent */
    int64_t asked_at_ms; /* a wait: when it began */
};

/* What a request must be answered. */
struct answer {
    int code;
    struct model_segment *segment;   /* of success; NULL: it is new, or foreign */
    const struct sysv_stat *foreign; /* of success with a foreign one */
    struct model_segment *replaced;  /* that goes, too */
    bool makes;                      /* a segment */
    bool adds_holder, needs_process;
};

/* NAME (NULL: none) into TO, whose rest is zero. */
void model_copy_name(char to[NAME_BYTES], const char *name);

void model_free(struct model *m);

struct model_segment *model_add(struct model *m);
/* SEGMENT has no record any more. */
void model_end(struct model *m, struct model_segment *segment);
/* SEGMENT is removed: it ends, or is kept by those who have it attached. */
void model_remove(struct model *m, struct model_segment *segment);
/* The kernel refused to remove SEGMENT, and now somebody has attached it: it is being removed. */
void model_keep(struct model *m, struct model_segment *segment);
/* It is removed, and that is told with one of REASONS, or of those that the model has for it
 * anyhow. */
void model_remove_by(struct model *m, struct model_segment *segment, unsigned reasons);
/* SEGMENT has ended of itself, as the daemon has shown, or is kept by those who have it attached.
 */
void model_end_by_itself(struct model *m, struct model_segment *segment);

struct model_segment *model_by_serial(const struct model *m, uint64_t serial);
struct model_segment *model_by_name(const struct model *m, const char *name);
struct model_segment *model_by_shmid(const struct model *m, int32_t shmid);

/* What is being removed has its key until the kernel has marked it, which it may have refused. */
uint32_t model_key(const struct model *m, const struct model_segment *s);
const struct sysv_stat *model_foreign(const struct model *m, int32_t shmid);

/* How often others than the daemon have it attached. */
uint64_t model_attachments(const struct model *m, const struct model_segment *s);
bool model_may_be_gone(const struct model *m, const struct model_segment *s);
/* What may have ended it, as a bit 1 << enum reason for each. */
unsigned model_reasons(const struct model *m, const struct model_segment *s);
bool model_is_holder_gone(const struct model *m, const struct holder *holder);
bool model_is_admin(const struct model *m, const struct process *p);
bool model_may_read(const struct model *m, const struct process *p, const struct sysv_stat *kernel);
bool model_may_change(const struct model *m, const struct process *p,
                      const struct model_segment *s);
bool model_may_see(const struct model *m, const struct process *p, const struct model_segment *s);
/* Whether a segment can depend on P: the daemon can tell which process has connected. */
bool model_can_find(const struct model *m, const struct process *p);

/* The records that ASK may be about and that may be gone: up to MAX of them. */
size_t model_doubtful(const struct model *m, const struct ask *ask, struct model_segment **ret,
                      size_t max);
struct answer model_answer(struct model *m, const struct ask *ask);
/* ASK was answered with success; RESULT is what it was told. */
void model_apply(struct model *m, const struct ask *ask, const struct answer *answer,
                 const json_t *result);
/* What ASK makes, if A is so and it is done; false: nothing new. RET's labels are the caller's. */
bool model_would_make(struct model *m, const struct ask *ask, const struct answer *a,
                      struct model_segment *ret);
/* What ASK, which sets, makes of S; the same of its labels. */
void model_would_set(struct model *m, const struct ask *ask, const struct model_segment *s,
                     struct model_segment *ret);
/* The daemon has looked at S: if another has removed it, it is being removed now. */
void model_heed(struct model *m, struct model_segment *s);

/* S has the mode that KERNEL says, or that it has been given. */
void model_note_mode(struct model_segment *s);
/* The daemon has shown S: that is what it has seen last. */
void model_note_look(struct model_segment *s);
/* A new daemon has not seen S yet: of one that is gone by now it tells nobody but the owner. */
void model_begin_modes(struct model_segment *s);
/* All events are told. */
void model_forget_modes(struct model_segment *s);
/* Whether the daemon may have seen S with MODE last. */
bool model_may_have_seen(const struct model_segment *s, uint32_t mode);

/* Whether C was none before. */
bool model_add_holder(struct model *m, struct model_segment *s, struct connection *c);
/* C holds S from now on, and that is told. */
void model_hold(struct model *m, struct model_segment *s, struct connection *c);

/* S has changed as KIND says: that is told by the end of the turn. IS_SURE: else it may be, or not.
 */
void model_tell(struct model *m, const struct model_segment *s, enum event_kind kind, bool is_sure);
/* The kernel's times of S are at least those of KERNEL; NULL: it has none. */
void model_note_times(struct model_segment *s, const struct sysv_stat *kernel);
/* Who has S attached is not told anew: the daemon begins to look at it now. */
void model_begin_use(struct model *m, struct model_segment *s);

long long model_int(const json_t *params, const char *key, long long otherwise);

#endif
