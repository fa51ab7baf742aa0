/* SPDX-License-Identifier: MIT */
/*
 * libshmd: the client library of shmd, the manager of System V shared memory.
 *
 *   struct shmd *shmd;
 *   struct shmd_segment *segment;
 *   void *address;
 *   char text[512];
 *   int r = shmd_connect(NULL, -1, &shmd);
 *   if (r != 0) {
 *       shmd_unreachable_text(NULL, r, text, sizeof(text));
 *       errx(1, "cannot reach the daemon: %s", text);
 *   }
 *   r = shmd_create(shmd, &(struct shmd_create_options){.name = "frames", .size = 4096}, &segment,
 *                   NULL);
 *   if (r == 0)
 *       r = shmd_attach(shmd, segment, 0, &address);
 *   if (r != 0) {
 *       shmd_failure_text(shmd, text, sizeof(text));
 *       errx(1, "%s", text);
 *   }
 *
 * Results. A function returns 0, a negative errno when the daemon could not be asked or did not
 * answer, or a positive `enum shmd_error` when it refused; shmd_last_failure() knows more about it.
 * Outputs are named `ret_...`, may be NULL when they are not wanted (but for a handle, an address
 * and a path, where that is -EINVAL), and are untouched on failure.
 *
 * Ownership. What a function gives out is a block of its own that the caller frees with the
 * function named there; it does not depend on the handle. Strings inside belong to the block.
 *
 * Options. Zero means "not given" in every member, so set what you need with designated
 * initialisers and leave the rest, `reserved` included, to be zero; in C++, begin with `= {}`.
 * Where zero is itself a value, a `has_...` beside it says that it counts. A number that its enum
 * does not have is -EINVAL, and shmd_last_failure() lists those that there are.
 *
 * Growth. A newer library may give out structures with more members at their end, where the comment
 * on one says so: so keep pointers to them, and neither copy them nor take their size. What a
 * program fills in grows into its `reserved`, which is why that must be zero. What stands in arrays
 * does not grow: struct shmd_label, struct shmd_holder, struct shmd_limit; nor does struct
 * shmd_target. Enums get new numbers, and a program meets the ..._UNKNOWN in place of those that
 * its library does not know.
 *
 * NULL. For a structure of options, of trust or of contents it stands for one that is all zero. A
 * target, a segment to attach, a method, a function to be called, and the labels that their number
 * promises, must be there: without one a call does nothing and returns -EINVAL, and
 * shmd_last_failure() says what is missing. A handle must always be there, but for
 * shmd_disconnect() and shmd_attachments().
 *
 * Threads and processes. A handle is one connection and is used by one thread at a time; two
 * threads may use two handles. The daemon knows as holder the process that called shmd_connect():
 * a child made by fork() connects for itself. The connection is not inherited by exec().
 *
 * Signals. A signal does not end a call, and SIGPIPE is never raised. The library prints nothing.
 *
 * Units. Sizes are bytes, times Unix milliseconds (0: has not happened), durations milliseconds.
 */
#ifndef SHMD_H
#define SHMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus) && defined(__GNUC__)
/* A struct and a function that gives one have the same name, as shmd_info: C++ calls that hiding.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#ifdef __cplusplus
extern "C" {
#endif

struct shmd;

/* Why the daemon refused. The numbers are the protocol's JSON-RPC codes, without their sign. */
enum shmd_error {
    SHMD_ERROR_NO_SUCH_SEGMENT = 1,
    SHMD_ERROR_SEGMENT_EXISTS = 2,
    SHMD_ERROR_PERMISSION_DENIED = 3,
    SHMD_ERROR_SIZE_MISMATCH = 4,
    SHMD_ERROR_LIMIT_REACHED = 5,
    SHMD_ERROR_QUOTA_EXCEEDED = 6,
    SHMD_ERROR_SEGMENT_BUSY = 7,
    SHMD_ERROR_STALE_SEGMENT = 8,
    SHMD_ERROR_INITIALISER_DIED = 9,
    SHMD_ERROR_TIMED_OUT = 10,
    SHMD_ERROR_KEY_IN_USE = 11,
    SHMD_ERROR_NOT_HOLDABLE = 12,
    SHMD_ERROR_STORE_FAILURE = 13,
    SHMD_ERROR_SHUTTING_DOWN = 14,
    SHMD_ERROR_NOT_SUPPORTED = 15,
    SHMD_ERROR_INVALID_CONFIGURATION = 16,
    SHMD_ERROR_INVALID_REQUEST = 32600,
    SHMD_ERROR_METHOD_NOT_FOUND = 32601,
    SHMD_ERROR_INVALID_PARAMETER = 32602,
    SHMD_ERROR_INTERNAL = 32603,
    SHMD_ERROR_PARSE = 32700,
    SHMD_ERROR_UNKNOWN = 65535, /* of a daemon newer than this library */
};

