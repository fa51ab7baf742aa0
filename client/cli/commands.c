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
     OPT(NOT_READY) | OPT(LABEL) | OPT(HUGE) | OPT(NORESERVE) | OPT(LOCKED) | OPT(ANY_OWNER))

const struct command commands[] = {
    {"create", "[NAME] --size SIZE", "Create a segment, or find the one that is there",
     CREATE | OPT(LIFETIME) | TABLE, 0, 1, false, cmd_create},
    {"stat", TARGET_TEXT, "Tell everything about a segment", TARGET | TABLE, 0, 1, false, cmd_stat},
    {"set", TARGET_TEXT, "Change a segment",
     TARGET | TABLE | OPT(MODE) | OPT(UID) | OPT(GID) | OPT(NEW_NAME) | OPT(LABEL) |
         OPT(NO_LABELS) | OPT(LIFETIME) | OPT(TTL) | OPT(NO_TTL) | OPT(LOCKED) | OPT(UNLOCKED),
     0, 1, false, cmd_set},
    {"rm", "NAME... | --shmid N | --key K | --serial N", "Remove segments",
     TARGET | OPT(JSON) | OPT(IF_UNATTACHED), 0, INT_MAX, false, cmd_rm},
    {"list", "", "List segments",
     TABLE | OPT(PREFIX) | OPT(UID) | OPT(LIFETIME) | OPT(STATE) | OPT(LABEL) | OPT(SCOPE) |
         OPT(FOREIGN) | OPT(ALL),
     0, 0, false, cmd_list},
    {"info", "", "Tell about the daemon, the kernel and the limits", OPT(JSON) | OPT(BYTES), 0, 0,
     false, cmd_info},
    {"read", TARGET_TEXT, "Copy a segment to standard output", TARGET | OPT(OFFSET) | OPT(LENGTH),
     0, 1, false, cmd_read},
    {"write", TARGET_TEXT, "Copy standard input into a segment", TARGET | OPT(OFFSET) | OPT(LENGTH),
     0, 1, false, cmd_write},
    {"call", "METHOD [PARAMETERS | -]", "Call a method and print the reply as it came", OPT(JSON),
     1, 2, false, cmd_call},
    {"wait", "NAME", "Wait until a segment exists and is ready", TABLE | OPT(TIMEOUT), 1, 1, false,
     cmd_wait},
    {"ready", TARGET_TEXT, "Say that a segment is filled", TARGET | TABLE, 0, 1, false, cmd_ready},
    {"hold", "TARGET [-- COMMAND...]", "Hold a segment until interrupted, or as long as a command",
     TARGET | TABLE | OPT(LIFETIME), 0, 1, true, cmd_hold},
    {"release", TARGET_TEXT, "Hold a segment no longer", TARGET | TABLE, 0, 1, false, cmd_release},
    {"adopt", "--shmid N | --key K [NAME]", "Put a foreign segment under shmd's care",
     OPT(SHMID) | OPT(KEY) | OPT(LIFETIME) | OPT(TTL) | OPT(LABEL) | TABLE, 0, 1, false, cmd_adopt},
    {"events", "", "Print what happens to segments, until interrupted",
     OPT(JSON) | OPT(PREFIX) | OPT(KINDS) | OPT(AFTER) | OPT(COUNT), 0, 0, false, cmd_events},
    {"run", "NAME --size SIZE -- COMMAND...", "Run a command with a segment that lives as long",
     CREATE, 1, 1, true, cmd_run},
    {"gc", "", "List segments that nobody needs any more, or remove them",
     OPT(JSON) | OPT(BYTES) | OPT(REMOVE) | OPT(OLDER_THAN) | OPT(UID) | OPT(KEY), 0, 0, false,
     cmd_gc},
    {"doctor", "", "Tell what on this machine would hurt, and how to mend it", OPT(JSON), 0, 0,
     false, cmd_doctor},
    {"reload", "", "Make the daemon read its configuration again", 0, 0, 0, false, cmd_reload},
};

const size_t commands_count = COUNT(commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < commands_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
