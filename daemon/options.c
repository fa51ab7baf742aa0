/* SPDX-License-Identifier: MIT */
#include "daemon/options.h"

#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/config.h"

#define SYSTEM_SOCKET    "/run/shmd/shmd.sock"
#define SYSTEM_STATE_DIR "/run/shmd"

enum { SYSTEM_UID_MAX = 999 };

enum name {
    NAME_SOCKET = 256, /* getopt gives a character for what is a short option */
    NAME_SOCKET_MODE,
    NAME_STATE_DIR,
    NAME_CONFIG,
    NAME_CHECK_CONFIG,
    NAME_DUMP_STATE,
    NAME_LOG_LEVEL,
    NAME_HELP,
    NAME_VERSION,
};

static const struct option names[] = {
    {"socket", required_argument, NULL, NAME_SOCKET},
    {"socket-mode", required_argument, NULL, NAME_SOCKET_MODE},
    {"state-dir", required_argument, NULL, NAME_STATE_DIR},
    {"config", required_argument, NULL, NAME_CONFIG},
    {"check-config", no_argument, NULL, NAME_CHECK_CONFIG},
    {"dump-state", required_argument, NULL, NAME_DUMP_STATE},
    {"log-level", required_argument, NULL, NAME_LOG_LEVEL},
    {"help", no_argument, NULL, NAME_HELP}, /* also -h */
    {"version", no_argument, NULL, NAME_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: shmd [OPTION]...\n"
    "Manage System V shared memory: names, owners, lifetimes, limits, events.\n"
    "\n"
    "  --socket PATH       listen there (root and system users: " SYSTEM_SOCKET ",\n"
    "                      others: $XDG_RUNTIME_DIR/shmd/shmd.sock); a socket that is\n"
    "                      handed over by systemd is used instead\n"
    "  --socket-mode MODE  the socket's mode, octal (system: 0666, others: 0600)\n"
    "  --state-dir DIR     keep the state there (the directory of --socket, else\n"
    "                      " SYSTEM_STATE_DIR " or $XDG_RUNTIME_DIR/shmd)\n"
    "  --config FILE       read this configuration, and segments.d beside it\n"
    "  --check-config      print what is wrong with the configuration and with the\n"
    "                      declared segments, and exit\n"
    "  --dump-state FILE   print the journal FILE as JSON, a record a line, with its\n"
    "                      sums checked, and exit\n"
    "  --log-level LEVEL   error, warning, notice, info or debug\n"
    "  -h, --help          print this text and exit\n"
    "  --version           print the version and exit\n"
    "\n"
    "Without --config, root and system users read %s,\n"
    "others $XDG_CONFIG_HOME/shmd/shmd.conf; a daemon with a --socket or --state-dir\n"
    "of its own reads no configuration.\n";

static const char hint[] = "Try `shmd --help`.\n";

/* Prints what is wrong with the command line. */
__attribute__((format(printf, 2, 3))) static enum options_result refuse(FILE *err,
                                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("shmd: ", err);
    vfprintf(err, format, args);
    va_end(args);
    fprintf(err, "\n%s", hint);
    return OPTIONS_EXIT_USAGE;
}

static enum options_result refuse_memory(FILE *err)
{
    fputs("shmd: out of memory\n", err);
    return OPTIONS_EXIT_USAGE;
}

/* ARGUMENT is the one getopt stumbled over. */
static enum options_result refuse_option(FILE *err, const char *argument, int result)
{
    if (result == ':')
        return refuse(err, "%s needs a value", argument);
    if (optopt >= NAME_SOCKET)
        return refuse(err, "%s: this option takes no value", argument);
    if (optopt)
        return refuse(err, "-%c: unknown option", optopt);
    return refuse(err, "%s: unknown or ambiguous option", argument);
}

static bool parse_mode(const char *text, uint32_t *ret)
{
    size_t len = strlen(text);
    if ((len != 3 && len != 4) || text[strspn(text, "01234567")])
        return false;
    unsigned long mode = strtoul(text, NULL, 8);
    if (mode > 0777)
        return false;
    *ret = (uint32_t)mode;
    return true;
}

static bool parse_level(const char *text, enum log_level *ret)
{
    for (int i = 0; log_level_words[i]; i++) {
        if (strcmp(log_level_words[i], text) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* What the command line gives; NULL and false for what it does not give. */
struct command_line {
    const char *socket, *state_dir, *config, *dump_state;
    bool has_mode, check_config;
};

static bool is_path(enum name name, const char *value)
{
    return (name != NAME_SOCKET && name != NAME_STATE_DIR && name != NAME_CONFIG &&
            name != NAME_DUMP_STATE) ||
           *value;
}

/* Takes one option; OPTIONS_RUN to go on. */
static enum options_result take(enum name name, struct command_line *line, struct options *options,
                                FILE *out, FILE *err)
{
    if (!is_path(name, optarg ? optarg : ""))
        return refuse(err, "an empty path denotes nothing: give the path of a file or directory");
    switch (name) {
    case NAME_SOCKET: line->socket = optarg; break;
    case NAME_STATE_DIR: line->state_dir = optarg; break;
    case NAME_CONFIG: line->config = optarg; break;
    case NAME_CHECK_CONFIG: line->check_config = true; break;
    case NAME_DUMP_STATE: line->dump_state = optarg; break;
    case NAME_SOCKET_MODE:
        line->has_mode = true;
        if (!parse_mode(optarg, &options->socket_mode))
            return refuse(err, "--socket-mode %s: must be three or four octal digits up to 0777",
                          optarg);
        break;
    case NAME_LOG_LEVEL:
        options->has_log_level = true;
        if (!parse_level(optarg, &options->log_level))
            return refuse(err, "--log-level %s: must be error, warning, notice, info or debug",
                          optarg);
        break;
    case NAME_HELP: fprintf(out, help, config_system_path); return OPTIONS_EXIT_OK;
    case NAME_VERSION: fputs("shmd " PACKAGE_VERSION "\n", out); return OPTIONS_EXIT_OK;
    }
    return OPTIONS_RUN;
}

/* A copy of TEXT up to END (NULL: all), with TAIL behind it. */
static char *join(const char *text, const char *end, const char *tail)
{
    size_t len = end ? (size_t)(end - text) : strlen(text);
    char *all = malloc(len + strlen(tail) + 1);
    if (all)
        strcpy(mempcpy(all, text, len), tail);
    return all;
}

/* The directory that PATH is in. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return slash == path ? strdup("/") : join(path, slash, "");
}

/*
 * Makes RET the configuration to read, or NULL for none. The system's files are read by the
 * system's instance alone: a daemon that somebody runs beside it must not take over its limits and
 * admins, or create its declared segments. 0 or -ENOMEM.
 */
static int find_config(const struct command_line *line, char *(*env)(const char *name), bool system,
                       char **ret)
{
    bool is_private = line->socket || line->state_dir;
    const char *base = env("XDG_CONFIG_HOME"), *home = env("HOME");
    if (line->config)
        *ret = strdup(line->config);
    else if (!is_private && system)
        *ret = strdup(config_system_path);
    else if (!is_private && base && *base == '/')
        *ret = join(base, NULL, "/shmd/shmd.conf");
    else if (!is_private && home && *home == '/')
        *ret = join(home, NULL, "/.config/shmd/shmd.conf");
    else
        return 0;
    return *ret ? 0 : -ENOMEM;
}

/* Fills in what the command line does not give. */
static enum options_result fill_in(const struct command_line *line, char *(*env)(const char *name),
                                   uint32_t uid, struct options *options, FILE *err)
{
    bool system = uid <= SYSTEM_UID_MAX;
    const char *runtime = system ? NULL : env("XDG_RUNTIME_DIR");
    const char *by_manager = env("RUNTIME_DIRECTORY"); /* several are separated by colons */
    bool nowhere = !system && !line->socket && (!runtime || *runtime != '/');
    bool handed_over = env("LISTEN_FDS") != NULL;
    if (nowhere && !(handed_over && (line->state_dir || by_manager)))
        return refuse(err, "XDG_RUNTIME_DIR is %s: give --socket, and the state is kept beside it",
                      runtime && *runtime ? "not an absolute path" : "not set");

    if (line->socket)
        options->socket = strdup(line->socket);
    else if (!nowhere)
        options->socket = system ? strdup(SYSTEM_SOCKET) : join(runtime, NULL, "/shmd/shmd.sock");
    options->makes_state_dir = line->state_dir || !line->socket;
    if (line->state_dir)
        options->state_dir = strdup(line->state_dir);
    else if (line->socket)
        options->state_dir = parent_of(line->socket);
    else if (by_manager && *by_manager == '/')
        options->state_dir = join(by_manager, strchr(by_manager, ':'), "");
    else
        options->state_dir = system ? strdup(SYSTEM_STATE_DIR) : join(runtime, NULL, "/shmd");
    if ((!options->socket && !nowhere) || !options->state_dir)
        return refuse_memory(err);
    if (!line->has_mode)
        options->socket_mode = system ? 0666 : 0600;

    size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (options->socket && strlen(options->socket) > max)
        return refuse(err, "%s: the path of a socket has at most %zu bytes", options->socket, max);
    return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char *const argv[], char *(*env)(const char *name),
                                  uint32_t uid, struct options *ret, FILE *out, FILE *err)
{
    struct options options CLEANUP(options_deinit) = {0};
    struct command_line line = {0};
    optind = 0; /* glibc: from the beginning, whoever parsed before */
    opterr = 0;
    for (;;) {
        optopt = 0;
        int at = optind > 0 ? optind : 1;
        int name = getopt_long(argc, argv, "+:h", names, NULL);
        if (name == -1)
            break;
        if (name == 'h')
            name = NAME_HELP;
        if (name == '?' || name == ':')
            return refuse_option(err, argv[at], name);
        enum options_result result = take((enum name)name, &line, &options, out, err);
        if (result != OPTIONS_RUN)
            return result;
    }
    if (optind < argc)
        return refuse(err, "%s: shmd takes no arguments", argv[optind]);

    options.config_given = line.config != NULL;
    if (find_config(&line, env, uid <= SYSTEM_UID_MAX, &options.config) < 0)
        return refuse_memory(err);
    if (line.dump_state && !(options.dump_state = strdup(line.dump_state)))
        return refuse_memory(err);
    enum options_result result = line.dump_state ? OPTIONS_DUMP_STATE : OPTIONS_CHECK_CONFIG;
    if (!line.check_config && !line.dump_state)
        result = fill_in(&line, env, uid, &options, err);
    if (result != OPTIONS_EXIT_USAGE) {
        *ret = options;
        options = (struct options){0};
    }
    return result;
}

void options_deinit(struct options *options)
{
    free(steal_pointer(&options->socket));
    free(steal_pointer(&options->state_dir));
    free(steal_pointer(&options->config));
    free(steal_pointer(&options->dump_state));
}