/* One English sentence for what a function returned; never NULL. Static, or of the thread. */
const char *shmd_strerror(int code);

/* The last failure of a call on a handle. Newer libraries may add members at the end. */
struct shmd_failure {
    int code;               /* what the function returned */
    const char *name;       /* the error's name on the wire; NULL: the daemon did not refuse */
    const char *message;    /* what to do, in one sentence */
    const char *parameters; /* more about it: a JSON object as text, "{}" for none */
};

/* NULL when the last call on the handle succeeded. Good until the next call on it. */
const struct shmd_failure *shmd_last_failure(const struct shmd *shmd);

/* What went wrong in the last call on the handle and what to do about it, in one sentence for
 * people: the failure's message, and the parameters whose values that does not have. Returns its
 * length, as snprintf() does: 0 when the call succeeded, SIZE or more when it was cut. RET_TEXT may
 * be NULL: then only the length is wanted. */
size_t shmd_failure_text(const struct shmd *shmd, char *ret_text, size_t size);

/* The library's version, such as "0.1.0". */
const char *shmd_version(void);

/* --- the connection */

/*
 * The socket that shmd_connect() takes for PATH NULL: $SHMD_SOCKET; else, for uids from 1000 on,
 * $XDG_RUNTIME_DIR/shmd/shmd.sock if there is such a socket; else /run/shmd/shmd.sock. 0 or
 * -ENAMETOOLONG.
 */
int shmd_socket_path(char *ret_path, size_t size);

enum shmd_instance {
    SHMD_INSTANCE_USER = 1,   /* the user's own: $XDG_RUNTIME_DIR/shmd/shmd.sock */
    SHMD_INSTANCE_SYSTEM = 2, /* /run/shmd/shmd.sock */
};

/*
 * The socket of one of the two, for shmd_connect(); whether a daemon serves there is not looked at.
 * 0, -ENAMETOOLONG, or -ENXIO: XDG_RUNTIME_DIR is not set.
 */
int shmd_instance_path(enum shmd_instance instance, char *ret_path, size_t size);

/*
 * Connects to the daemon at PATH (NULL: shmd_socket_path()). TIMEOUT_MS bounds this and each later
 * call; -1: no limit. A call that has timed out may still be carried out by the daemon; its answer,
 * when it comes, is passed over. 0 or a negative errno: ENOENT and ECONNREFUSED mean that no daemon
 * serves there, EACCES that the socket's mode keeps the caller out.
 */
int shmd_connect(const char *path, int timeout_ms, struct shmd **ret_shmd);

/* Why shmd_connect() for PATH has failed with CODE, and what to do about it, for people: to be put
 * behind "cannot reach the daemon at PATH: ". It looks at the socket. Returns its length, as
 * shmd_failure_text() does. */
size_t shmd_unreachable_text(const char *path, int code, char *ret_text, size_t size);

/* Closes and frees; NULL is good. Segments of lifetime `connection` lose this holder. */
void shmd_disconnect(struct shmd *shmd);

void shmd_set_timeout(struct shmd *shmd, int timeout_ms);

/*
 * Connects again to where shmd_connect() did, as after the daemon was restarted, and tries for
 * TIMEOUT_MS until a daemon serves there (0: once; -1: for ever). What this handle holds is then
 * held again, and what it has subscribed to goes on behind the last event that it was given; if the
 * daemon does not have all events any more, a gap comes first. Segments of lifetime `process` have
 * kept their holder meanwhile; those of lifetime `connection` have lost it, and may be gone.
 *
 * 0; a negative errno, and then the connection is still lost; SHMD_ERROR_NO_SUCH_SEGMENT when
 * something that was held is gone, or what else the daemon refuses with to hold it again, as
 * SHMD_ERROR_NOT_HOLDABLE when another has made it persistent. It is not held any more then, the
 * connection is good, and shmd_last_failure() names the first such segment by its serial.
 * SHMD_ERROR_SHUTTING_DOWN, _QUOTA_EXCEEDED, _LIMIT_REACHED, _STORE_FAILURE and _INTERNAL may pass:
 * what was refused with one of them is not held now, and the next shmd_reconnect() tries it again;
 * so it is when the daemon refuses to subscribe. -EBUSY: calls are unanswered; shmd_process()
 * answers them first.
 *
 * A call is never repeated by the library: when the connection is lost in the middle of one, it is
 * not known whether the daemon has carried it out.
 */
