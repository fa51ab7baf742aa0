/* SPDX-License-Identifier: MIT */
#include "client/cli/doctor_config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SYSTEM_UID_MAX = 999, TEXTS_SIZE = 32 * 1024 };

static void set_file(struct doctor_facts *f, const char *directory, const char *file)
{
    size_t len = (size_t)snprintf(f->config.file, sizeof(f->config.file), "%s%s%s", directory,
                                  *directory ? "/" : "", file);
    f->config.state = len < sizeof(f->config.file) ? CONFIG_KNOWN : CONFIG_UNKNOWN;
    f->config.is_systems = strcmp(f->config.file, SHMD_CONFIG_DIR "/shmd.conf") == 0;
}

/* Of a user's own daemon. BASE and HOME as the environment has them, or NULL. */
static void set_users_file(struct doctor_facts *f, const char *base, const char *home)
{
    f->config.state = CONFIG_NONE;
    if (base && *base == '/')
        set_file(f, base, "shmd/shmd.conf");
    else if (home && *home == '/')
        set_file(f, home, ".config/shmd/shmd.conf");
}

void doctor_config_guess(struct doctor_facts *f)
{
    f->config.state = CONFIG_UNKNOWN;
    if (f->socket.kind == DAEMON_SYSTEMS)
        set_file(f, SHMD_CONFIG_DIR, "shmd.conf");
    else if (f->socket.kind == DAEMON_USERS)
        set_users_file(f, getenv("XDG_CONFIG_HOME"), getenv("HOME"));
}

/* --- the process */

/* Texts that each end with a NUL, as /proc has them. */
struct texts {
    char bytes[TEXTS_SIZE];
    size_t len; /* 0: there are none, or more than there is room for */
};

static void read_texts(const char *root, int32_t pid, const char *name, struct texts *ret)
{
    char path[PATH_MAX];
    ret->len = 0;
    snprintf(path, sizeof(path), "%s/proc/%" PRId32 "/%s", root, pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    size_t len = fread(ret->bytes, 1, sizeof(ret->bytes), file);
    fclose(file);
    if (len > 0 && len < sizeof(ret->bytes) && ret->bytes[len - 1] == '\0')
        ret->len = len;
}

/* The text behind TEXT; NULL: it is the last. */
static const char *next(const struct texts *texts, const char *text)
{
    const char *after = text + strlen(text) + 1;
    return after < texts->bytes + texts->len ? after : NULL;
}

static const char *variable(const struct texts *environment, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = environment->len > 0 ? environment->bytes : NULL; at;
         at = next(environment, at))
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return at + len + 1;
    return NULL;
}

/* Options of the daemon that take a value, and how much of the name is enough. */
static const struct daemon_option {
    const char *name;
    size_t least;
    enum { OTHER, PRIVATE, CONFIG } meaning;
} daemon_options[] = {
    {"--config", 4, CONFIG},     {"--socket", 8, PRIVATE},   {"--state-dir", 4, PRIVATE},
    {"--socket-mode", 9, OTHER}, {"--dump-state", 3, OTHER}, {"--log-level", 3, OTHER},
};

static const struct daemon_option *find_option(const char *word)
{
    size_t len = strcspn(word, "=");
    for (size_t i = 0; i < COUNT(daemon_options); i++)
        if (len >= daemon_options[i].least && len <= strlen(daemon_options[i].name) &&
            strncmp(word, daemon_options[i].name, len) == 0)
            return &daemon_options[i];
    return NULL;
}

/* What the command line says of the configuration. */
struct said {
    const char *config; /* NULL: nothing */
    bool is_private;    /* it has a socket or a state directory of its own */
};

static struct said read_command_line(const struct texts *line)
{
    struct said said = {NULL, false};
    for (const char *at = line->bytes; at; at = next(line, at)) {
        const struct daemon_option *option = find_option(at);
        if (!option)
            continue;
        const char *equals = strchr(at, '='), *value = equals ? equals + 1 : next(line, at);
        if (option->meaning == CONFIG)
            said.config = value;
        said.is_private |= option->meaning == PRIVATE;
        if (!value)
            break;
        at = equals ? at : value;
    }
    return said;
}

/* A path that is no absolute one begins where the daemon was started, which it has not left. */
static void set_named_file(const char *root, const char *file, struct doctor_facts *f)
{
    char path[PATH_MAX], directory[PATH_MAX];
    f->config.state = CONFIG_UNKNOWN;
    if (*file == '/') {
        set_file(f, "", file);
        return;
    }
    snprintf(path, sizeof(path), "%s/proc/%" PRId32 "/cwd", root, f->daemon.pid);
    ssize_t len = readlink(path, directory, sizeof(directory) - 1);
    if (len <= 0)
        return;
    directory[len] = '\0';
    set_file(f, directory, file);
}

void doctor_config_read(const char *root, struct doctor_facts *f)
{
    static struct texts texts;
    if (!f->daemon.has_proc || f->daemon.pid_namespace != NAMESPACE_SAME)
        return;
    read_texts(root, f->daemon.pid, "cmdline", &texts);
    if (texts.len == 0)
        return;
    const struct said said = read_command_line(&texts);
    if (said.config) {
        set_named_file(root, said.config, f);
    } else if (said.is_private) {
        f->config.state = CONFIG_NONE;
    } else if (f->daemon.uid <= SYSTEM_UID_MAX) {
        set_file(f, SHMD_CONFIG_DIR, "shmd.conf");
    } else {
        read_texts(root, f->daemon.pid, "environ", &texts);
        f->config.state = CONFIG_UNKNOWN;
        if (texts.len > 0)
            set_users_file(f, variable(&texts, "XDG_CONFIG_HOME"), variable(&texts, "HOME"));
    }
}
