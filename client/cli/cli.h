/* SPDX-License-Identifier: MIT */
/*
 * What the commands of shmdctl share: the options, parsed; the connection; the exit statuses; and
 * how a failure is reported. A command returns its exit status; all messages go to standard error
 * and begin with "shmdctl: ".
 */
#ifndef SHMD_CLIENT_CLI_CLI_H
#define SHMD_CLIENT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/daemon_choice.h"
#include "client/cli/format.h"
#include "client/shmd.h"

#define MUST_CHECK   __attribute__((warn_unused_result))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* All options of all commands. An option is known by its index in the table of options.c. */
#define OPTIONS(X)                                                                                 \
    X(SOCKET)                                                                                      \
    X(USER)                                                                                        \
    X(SYSTEM)                                                                                      \
    X(TIMEOUT)                                                                                     \
    X(JSON)                                                                                        \
    X(HELP)                                                                                        \
    X(VERSION)                                                                                     \
    X(SHMID)                                                                                       \
    X(KEY)                                                                                         \
    X(SERIAL)                                                                                      \
    X(SIZE)                                                                                        \
    X(MODE)                                                                                        \
    X(EXCLUSIVE)                                                                                   \
    X(UID)                                                                                         \
    X(GID)                                                                                         \
    X(LIFETIME)                                                                                    \
    X(TTL)                                                                                         \
    X(NO_TTL)                                                                                      \
    X(NOT_READY)                                                                                   \
    X(LABEL)                                                                                       \
    X(NO_LABELS)                                                                                   \
    X(HUGE)                                                                                        \
    X(NORESERVE)                                                                                   \
    X(LOCKED)                                                                                      \
    X(UNLOCKED)                                                                                    \
    X(ANY_OWNER)                                                                                   \
    X(OWNER)                                                                                       \
    X(REPLACE)                                                                                     \
    X(FROM)                                                                                        \
    X(IDLE_TTL)                                                                                    \
    X(WAIT)                                                                                        \
    X(INITIALISING)                                                                                \
    X(NEW_NAME)                                                                                    \
    X(IF_UNATTACHED)                                                                               \
    X(PREFIX)                                                                                      \
    X(STATE)                                                                                       \
    X(SCOPE)                                                                                       \
    X(FOREIGN)                                                                                     \
    X(ALL)                                                                                         \
    X(OUTPUT)                                                                                      \
    X(NOHEADINGS)                                                                                  \
    X(BYTES)                                                                                       \
    X(OFFSET)                                                                                      \
    X(LENGTH)                                                                                      \
    X(KINDS)                                                                                       \
    X(AFTER)                                                                                       \
    X(COUNT)                                                                                       \
    X(REMOVE)                                                                                      \
    X(OLDER_THAN)                                                                                  \
    X(LEFT)                                                                                        \
    X(UNDECIDED)                                                                                   \
    X(LOST)                                                                                        \
    X(IDLE)                                                                                        \
    X(SORT)                                                                                        \
    X(REVERSE)                                                                                     \
    X(TIME_FORMAT)                                                                                 \
    X(RAW)                                                                                         \
    X(NOTRUNCATE)                                                                                  \
    X(DRY_RUN)                                                                                     \
    X(YES)                                                                                         \
    X(FORCE)                                                                                       \
    X(ONCE)                                                                                        \
    X(DELAY)

enum option_id {
#define X(id) OPT_##id,
    OPTIONS(X)
#undef X
        OPTION_COUNT
};

_Static_assert(OPTION_COUNT <= 64, "each is a bit of an integer");

#define OPT(id) (UINT64_C(1) << OPT_##id)

enum { LABELS_ROOM = 64 }; /* more than the daemon takes: it is the one to refuse */

struct options {
    uint64_t given; /* bits, by OPT() */
    const char *socket;
    struct shmd_target *targets; /* owned: each --shmid, --key and --serial, in their order */
    size_t n_targets;
    int shmid; /* as the last of its kind has it */
    uint32_t key;
    uint64_t serial, size, offset, length, after, count;
    uint32_t mode, uid, gid, owner;
    enum shmd_lifetime lifetime;
    enum shmd_state state;
    enum shmd_scope scope;
    int64_t ttl_ms, idle_ttl_ms, timeout_ms, older_than_ms, idle_ms, delay_ms;
    struct shmd_label labels[LABELS_ROOM]; /* their keys are owned */
    size_t n_labels;
    uint64_t huge_page_size;
    const char *new_name, *prefix, *columns, *sort, *from;
    enum time_format time_format;
    unsigned kinds;
};