int shmd_reconnect(struct shmd *shmd, int timeout_ms);

/*
 * Calls TELL, once in a call, when the daemon has let a call wait for AFTER_MS longer than it needs
 * to: so that a program can say that it waits for the daemon. The call goes on. TELL must not use
 * the handle; NULL: do not tell.
 */
typedef void shmd_delay_fn(void *data);
void shmd_on_delay(struct shmd *shmd, int after_ms, shmd_delay_fn *tell, void *data);

/* For poll(): readable when the daemon said something, an event for one. Take everything with
 * shmd_next_event() and a timeout of 0 before polling: the handle may have read ahead. */
int shmd_fd(const struct shmd *shmd);

/* --- segments */

enum shmd_state {
    SHMD_STATE_INITIALISING = 1,
    SHMD_STATE_READY = 2,
    SHMD_STATE_REMOVING = 3, /* removed, but still attached somewhere */
    SHMD_STATE_REMOVED = 4,
    SHMD_STATE_UNKNOWN = 65535, /* of a daemon newer than this library; so below */
};

enum shmd_lifetime {
    SHMD_LIFETIME_PERSISTENT = 1, /* until it is removed */
    SHMD_LIFETIME_PROCESS = 2,    /* until its last holder process has exited */
    SHMD_LIFETIME_CONNECTION = 3, /* until the last holding connection has closed */
    SHMD_LIFETIME_ATTACHED = 4,   /* until the last process detaches */
    SHMD_LIFETIME_UNKNOWN = 65535,
};

/* Their words on the wire; "unknown" for ..._UNKNOWN; NULL for a number that is none. */
const char *shmd_state_word(enum shmd_state state);
const char *shmd_lifetime_word(enum shmd_lifetime lifetime);

struct shmd_label {
    const char *key;
    const char *value;
};

struct shmd_holder {
    int32_t pid;
    uint32_t uid;
    const char *comm; /* NULL: not known */
    int64_t since_at_ms;
};

/* A segment as it was when the daemon answered. Newer libraries may add members at the end. */
struct shmd_segment {
    uint64_t serial;  /* its identity, never reused; 0: not the daemon's */
    const char *name; /* NULL: unnamed */
    int shmid;        /* for shmat(): see shmd_attach() */
    uint32_t key;     /* 0: IPC_PRIVATE */
    uint64_t size;
    uint32_t mode; /* 0 .. 0777 */
    uint32_t uid, gid;
    uint64_t nattch;
    int32_t last_pid;
    struct {
        uint32_t uid, gid;
        int32_t pid;
        const char *comm; /* NULL: not known */
    } creator;            /* who asked for it */
    enum shmd_state state;
    enum shmd_lifetime lifetime; /* 0: not the daemon's, so it has none */
    uint32_t holders;
    const struct shmd_holder *holder_list; /* `holders` of them; NULL: unknown (only stat shows) */
    bool locked;
    bool noreserve;
    uint64_t huge_page_size; /* 0: ordinary pages */
    int64_t created_at_ms, attached_at_ms, detached_at_ms, changed_at_ms, expires_at_ms;
    const struct shmd_label *labels;
    size_t n_labels;
    bool managed;        /* by the daemon */
    bool orphaned;       /* only of one that is not: its creator is dead and nobody is attached */
    bool declared;       /* a configuration file asks for it */
    bool used_by_others; /* only of one that is not: not only its creator has attached it */
    bool has_memory;     /* the kernel gave rss and swap (only stat asks) */
    uint64_t rss, swap;  /* bytes of it that are in memory, and in swap */
    /* Only of a declared one: the names of what differs from the file, such as "mode"; "other"
     * stands for what this library does not know. */
    const char *const *drift;
    size_t n_drift;
    const char *former_name; /* of one that is being removed: what it was called; or NULL */
    uint64_t replaces; /* the serial of the segment whose name it takes at shmd_ready(); or 0 */
};

/* NULL is good. */
void shmd_segment_free(struct shmd_segment *segment);

/* Which segment: one of name, shmid and key; or `serial`, alone, or beside one of them as a guard:
 * when they do not denote the same segment the answer is SHMD_ERROR_STALE_SEGMENT. */
struct shmd_target {
    const char *name;
    bool has_shmid;
    int shmid;
    uint32_t key;
    uint64_t serial;
};

