/*
 * The table of commands. A new one is a row here and a cmd_ function in a file of its own or of its
 * kind.
 */
#include <limits.h>
#include <string.h>

#include "client/cli/cli.h"

#define TARGET      (OPT(SHMID) | OPT(KEY) | OPT(SERIAL))
#define TARGET_TEXT "NAME | --shmid N | --key K | --serial N"
#define TABLE       (OPT(JSON) | OPT(OUTPUT) | OPT(NOHEADINGS) | OPT(BYTES))
/* Of create and run. */
#define CREATE                                                                                     \
    (OPT(SIZE) | OPT(KEY) | OPT(MODE) | OPT(EXCLUSIVE) | OPT(UID) | OPT(GID) | OPT(TTL) |          \
     OPT(IDLE_TTL) | OPT(NOT_READY) | OPT(LABEL) | OPT(HUGE) | OPT(NORESERVE) | OPT(LOCKED) |      \
     OPT(ANY_OWNER) | OPT(REPLACE))
/* Of what uses a segment that others could have made under the name that is looked for. */
#define TRUST (OPT(OWNER) | OPT(ANY_OWNER))

const struct command commands[] = {
    {.name = "create",
     .arguments = "[NAME] --size SIZE | --from FILE",
     .summary = "Create a segment, or find the existing one",
     .options = CREATE | OPT(FROM) | OPT(LIFETIME) | TABLE,
     .max_args = 1,
     .run = cmd_create},
    {.name = "stat",
     .arguments = TARGET_TEXT,
     .summary = "Show everything about a segment",
     .options = TARGET | TABLE,
     .max_args = 1,
     .run = cmd_stat},
    {.name = "set",
     .arguments = TARGET_TEXT,
     .summary = "Change a segment",
     .options = TARGET | TABLE | OPT(MODE) | OPT(UID) | OPT(GID) | OPT(NEW_NAME) | OPT(LABEL) |
                OPT(NO_LABELS) | OPT(LIFETIME) | OPT(TTL) | OPT(NO_TTL) | OPT(IDLE_TTL) |
                OPT(LOCKED) | OPT(UNLOCKED),
     .max_args = 1,
     .run = cmd_set},
    {.name = "rm",
     .arguments = "NAME... | --shmid N | --key K | --serial N ...",
     .summary = "Remove segments",
     .options = TARGET | OPT(JSON) | OPT(IF_UNATTACHED),
     .repeatable = TARGET,
     .max_args = INT_MAX,
     .run = cmd_rm},
    {.name = "list",
     .arguments = "",
     .summary = "List segments",
     .options = TABLE | OPT(PREFIX) | OPT(UID) | OPT(LIFETIME) | OPT(STATE) | OPT(LABEL) |
                OPT(SCOPE) | OPT(FOREIGN) | OPT(ALL),
     .run = cmd_list},
    {.name = "info",
     .arguments = "",
     .summary = "Show the daemon, the kernel's limits and yours",
     .options = OPT(JSON) | OPT(BYTES),
     .run = cmd_info},
    {.name = "read",
     .arguments = TARGET_TEXT,
     .summary = "Copy a segment to standard output",
     .options = TARGET | TRUST | OPT(OFFSET) | OPT(LENGTH),
     .max_args = 1,
     .run = cmd_read},
    {.name = "write",
     .arguments = TARGET_TEXT,
     .summary = "Copy standard input into a segment",
     .options = TARGET | TRUST | OPT(OFFSET) | OPT(LENGTH),
     .max_args = 1,
     .run = cmd_write},
    {.name = "call",
     .arguments = "METHOD [PARAMETERS | -]",
     .summary = "Call a method and print the whole reply",
     .options = OPT(JSON),
     .min_args = 1,
     .max_args = 2,
     .run = cmd_call},
    {.name = "wait",
     .arguments = "NAME",
     .summary = "Wait until a segment exists and is ready",
     .options = TABLE | TRUST,
     .min_args = 1,
     .max_args = 1,
     .run = cmd_wait},
    {.name = "ready",
     .arguments = TARGET_TEXT,
     .summary = "Mark a segment as filled",
     .options = TARGET | TABLE,
     .max_args = 1,
     .run = cmd_ready},
    {.name = "hold",
     .arguments = "TARGET [-- COMMAND...]",
     .summary = "Hold a segment until interrupted, or while a command runs",
     .options = TARGET | TABLE | TRUST | OPT(LIFETIME) | OPT(WAIT),
     .max_args = 1,
     .has_child = true,
     .run = cmd_hold},
    {.name = "release",
     .arguments = TARGET_TEXT,
     .summary = "Stop holding a segment",
     .options = TARGET | TABLE,
     .max_args = 1,
     .run = cmd_release},
    {.name = "adopt",
     .arguments = "--shmid N | --key K [NAME]",
     .summary = "Put a foreign segment under shmd's care",
     .options = OPT(SHMID) | OPT(KEY) | OPT(LIFETIME) | OPT(TTL) | OPT(LABEL) | TABLE,
     .max_args = 1,
     .run = cmd_adopt},
    {.name = "disown",
     .arguments = TARGET_TEXT,
     .summary = "Take a segment out of shmd's care, and leave it as it is",
     .options = TARGET | TABLE,
     .max_args = 1,
     .run = cmd_disown},
    {.name = "events",
     .arguments = "",
     .summary = "Print what happens to segments, until interrupted",
     .options = OPT(JSON) | OPT(PREFIX) | OPT(KINDS) | OPT(AFTER) | OPT(COUNT),
     .run = cmd_events},
    {.name = "run",
     .arguments = "NAME --size SIZE -- COMMAND...",
     .summary = "Run a command with a segment that lives as long as the command",
     .options = CREATE | OPT(OWNER) | OPT(INITIALISING),
     .min_args = 1,
     .max_args = 1,
     .has_child = true,
     .needs_child = true,
     .run = cmd_run},
    {.name = "ps",
     .arguments = "[" TARGET_TEXT "]",
     .summary = "Show which processes have segments attached or hold them",
     .options = TARGET | OPT(JSON) | OPT(NOHEADINGS),
     .max_args = 1,
     .run = cmd_ps},
    {.name = "gc",
     .arguments = "",
     .summary = "List segments that nobody needs any more, or remove them",
     .options = OPT(JSON) | OPT(BYTES) | OPT(REMOVE) | OPT(OLDER_THAN) | OPT(UID) | OPT(SHMID) |
                OPT(KEY) | OPT(LEFT) | OPT(UNDECIDED) | OPT(LOST) | OPT(IDLE),
     .run = cmd_gc},
    {.name = "doctor",
     .arguments = "",
     .summary = "Find what on this machine would hurt segments, and how to mend it",
     .options = OPT(JSON),
     .run = cmd_doctor},
    {.name = "reload",
     .arguments = "",
     .summary = "Make the daemon read its configuration again",
     .run = cmd_reload},
};

const size_t commands_count = COUNT(commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < commands_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
