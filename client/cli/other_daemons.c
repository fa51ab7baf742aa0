/* SPDX-License-Identifier: MIT */
#include "client/cli/other_daemons.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Where the sockets of daemons are expected. */
#define SYSTEM_SOCKET "/run/shmd/shmd.sock"
#define USER_SOCKETS  "/run/user/*/shmd"
#define SOCKET_NAME   "shmd.sock"
#define SYSTEM_USER   "shmd"
#define PROGRAM       "shmd"

struct search {
    struct orphan_knowledge *k;
    const struct asked_daemon *asked;
    struct stat asked_socket; /* of one that answered, and has a path that can be looked at */
    bool has_asked_socket;
    const uint32_t *of; /* whose daemons are looked for; NULL: anybody's */
    int error;          /* -ENOMEM */
};

static void add(struct search *s, uint32_t uid, bool serves, const char *path)
{
    struct guard guard = {.uid = uid, .serves = serves};
    if (s->of && uid != *s->of)
        return;
    snprintf(guard.path, sizeof(guard.path), "%s", path);
    if (s->error == 0)
        s->error = orphan_guard(s->k, &guard);
}

static bool is_asked(const struct search *s, const struct stat *st)
{
    return s->has_asked_socket && st->st_dev == s->asked_socket.st_dev &&
           st->st_ino == s->asked_socket.st_ino;
}

/* Whether process PID is known to see other segments than this one. */
static bool is_elsewhere(int32_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/ipc", pid);
    return pid > 0 && stat(path, &st) == 0 && st.st_ino != own_ipc_namespace();
}

/* Who listens at PATH; the connection says nothing, never blocks, and is closed at once. 0 or a
 * negative errno. */
static int find_listener(const char *path, struct ucred *ret)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(*ret);
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = 0;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

/*
 * The daemon of the socket at PATH, if that is one, and not the one that was asked. The owner of
 * the file guards, and whoever listens: systemd opens sockets for others.
 */
static void add_socket(struct search *s, const char *path, bool follow)
{
    struct stat st;
    struct ucred peer = {0};
    int r = follow ? stat(path, &st) : lstat(path, &st);
    if (r < 0 || !S_ISSOCK(st.st_mode) || is_asked(s, &st))
        return;
    r = find_listener(path, &peer);
    if (r < 0) {
        add(s, st.st_uid, r != -ECONNREFUSED, path);
        return;
    }
    if (is_elsewhere(peer.pid))
        return;
    add(s, st.st_uid, true, path);
    add(s, peer.uid, true, path);
}

/* The same, and the directory in which a daemon keeps its records while it is stopped. */
static void add_place(struct search *s, const char *path)
{
    char copy[PATH_MAX];
    const char *directory;
    struct stat st;
    if (s->has_asked_socket && stat(path, &st) == 0 && is_asked(s, &st))
        return;
    add_socket(s, path, true);
    snprintf(copy, sizeof(copy), "%s", path);
    directory = dirname(copy);
    /* A directory that everybody may write is no daemon's. */
    if (stat(directory, &st) == 0 && !(st.st_mode & S_IWOTH))
        add(s, st.st_uid, false, path);
}

/* In the runtime directory of a user, who may make links there that lead to what is anybody's.
 * DIRECTORY: the daemon's in it. */
static void add_user(struct search *s, const char *directory)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof(path), "%s", directory);
    if (lstat(dirname(path), &st) < 0)
        return;
    const uint32_t owner = st.st_uid;
    s->of = &owner;
    snprintf(path, sizeof(path), "%s/" SOCKET_NAME, directory);
    add_place(s, path);
    s->of = NULL;
}

static void add_users(struct search *s)
{
    char path[PATH_MAX];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    glob_t found = {0};
    int r = glob(USER_SOCKETS, GLOB_NOSORT, NULL, &found);
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        add_user(s, found.gl_pathv[i]);
    globfree(&found);
    if (r == GLOB_NOSPACE)
        s->error = -ENOMEM;
    if (runtime && *runtime) {
        snprintf(path, sizeof(path), "%s/" PROGRAM "/" SOCKET_NAME, runtime);
        add_place(s, path);
    }
}

/* Whether the last two parts of PATH say that it is a daemon's. */
static bool names_a_daemon(const char *path)
{
    const char *last = strrchr(path, '/');
    while (last && last > path && last[-1] != '/')
        last--;
    return last && strstr(last, PROGRAM);
}

/* Sockets in other places that processes of this network namespace listen on. */
static void add_listeners(struct search *s)
{
    enum { ACCEPTS = 1 << 16 };
    FILE *file = fopen("/proc/net/unix", "re");
    char line[512], path[256];
    unsigned long flags;
    unsigned type;
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*x: %*x %*x %lx %x %*x %*u %255[^\n]", &flags, &type, path) == 3 &&
            flags & ACCEPTS && type == SOCK_STREAM && *path == '/' && names_a_daemon(path))
            add_socket(s, path, false); /* a link could lead to anybody's */
    }
    if (file)
        fclose(file);
}

int other_daemons_find(const struct asked_daemon *asked, struct orphan_knowledge *k)
{
    struct search s = {.k = k, .asked = asked};
    s.has_asked_socket = asked->answered && *asked->path && stat(asked->path, &s.asked_socket) == 0;
    const struct passwd *user = getpwnam(SYSTEM_USER);
    /* Of the segments of its own uid the daemon that was asked knows better. */
    if (user && !(k->asked && user->pw_uid == k->daemon_uid))
        add(&s, user->pw_uid, false, SYSTEM_SOCKET);
    add_place(&s, SYSTEM_SOCKET);
    if (*asked->path && !asked->answered)
        add_place(&s, asked->path);
    add_users(&s);
    add_listeners(&s);
    return s.error;
}