/* One to pass on in a call: it is good as long as the expression it stands in. */
#ifdef __cplusplus
inline const struct shmd_target *shmd_target_address(const struct shmd_target &target)
{
    return &target;
}
/* clang-format off */
#define SHMD_NAME(value)   shmd_target_address(shmd_target{(value), false, 0, 0, 0})
#define SHMD_SHMID(value)  shmd_target_address(shmd_target{NULL, true, static_cast<int>(value), 0, 0})
#define SHMD_KEY(value)    shmd_target_address(shmd_target{NULL, false, 0, static_cast<uint32_t>(value), 0})
#define SHMD_SERIAL(value) shmd_target_address(shmd_target{NULL, false, 0, 0, static_cast<uint64_t>(value)})
/* clang-format on */
#else
#define SHMD_NAME(value)   (&(struct shmd_target){.name = (value)})
#define SHMD_SHMID(value)  (&(struct shmd_target){.has_shmid = true, .shmid = (value)})
#define SHMD_KEY(value)    (&(struct shmd_target){.key = (value)})
#define SHMD_SERIAL(value) (&(struct shmd_target){.serial = (value)})
#endif

struct shmd_create_options {
    const char *name;
    uint32_t key; /* 0: IPC_PRIVATE */
    uint64_t size;
    bool has_mode;
    uint32_t mode; /* otherwise 0600 */
    bool
        exclusive; /* an existing one is an error; otherwise it is returned if it is large enough */
    bool has_uid, has_gid;
    uint32_t uid, gid;           /* otherwise the caller's */
    enum shmd_lifetime lifetime; /* otherwise persistent */
    int64_t ttl_ms;              /* 0: it does not expire */
    bool not_ready;              /* shmd_wait() goes on waiting for it until shmd_ready() */
    const struct shmd_label *labels;
    size_t n_labels;
    uint64_t huge_page_size;
    bool noreserve;
    bool locked;
    bool any_owner;      /* accept an existing one of any owner */
    bool replace;        /* make a new one in the place of the one that has the name */
    bool no_hold;        /* of an existing one: do not become its holder */
    int64_t idle_ttl_ms; /* it goes when nobody has attached it for so long; 0: it does not */
    uint64_t reserved[7];
};

/*
 * RET_CREATED: false when it was there already. Without `any_owner` that must be the caller's,
 * root's or the daemon's, else SHMD_ERROR_PERMISSION_DENIED. Of a segment of lifetime `process` or
 * `connection` the caller is then a holder, in the same step, so that it cannot go in between.
 *
 * With `replace` (not with `exclusive` or `key`) the segment that has the name is removed, and
 * those that have attached it keep it. With `not_ready` too, that happens at shmd_ready(), and
 * until then the new one has no name: name it by its serial.
 */
int shmd_create(struct shmd *shmd, const struct shmd_create_options *options,
                struct shmd_segment **ret_segment, bool *ret_created);

int shmd_stat(struct shmd *shmd, const struct shmd_target *target,
              struct shmd_segment **ret_segment);

/*
 * What a segment that shmd_create_filled() makes holds at first: `length` bytes at `bytes`, or, if
 * `fill` is given, what that writes to ADDRESS, where SIZE bytes are attached, all of them zero.
 * `fill` returns 0 or a negative errno, which is then the result, and must not use the handle.
 */
struct shmd_content {
    const void *bytes;
    size_t length; /* at most the segment's size; the rest is zero */
    int (*fill)(void *address, uint64_t size, void *data);
    void *data;
    uint64_t reserved[4];
};

/*
 * Makes a segment that is not ready before it is filled: created with `not_ready`, attached,
 * filled, detached, then ready. Who waits for it by its name gets it filled; who only looks may
 * find it before, in the state `initialising`. With `replace` nobody can: the name goes from the
 * old segment to the filled one in one step, so that a reader sees the old data or the new.
 *
 * An existing one (RET_CREATED: false) is returned as shmd_create() does and is not filled; it may
 * be one that another process is filling just now. When anything fails, the new segment is removed
 * again and nothing has changed. A mode without read or write permission for the owner is set when
 * the segment has been filled.
 *
 * It does not go on over a restart of the daemon. When the connection is lost while the segment is
 * filled, nobody can be asked to remove it, and it keeps its name, initialising, until this process
 * exits; before another try, remove it after shmd_reconnect().
 *
 * Besides what shmd_create() returns: -EINVAL, `length` is more than the segment's size,
 * `not_ready` is set, or the lifetime is `attached`, for then it would go with the detaching; what
 * `fill` returned; and as shmd_attach().
 */
int shmd_create_filled(struct shmd *shmd, const struct shmd_create_options *options,
                       const struct shmd_content *content, struct shmd_segment **ret_segment,
                       bool *ret_created);