struct cli {
    struct options options;
    const struct command *commands; /* all of them */
    size_t n_commands;
    const struct command *command;
    char **words_before; /* options before the command's name */
    int n_words_before;
    char **args; /* what is not an option */
    int n_args;
    int n_options; /* how many words of options stand before ARGS */
    char **child;  /* what follows "--", where the command runs another; NULL: no "--" */
    struct daemon_choice daemon; /* the one that is asked */
    struct shmd *shmd;           /* by cli_connect(); use cli_ask() to ask it */
    int64_t deadline_ms;         /* of --timeout, on CLOCK_MONOTONIC; -1: none */
    int64_t grace_ms;            /* how much later than --timeout an answer may come */
    bool delay_is_told;
    bool ids_are_good; /* the daemon's ids denote its segments here, too: it was asked */
};

struct command {
    const char *name;
    const char *alias;     /* a shorter name; or NULL */
    const char *arguments; /* for the usage line */
    const char *summary;
    uint64_t options;    /* besides those of every command */
    uint64_t repeatable; /* those that may be repeated here */
    int min_args, max_args;
    /* What --output and --sort mean by a column, by number, up to NULL; NULL: columns.h. */
    const char *(*column)(int number);
    bool is_hidden;   /* it is for scripts of our own, and no help tells of it */
    bool has_child;   /* it runs the command behind "--" */
    bool needs_child; /* and nothing else */
    int (*run)(struct cli *cli);
};

extern const struct command commands[];
extern const size_t commands_count;

static inline bool cli_given(const struct cli *cli, uint64_t options)
{
    return (cli->options.given & options) != 0;
}

/* --- exit statuses */

enum exit_status {
    EXIT_OK = 0,
    EXIT_REFUSED = 1, /* for a reason that has no number of its own */
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_NO_SUCH_SEGMENT = 4,
    EXIT_PERMISSION_DENIED = 5,
    EXIT_EXISTS = 6,
    EXIT_LIMIT = 7,
    EXIT_BUSY = 8,
    EXIT_TIMED_OUT = 9,
    EXIT_INITIALISER_DIED = 10,
    EXIT_STALE = 11,
    EXIT_SIZE_MISMATCH = 12,
    EXIT_NOT_STARTED = 125, /* of a command that is to be run; these three as env has them */
    EXIT_CANNOT_RUN = 126,
    EXIT_NO_SUCH_COMMAND = 127,
};

/* The statuses with their meaning, a line each, on standard output. */
void exit_status_list(void);

/* --- reporting */

/* Each message is one line, and harmless for a terminal whatever it holds. */

/* Prints "shmdctl: MESSAGE" and returns STATUS. */
int cli_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A remark on what was done, for people: nothing with --json. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* EXIT_USAGE, with a hint where to read on. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Standard output could not be written: EXIT_REFUSED, and what ERROR says, unless its
 * reader has gone away. As in any filter, that is no failure to tell people of. */
int cli_output_failure(int error);
/* From now on the hint is about this command, which must stay. */
void cli_usage_of(const char *command);
/* What a call on the handle returned, if not 0, and which daemon answered; the status for it. */
int cli_failure(const struct cli *cli, int r);
/* The same for one of several targets: the message begins with SUBJECT. */
int cli_failure_of(const struct cli *cli, const char *subject, int r);
/* Whether R, which a call on the handle returned, means that the daemon was lost. */
bool cli_is_lost(int r);
/* Whether the last call was refused because the segment belongs to somebody who is not trusted. */
bool cli_is_stranger(const struct cli *cli);

/* --- asking */

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t cli_now_ms(void);
/* Chooses the daemon and connects: 0 or a negative errno; nothing is printed but that it takes
 * long. TIMEOUT_MS counts where --timeout is not given; -1: no limit. */
