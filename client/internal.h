/* SPDX-License-Identifier: MIT */
/*
 * Inside libshmd: the handle, and what its files offer one another. None of it is exported; the
 * version map lets only the names of shmd.h out.
 */
#ifndef SHMD_CLIENT_INTERNAL_H
#define SHMD_CLIENT_INTERNAL_H

#include <stdlib.h>
#include <sys/un.h>

#include "client/shmd.h"
#include "protocol/jsonrpc_client.h"

#define MUST_CHECK __attribute__((warn_unused_result))

/* A line that came while a call waited for its answer: an event, or the answer to another call. */
struct queued_line {
    struct queued_line *next;
    char *line;
    size_t len;
};

/* The first and the end of a list; what all lines take up. */
struct line_queue {
    struct queued_line *first, **end;
    size_t bytes;
};

/* What was subscribed to last, to be subscribed to again. */
struct subscribed {
    bool is_on;
    char *prefix; /* owned; NULL: none */
    unsigned kinds;
    bool has_after;
    uint64_t last; /* the event_serial that was told last */
};

/* A call that was sent and whose answer was not told yet. */
struct unanswered {
    struct unanswered *next;
    int64_t id;
    shmd_answer_fn *answered;
    void *data;
    enum method method;
    bool holds;                   /* the caller is a holder, once it has succeeded */
    struct subscribed subscribed; /* of METHOD_SUBSCRIBE: what that asks for */
};

struct unanswered_list {
    struct unanswered *first, **end;
    size_t n;
};

/* More than this of an answer that does not end, or of events that nobody takes, is not our
 * daemon's. */
enum { INPUT_MAX_BYTES = 256 * 1024 * 1024 };

enum { FAILURE_TEXT_SIZE = 256 };

/* The shmid tells which one was disowned: it has no serial then. */
struct held_segment {
    uint64_t serial;
    int shmid;
};

/* The segments that the handle holds. */
struct held {
    struct held_segment *segments;
    size_t n, capacity;
};

struct shmd {
    struct sockaddr_un address; /* where it has connected to */
    int fd;
    int timeout_ms;          /* -1: none */
    shmd_delay_fn *on_delay; /* NULL: none */
    void *delay_data;
    int delay_ms;
    bool broken; /* the stream is at its end, or a request went out by half */
    int64_t last_id;

    char *input; /* owned: what was read and is not taken yet, from input_start on */
    size_t input_start, input_end, input_capacity;
    size_t input_searched; /* no LF before this one */

    struct line_queue events;
    struct line_queue answers; /* to calls that pipeline.c has sent */
    struct unanswered_list unanswered;
    struct writer output; /* what is still to be sent of it, from output_sent on */
    size_t output_sent;

    /* The last call's. */
    char *line; /* owned: the reply as it came */
    struct client_message reply;
    struct shmd_failure failure; /* code 0: none */
    char *failure_params;        /* owned */
    char failure_text[FAILURE_TEXT_SIZE];

    struct held_segment reply_segment; /* what result_reply_segment() has read last */
    enum lifetime reply_lifetime;

    struct held held;
    struct subscribed subscribed;

    /* The daemon's, asked for when they are needed first; a connection has one daemon. */
    bool knows_daemon;
    uint64_t daemon_namespace;
    uint32_t daemon_uid;
    int32_t daemon_pid;
};

/* --- failure.c */