struct shmd_set_options {
    bool has_mode, has_uid, has_gid, has_labels, has_ttl, has_locked;
    uint32_t mode;
    uint32_t uid, gid;
    const char *new_name;
    const struct shmd_label *labels; /* they replace the old ones */
    size_t n_labels;
    enum shmd_lifetime lifetime;
    int64_t ttl_ms; /* from now on; 0: it does not expire any more */
    bool locked;
    bool has_idle_ttl;
    int64_t idle_ttl_ms; /* see shmd_create_options; 0: none any more */
    uint64_t reserved[7];
};

int shmd_set(struct shmd *shmd, const struct shmd_target *target,
             const struct shmd_set_options *options, struct shmd_segment **ret_segment);

#define SHMD_REMOVE_IF_UNATTACHED 1U /* else SHMD_ERROR_SEGMENT_BUSY */

/* -EINVAL: unknown FLAGS. The segment's state is then `removing` while it is attached somewhere,
 * else `removed`. */
int shmd_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                struct shmd_segment **ret_segment);

enum shmd_scope {
    SHMD_SCOPE_MANAGED = 1,
    SHMD_SCOPE_FOREIGN = 2, /* those that are not the daemon's */
    SHMD_SCOPE_ALL = 3,
};

struct shmd_list_options {
    const char *prefix; /* of the name */
    bool has_uid;
    uint32_t uid;
    enum shmd_lifetime lifetime;
    enum shmd_state state;
    const struct shmd_label *labels; /* it has all of these */
    size_t n_labels;
    enum shmd_scope scope; /* otherwise managed */
    unsigned page_size;    /* segments asked for at once; 0: as many as there may be */
    uint64_t reserved[8];
};

/* Some segments, and where to go on. Newer libraries may add members at the end. */
struct shmd_page {
    struct shmd_segment *const *segments;
    size_t count;
    const char *cursor; /* NULL: there are no more */
};

/* NULL is good. Frees the segments too. */
void shmd_page_free(struct shmd_page *page);

/* CURSOR NULL: the first page; otherwise the one after the page that had it. */
int shmd_list_page(struct shmd *shmd, const struct shmd_list_options *options, const char *cursor,
                   struct shmd_page **ret_page);

/* Calls EACH for every segment, page after page, until it returns other than 0, which is then the
 * result. The segment is good during the call, which may use the handle. */
typedef int shmd_list_fn(const struct shmd_segment *segment, void *data);
int shmd_list(struct shmd *shmd, const struct shmd_list_options *options, shmd_list_fn *each,
              void *data);

/* It is filled: shmd_wait() returns it from now on. */
int shmd_ready(struct shmd *shmd, const struct shmd_target *target,
               struct shmd_segment **ret_segment);

/* Waits until there is a segment of that name and it is ready. TIMEOUT_MS: then
 * SHMD_ERROR_TIMED_OUT; 0: only look; -1: for ever. The handle's timeout comes on top. */
int shmd_wait(struct shmd *shmd, const char *name, int64_t timeout_ms,
              struct shmd_segment **ret_segment);

/* Makes this process (lifetime `process`) or this connection (lifetime `connection`) a holder, and
 * ends that. */
int shmd_hold(struct shmd *shmd, const struct shmd_target *target,
              struct shmd_segment **ret_segment);
int shmd_release(struct shmd *shmd, const struct shmd_target *target,
                 struct shmd_segment **ret_segment);

/* Takes a segment out of the daemon's care: it is its creator's alone, as shmget() would have made
 * it, and not locked any more. Nothing is removed. A segment of lifetime `attached` cannot be
 * disowned, nor can a declared one. */
int shmd_disown(struct shmd *shmd, const struct shmd_target *target,
                struct shmd_segment **ret_segment);

struct shmd_adopt_options {
    bool has_shmid;
    int shmid;
    uint32_t key; /* instead of shmid */
    const char *name;
    enum shmd_lifetime lifetime; /* otherwise persistent */
    int64_t ttl_ms;
    const struct shmd_label *labels;
    size_t n_labels;
    uint64_t reserved[8];
};

/* Puts a segment that was made without the daemon under its care. For that its kernel owner becomes
 * the daemon (the caller keeps its rights as the creator); when the daemon refuses, the owner is
 * put back. What the daemon made, and has lost its record of, keeps its owner. -EXDEV as in
 * shmd_attach(). */
int shmd_adopt(struct shmd *shmd, const struct shmd_adopt_options *options,
               struct shmd_segment **ret_segment);

/* --- calls without waiting */