int cli_open(struct cli *cli, int64_t timeout_ms) MUST_CHECK;
/* Prints that the daemon does not answer, when it does not. cli_open() begins that, too. */
void cli_watch_delay(struct cli *cli);
/* The same without a limit: 0, or an exit status when there is no daemon, which was printed. */
int cli_connect(struct cli *cli) MUST_CHECK;
/* What is wrong when cli_open() returned R; the exit status. */
int cli_unreachable(const struct cli *cli, int r);
/* The handle for the next call, which ends when --timeout does. */
struct shmd *cli_ask(struct cli *cli);
/* Milliseconds until --timeout is over, as the library takes them; -1: it is not given. */
int cli_time_left(const struct cli *cli);
/* --timeout counts from now on. */
void cli_restart_timeout(struct cli *cli);
/* The segment that the arguments and options name: 0 or EXIT_USAGE. */
int cli_target(const struct cli *cli, struct shmd_target *ret) MUST_CHECK;
/* What the filters ask for, with a prefix as the only argument: 0 or EXIT_USAGE. */
int cli_list_options(const struct cli *cli, struct shmd_list_options *ret) MUST_CHECK;
enum id_use {
    IDS_SHOWN, /* the command prints shmids, or takes one */
    IDS_USED,  /* it attaches a segment, or hands one to the kernel */
};
/*
 * Connects. In another IPC namespace than the daemon's its shmids denote no segments, or others:
 * then a command that uses one is refused, and so is every --shmid. 0 or an exit status.
 */
int cli_connect_for_ids(struct cli *cli, enum id_use use) MUST_CHECK;
/* For a command that has printed shmids: warns when they denote other segments here. Asks the
 * daemon, so the last result of the handle is gone. */
void cli_warn_of_ids(struct cli *cli);
/* Whose segment the command may use. */
struct shmd_trust cli_trust(const struct cli *cli);
/* Waits for the segment of that name until --timeout is over, also over a restart of the daemon.
 * FLAGS and TRUST are the library's. 0 or an exit status. */
int cli_wait(struct cli *cli, unsigned flags, const struct shmd_trust *trust,
             struct shmd_segment **ret) MUST_CHECK;
/* The segment asked for, to be freed; a command that has --owner refuses a stranger's. 0 or an exit
 * status. */
int cli_stat(struct cli *cli, enum id_use use, struct shmd_segment **ret) MUST_CHECK;

/* --- options */

/* Of one part of the command line. */
struct option_rules {
    uint64_t allowed;
    uint64_t repeatable; /* besides those that may be repeated everywhere */
    bool permute;        /* options may follow arguments */
    /* Says what is wrong with TEXT, the option that is not allowed; EXIT_USAGE. */
    int (*unknown)(const struct cli *cli, uint64_t allowed, const char *text);
};
/*
 * Parses ARGV (its first element is skipped). An option that was given before is an error, unless
 * it may be repeated. RET_REST: how many elements were options; the rest of ARGV is then what is
 * not one. 0 or EXIT_USAGE.
 */
int options_parse(struct cli *cli, const struct option_rules *rules, int argc, char **argv,
                  int *ret_rest) MUST_CHECK;
void options_deinit(struct options *o);
/* A line for each option in OPTIONS, on standard output. */
void options_list(uint64_t options);
/* What there is to say about an option. */
struct option_text {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: it takes none; "[=X]": it may be left out */
    const char *help;
};
void option_text(enum option_id id, struct option_text *ret);
/* What makes no sense for a new segment: 0 or EXIT_USAGE. */
int options_check_new(const struct options *o) MUST_CHECK;
/* Fills what create and run have in common with the options given: 0 or EXIT_USAGE. */
int options_create(const struct cli *cli, struct shmd_create_options *ret) MUST_CHECK;

/* --- the commands */

int cmd_complete(struct cli *cli);
int cmd_create(struct cli *cli);
int cmd_stat(struct cli *cli);
int cmd_set(struct cli *cli);
int cmd_rm(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_info(struct cli *cli);
int cmd_read(struct cli *cli);
int cmd_write(struct cli *cli);
int cmd_call(struct cli *cli);
int cmd_wait(struct cli *cli);
int cmd_ready(struct cli *cli);
int cmd_hold(struct cli *cli);
int cmd_release(struct cli *cli);
int cmd_adopt(struct cli *cli);
int cmd_disown(struct cli *cli);
int cmd_events(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_gc(struct cli *cli);
int cmd_ps(struct cli *cli);
const char *ps_column(int number);
int cmd_top(struct cli *cli);
int cmd_doctor(struct cli *cli);
int cmd_reload(struct cli *cli);
int cmd_metrics(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_version(struct cli *cli);

#endif