/* Notes a failure that is not the daemon's; returns CODE, a negative errno. */
int failure_set(struct shmd *shmd, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for an answer that is none; R is -EBADMSG or -ENOMEM. */
int failure_of_answer(struct shmd *shmd, int r);

/* --- stream.c */

/* The time of one call, in milliseconds of CLOCK_MONOTONIC. */
struct call_clock {
    int64_t deadline; /* -1: none */
    int64_t delay_at; /* when a delay is told; -1: never, or it was */
    bool has_looked;  /* after the deadline */
};

/* DUE_MS: how long the daemon may take in good order; -1: for ever. */
struct call_clock call_clock_start(const struct shmd *shmd, int64_t timeout_ms, int64_t due_ms);
/* Each is 0, or a negative errno that is noted as the failure. */
int stream_send(struct shmd *shmd, const char *data, size_t len,
                struct call_clock *clock) MUST_CHECK;
/* Sends what it takes at once of what pipeline.c has left to send: 0, or a negative errno when the
 * stream is lost. */
int stream_flush(struct shmd *shmd) MUST_CHECK;
/* Waits for EVENTS of poll(): 0, or -ETIMEDOUT. */
int stream_wait(const struct shmd *shmd, short events, struct call_clock *clock) MUST_CHECK;
/* Reads what has come; nothing may have. */
int stream_receive(struct shmd *shmd) MUST_CHECK;
/* A whole line of what was read, as below: false when there is none yet. */
int stream_take_line(struct shmd *shmd, char **ret_line, size_t *ret_len) MUST_CHECK;
/* The next line without its LF, owned by the caller, and NUL-terminated for convenience. */
int stream_read_line(struct shmd *shmd, struct call_clock *clock, char **ret_line,
                     size_t *ret_len) MUST_CHECK;
/* 0 or a negative errno; -ETIMEDOUT: the daemon accepted nobody in time. */
int stream_open(const struct sockaddr_un *address, int timeout_ms, int *ret_fd) MUST_CHECK;

/* --- held.c */

/* Makes room for what a call and all that are unanswered may add: 0, or -ENOMEM, which is noted as
 * the failure. */
int held_make_room(struct shmd *shmd) MUST_CHECK;
/* The segment of the last reply is held from now on, if its lifetime has holders. */
void held_add_reply(struct shmd *shmd);
/* The one of the last reply is not. */
void held_drop_reply(struct shmd *shmd);
/* The one of the last reply was disowned. */
void held_drop_disowned(struct shmd *shmd);
/* The segment of the last reply was changed: with a lifetime without holders nobody holds it. Who
 * has given it another one is its first holder. */
void held_set_reply(struct shmd *shmd, bool lifetime_is_given);
void held_drop(struct held *held, uint64_t serial);
void held_free(struct held *held);

/* --- unanswered.c */

void unanswered_put(struct unanswered_list *list, struct unanswered *call);
bool unanswered_has(const struct unanswered_list *list, int64_t id);
/* The caller owns it. NULL: there is none. */
struct unanswered *unanswered_take(struct unanswered_list *list, int64_t id);
struct unanswered *unanswered_take_first(struct unanswered_list *list);
/* NULL is good. */
void unanswered_free(struct unanswered *call);
/* Frees all of them. */
void unanswered_drop(struct unanswered_list *list);

/* --- connection.c */

/* Forgets the last call's reply and failure: a call begins. */
void connection_begin(struct shmd *shmd);

/* Takes LINE, even when it fails. */
int line_queue_put(struct shmd *shmd, struct line_queue *queue, char *line, size_t len) MUST_CHECK;
/* False when there is none. */
bool line_queue_take(struct line_queue *queue, char **ret_line, size_t *ret_len);
/* What the reply, as shmd->line and shmd->reply, means to the caller: 0 or the failure. Ends the
 * line after the result, for shmd_last_result(). */
int connection_judge(struct shmd *shmd) MUST_CHECK;

/* The last call with its failure, put aside while others clean up behind it. */
struct kept_call {
    struct shmd_failure failure;
    char *params, *line; /* owned */
    struct client_message reply;
    char text[FAILURE_TEXT_SIZE];
};
void connection_keep(struct shmd *shmd, struct kept_call *ret);
void connection_put_back(struct shmd *shmd, struct kept_call *kept);

/*
 * Asks and waits for the answer. The daemon may take DUE_MS for it (-1: for ever); the handle's
 * timeout comes on top.
 * 0: shmd->reply is the result. Otherwise what the caller is to return.
 */
int connection_call(struct shmd *shmd, enum method method, const union params *params,
                    int64_t due_ms) MUST_CHECK;
/* The same as text; RET_REPLY (owned) is set whenever there was an answer. */
int connection_call_text(struct shmd *shmd, const char *method, const char *params,
                         char **ret_reply) MUST_CHECK;
/* Everything of a connection that is lost is dropped, and FD takes its place. */
void connection_renew(struct shmd *shmd, int fd);
/* The next line that holds an event, owned by the caller. */
int connection_event(struct shmd *shmd, int timeout_ms, char **ret_line,
                     size_t *ret_len) MUST_CHECK;

/* Typed messages -> the public structs, a block each. NULL: out of memory. */
struct shmd_segment *result_segment(const struct wire_segment *wire);
struct shmd_info *result_info(const struct client_info *info);
struct shmd_event *result_event(const struct wire_event *wire, struct json_slice text);
/* The handle's reply as one; 0 or what the caller is to return. RET may be NULL. */
int result_reply_segment(struct shmd *shmd, struct shmd_segment **ret) MUST_CHECK;
int result_reply_page(struct shmd *shmd, struct shmd_page **ret) MUST_CHECK;
/* The handle knows the daemon then. */
int result_reply_info(struct shmd *shmd, struct shmd_info **ret) MUST_CHECK;

/* --- find.c */

/* shmd_socket_path() would look for the user's own daemon, and cannot. */
bool find_lacks_runtime_directory(void);

/* --- calls.c: what is public -> what the wire has */

struct opt_int option_word(int value);
/* 0, or -EINVAL when VALUE of the option NAME is none of WORDS, which the sentence lists. */
int option_is_one_of(struct shmd *shmd, const char *name, int value,
                     const char *const words[]) MUST_CHECK;
struct opt_int option_int(bool given, int64_t value);
struct opt_bool option_flag(bool value);
/* 0, or -EINVAL when WHAT, which the sentence calls NAME, is NULL. */
int option_needed(struct shmd *shmd, const void *what, const char *name) MUST_CHECK;
/* Not NULL. */
struct target option_target(const struct shmd_target *target);
/* OPTIONS, or all zero if they are NULL. */
const struct shmd_create_options *option_create_given(const struct shmd_create_options *options);
/* Options -> parameters: 0, or a negative errno that is noted as the failure. */
int option_create(struct shmd *shmd, const struct shmd_create_options *options,
                  union params *ret) MUST_CHECK;
int option_set(struct shmd *shmd, const struct shmd_target *target,
               const struct shmd_set_options *options, union params *ret) MUST_CHECK;
int option_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                  union params *ret) MUST_CHECK;
int option_wait(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                union params *ret) MUST_CHECK;
int option_list(struct shmd *shmd, const struct shmd_list_options *options, const char *cursor,
                union params *ret) MUST_CHECK;
/* RET_SUBSCRIBED: the same, to be noted when the daemon has agreed. Its prefix is the caller's to
 * free; `is_on` is false. */
int option_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                     union params *ret, struct subscribed *ret_subscribed) MUST_CHECK;
/* The daemon has agreed to WANTED, whose prefix this takes. RET: the newest event's. 0, or what the
 * caller is to return. */
int subscribed_note(struct shmd *shmd, struct subscribed *wanted,
                    uint64_t *ret_event_serial) MUST_CHECK;
/* 0, or -EINVAL when FLAGS has others than KNOWN. */
int option_flags(struct shmd *shmd, unsigned flags, unsigned known) MUST_CHECK;
/* 0, -E2BIG when there are more labels than a segment may have, or -EINVAL when a text is NULL. */
int option_labels(struct shmd *shmd, const struct shmd_label *labels, size_t n,
                  struct labels *ret) MUST_CHECK;
/* The daemon's uid and namespace are known, and the namespace is the caller's: 0, -EXDEV, or what
 * asking for them gave. */
int attach_check_namespace(struct shmd *shmd) MUST_CHECK;

#endif