struct shmd_info; /* described with the calls of the daemon and of events, below */
struct shmd_subscribe_options;

/*
 * Many calls at once: each shmd_send_...() puts a request on its way and returns; shmd_process()
 * takes the answers that have come and calls back for each. Answers come in the order of the
 * requests, but for those to shmd_send_wait(), which come when the wait is over. A program with an
 * event loop watches shmd_fd() for what shmd_poll_events() says; one without calls
 * shmd_process(shmd, -1) until shmd_unanswered() is 0. The calls that wait can be used in between.
 */
struct shmd_answer {
    int code;                           /* as the call that waits would have returned */
    const struct shmd_failure *failure; /* NULL: it succeeded */
    const struct shmd_segment *segment; /* NULL: it failed, or it is about none */
    bool created;                       /* by shmd_send_create() */
    const struct shmd_page *page;       /* of shmd_send_list_page(); else NULL, as the next one */
    const struct shmd_info *info;       /* of shmd_send_info() */
    uint64_t event_serial;              /* of shmd_send_subscribe(): the newest event's */
    uint64_t reserved[1];
};

/* What ANSWER points to is good until the function returns or uses the handle, whichever is first;
 * it may send more, but not call shmd_disconnect(). */
typedef void shmd_answer_fn(struct shmd *shmd, const struct shmd_answer *answer, void *data);

/*
 * As the calls of those names. ANSWERED (NULL: the answer is passed over) is called once, with
 * DATA, from shmd_process(). They never block: what the daemon does not take at once is kept, and
 * sent later. 0, -ENOMEM, -ENOTCONN when the connection is lost, -EINVAL and -E2BIG for parameters
 * that cannot be sent; then ANSWERED is not called.
 *
 * Only shmd_send_create() looks whose segment it is. The others do not, as shmd_stat_trusted() and
 * its like do, for those may need a second request; the `uid` and `creator` of the answer tell.
 */
int shmd_send_create(struct shmd *shmd, const struct shmd_create_options *options,
                     shmd_answer_fn *answered, void *data);
int shmd_send_stat(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                   void *data);
int shmd_send_set(struct shmd *shmd, const struct shmd_target *target,
                  const struct shmd_set_options *options, shmd_answer_fn *answered, void *data);
int shmd_send_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                     shmd_answer_fn *answered, void *data);
int shmd_send_ready(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                    void *data);
int shmd_send_hold(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                   void *data);
int shmd_send_release(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                      void *data);
/* FLAGS as shmd_wait_trusted() has them. */
int shmd_send_wait(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                   shmd_answer_fn *answered, void *data);
int shmd_send_list_page(struct shmd *shmd, const struct shmd_list_options *options,
                        const char *cursor, shmd_answer_fn *answered, void *data);
int shmd_send_info(struct shmd *shmd, shmd_answer_fn *answered, void *data);
/* The events are then taken with shmd_next_event(), as after shmd_subscribe(). */
int shmd_send_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                        shmd_answer_fn *answered, void *data);

/*
 * Sends what is still to be sent and takes what has come. When there is no answer yet, it waits
 * TIMEOUT_MS for one (0: it only looks; -1: for ever). Returns how many answers it has delivered, 0
 * also when nothing is unanswered; or a negative errno: the connection is lost, and each unanswered
 * call got that as its answer. Whether the daemon carried it out is then not known.
 */
int shmd_process(struct shmd *shmd, int timeout_ms);

/* How many calls have been sent whose answers were not delivered yet. */
size_t shmd_unanswered(const struct shmd *shmd);

/* What to poll() shmd_fd() for: POLLIN, and POLLOUT while there is something left to send. */
short shmd_poll_events(const struct shmd *shmd);

/* --- memory */

#define SHMD_ATTACH_READONLY 1U

/*
 * shmat() of SEGMENT, but never of another one that has the same id in another IPC namespace:
 * -EXDEV when the daemon's is not the caller's. Otherwise shmat()'s errno: -EACCES, and -EINVAL or
 * -EIDRM when it is gone. -EINVAL also for unknown FLAGS. Undo with shmd_detach(), or plain
 * shmdt(). Whose SEGMENT is, is not looked at: shmd_attach_name() does.
 */
int shmd_attach(struct shmd *shmd, const struct shmd_segment *segment, unsigned flags,
                void **ret_address);
int shmd_detach(const void *address);

struct shmd_attach_options {
    unsigned flags;      /* as above */
    const void *address; /* where, a multiple of the page size; NULL: the kernel chooses */
    /* A power of two that the address is to be a multiple of; 0: any. With that of a huge page, as
     * 2 MiB, the kernel can back a large segment of ordinary pages with huge ones. Not beside
     * `address`. */
    uint64_t alignment;
    uint64_t reserved[4];
};

/* As shmd_attach(). -EINVAL also when something is mapped at `address` already, or it or
 * `alignment` is none; -ENOMEM: the address space has no room. Nothing that is mapped is ever
 * replaced. */
int shmd_attach_with(struct shmd *shmd, const struct shmd_segment *segment,
                     const struct shmd_attach_options *options, void **ret_address);

/* --- whose segment is it? */

/*
 * A name can be taken by anybody, so a program that looks for its own data by a name may find a
 * stranger's. These functions do not: the segment must belong to the caller, to root or to the
 * daemon, else SHMD_ERROR_PERMISSION_DENIED, which names the uid that it belongs to. To belong to a
 * user, it must be that user's and made by that user or by an admin.
 *
 * TRUST widens that; NULL is all zero. The daemon looks and answers in one step.
 */
struct shmd_trust {
    bool any_owner;
    bool has_owner;
    uint32_t owner; /* segments of this uid pass, too */
    uint64_t reserved[4];
};

int shmd_stat_trusted(struct shmd *shmd, const struct shmd_target *target,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment);
int shmd_hold_trusted(struct shmd *shmd, const struct shmd_target *target,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment);

/* As soon as the segment is ready the caller is its holder, if its lifetime has holders: in the
 * same step, so that the last holder's exit cannot take it away in between. */
#define SHMD_WAIT_HOLD 1U

/* As shmd_wait(). -EINVAL: unknown FLAGS. */
int shmd_wait_trusted(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment);

/* Finds the segment of that name and attaches it. FLAGS and the result as shmd_attach() has them,
 * or what shmd_stat_trusted() gives. RET_SEGMENT may be NULL. */
int shmd_attach_name(struct shmd *shmd, const char *name, unsigned flags,
                     const struct shmd_trust *trust, struct shmd_segment **ret_segment,
                     void **ret_address);

/* --- which processes have it attached */

/* A process that has a segment attached. Newer libraries may add members at the end. */
struct shmd_attachment {
    int shmid;
    int32_t pid;
    uint32_t uid;
    const char *comm;   /* the name of the program; NULL: not known */
    const char *cgroup; /* "/system.slice/db.service"; NULL: not known */
    const char *unit;   /* "db.service", the systemd unit that the cgroup names; NULL: none */
    uint32_t count;     /* how many of the segment's attachments are this process's */
    bool read_only;     /* all of them */
};

/* Newer libraries may add members at the end. */
struct shmd_attachments {
    const struct shmd_attachment *const *processes; /* by shmid, then by pid */
    size_t count;
    uint64_t unseen; /* of the segment's nattch: attachments of processes that cannot be seen */
};

/*
 * The processes that have SEGMENT attached (NULL: any segment), the daemon itself aside. They are
 * read from /proc with the caller's own rights: a user sees the processes of that user, root sees
 * all. So `unseen` is how many attachments of the segment, as it was when the daemon answered,
 * belong to others; 0 for SEGMENT NULL. Processes come and go meanwhile: this is a look, no lock.
 *
 * SHMD NULL: no daemon is asked, and a shmid is the caller's. Otherwise -EXDEV as in shmd_attach().
 * Also -ENOMEM, or the errno of reading /proc. RET_ATTACHMENTS is freed with
 * shmd_attachments_free().
 */
int shmd_attachments(struct shmd *shmd, const struct shmd_segment *segment,
                     struct shmd_attachments **ret_attachments);
/* NULL is good. */
void shmd_attachments_free(struct shmd_attachments *attachments);

/* --- events */

/* Each is one bit, for `kinds` below. */
enum shmd_event_kind {
    SHMD_EVENT_CREATED = 1,
    SHMD_EVENT_READY = 2,
    SHMD_EVENT_CHANGED = 4,
    SHMD_EVENT_ATTACHED = 8,
    SHMD_EVENT_DETACHED = 16,
    SHMD_EVENT_REMOVED = 32,
    SHMD_EVENT_ADOPTED = 64,
    SHMD_EVENT_UNKNOWN = 1 << 29, /* of a daemon newer than this library; never asked for */
    SHMD_EVENT_GAP = 1 << 30,     /* some were missed; never asked for, always sent */
};

/* Why a segment was removed. */
enum shmd_reason {
    SHMD_REASON_REQUEST = 1,
    SHMD_REASON_EXPIRED = 2,
    SHMD_REASON_LAST_HOLDER_EXITED = 3,
    SHMD_REASON_CONNECTION_CLOSED = 4,
    SHMD_REASON_INITIALISER_DIED = 5,
    SHMD_REASON_LAST_DETACH = 6,
    SHMD_REASON_OUT_OF_BAND = 7, /* outside of the daemon, as ipcrm does */
    SHMD_REASON_RECYCLED = 8,    /* it is gone and its shmid denotes another */
    SHMD_REASON_REPLACED = 9,    /* another was created in its place */
    SHMD_REASON_UNKNOWN = 65535,
};

/* Their words on the wire; "unknown" for ..._UNKNOWN; NULL for a number that is none. */
const char *shmd_event_word(enum shmd_event_kind kind);
const char *shmd_reason_word(enum shmd_reason reason);

/* Something that has happened. Newer libraries may add members at the end. */
struct shmd_event {
    enum shmd_event_kind kind;
    uint64_t missed; /* of a gap, which has nothing else */
    uint64_t event_serial;
    int64_t at_ms;
    enum shmd_reason reason;            /* of a removal; else 0 */
    const struct shmd_segment *segment; /* NULL: a gap, or of an unknown kind */
    const char *text;                   /* the event as the daemon typed it: a JSON object */
};

/* NULL is good. Frees the segment too. */
void shmd_event_free(struct shmd_event *event);

struct shmd_subscribe_options {
    const char *prefix; /* of the name */
    unsigned kinds;     /* bits of enum shmd_event_kind; 0: all; others are -EINVAL */
    bool has_after;
    uint64_t after; /* the event_serial seen last: what came since comes first */
    uint64_t reserved[8];
};

/* RET_EVENT_SERIAL: of the newest event there is. */
int shmd_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                   uint64_t *ret_event_serial);

/* The next event, or -ETIMEDOUT when there is none within TIMEOUT_MS (-1: for ever, 0: only look).
 * Events that come while another call waits for its answer are kept for this. */
int shmd_next_event(struct shmd *shmd, int timeout_ms, struct shmd_event **ret_event);

/* --- the daemon */

struct shmd_limit {
    const char *name; /* the configuration's key */
    uint64_t max;     /* UINT64_MAX: no limit */
    bool is_counted;  /* there is a count of what it limits, in `used` */
    uint64_t used;    /* by the caller; by all users, where the limit is for all of them */
};

/* Newer libraries may add members at the end. */
struct shmd_info {
    const char *version;
    int64_t protocol;
    int32_t pid;
    uint32_t uid;
    int64_t started_at_ms;
    const char *boot_id;
    uint64_t ipc_namespace; /* the inode of its /proc/PID/ns/ipc */
    struct {
        uint64_t shmmax, shmall; /* bytes, pages; UINT64_MAX: no limit */
        uint64_t shmmni;         /* segments */
        uint64_t segments, bytes;
        bool shm_rmid_forced;
    } kernel;
    const struct shmd_limit *limits; /* the caller's */
    size_t n_limits;
    uint64_t usage_segments, usage_bytes; /* the caller's */
    const uint64_t *huge_page_sizes;
    size_t n_huge_page_sizes;
    bool durable;                /* segments outlive their creators */
    int64_t records_since_at_ms; /* the daemon knows all that it made since then; 0: unknown */
    const char *store_failure;   /* why the last change could not be recorded; NULL: it was */
};

/* NULL is good. */
void shmd_info_free(struct shmd_info *info);

int shmd_info(struct shmd *shmd, struct shmd_info **ret_info);

/*
 * The daemon reads its configuration and the files of declared segments again; only admins may ask
 * for it. SHMD_ERROR_INVALID_CONFIGURATION: nothing has changed, and `errors` in the parameters of
 * shmd_last_failure() is an array of objects with file, line, key and message.
 */
int shmd_reload(struct shmd *shmd);

/* The daemon's figures as OpenMetrics text, to be freed with free(). */
int shmd_metrics(struct shmd *shmd, char **ret_text);

/* --- as text */

/*
 * Any method by its word, with parameters as JSON text (NULL: none); RET_REPLY: the daemon's whole
 * reply as it typed it, to be freed with free(). A reply that is an error counts as success here
 * only in that RET_REPLY is set: its code is still returned. -EINVAL: PARAMETERS is not JSON.
 */
int shmd_call(struct shmd *shmd, const char *method, const char *parameters, char **ret_reply);

/* The result of the last call as the daemon typed it, or NULL when it failed. Good until the next
 * call on the handle. */
const char *shmd_last_result(const struct shmd *shmd);

#ifdef __cplusplus
}
#endif
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
