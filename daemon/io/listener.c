/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "daemon/io/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/io/connection.h"
#include "daemon/rpc/session.h"

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum {
    PAUSE_MS = 100,
    ACCEPTS_A_TURN = 32,
    BACKLOG = 1024, /* who comes waits for all of these: a user may have filled it */
    GUEST_TURNS =
        16, /* the kernel reports some at a time, and a peer that left may have sent much */
    GROUPS_FIRST = 64, /* most users have fewer */
};

__attribute__((format(printf, 3, 4))) static int explain(int error, char **ret_error,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(ret_error, format, args) < 0)
        *ret_error = NULL;
    va_end(args);
    return error;
}

/* --- binding */

/* Whether a process listens on the socket at ADDRESS: 0 when none does, -EADDRINUSE, or another
 * negative errno. */
static int probe(const struct sockaddr_un *address)
{
    int fd CLEANUP(cleanup_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

static int clear_the_way(const char *path, const struct sockaddr_un *address, char **ret_error)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : explain(-errno, ret_error, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return explain(-EEXIST, ret_error,
                       "%s exists and is not a socket: choose another path by --socket, or move it "
                       "away",
                       path);
    int r = probe(address);
    if (r == -EADDRINUSE)
        return explain(r, ret_error,
                       "%s is served by a running daemon: stop it first, or choose another path by "
                       "--socket",
                       path);
    if (r < 0)
        return explain(r, ret_error,
                       "cannot tell whether %s is in use: %s: choose another path by --socket",
                       path, strerror(-r));
    if (unlink(path) < 0 && errno != ENOENT)
        return explain(-errno, ret_error,
                       "cannot remove the stale socket %s: %s: choose another path by --socket, or "
                       "remove it",
                       path, strerror(errno));
    return 0;
}

int listener_bind(const char *path, mode_t mode, int *ret_fd, char **ret_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return explain(-ENAMETOOLONG, ret_error,
                       "%s is too long for a socket: %zu bytes, and %zu is the most", path,
                       strlen(path), sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    int r = clear_the_way(path, &address, ret_error);
    if (r < 0)
        return r;
    int fd CLEANUP(cleanup_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return explain(-errno, ret_error, "no socket: %s", strerror(errno));
    /* It has its mode from the first moment on. */
    mode_t before = umask(~mode & 0777);
    r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(before);
    if (r < 0)
        return explain(r, ret_error, "cannot make the socket %s: %s", path, strerror(-r));
    if (listen(fd, BACKLOG) < 0) {
        r = explain(-errno, ret_error, "cannot listen on %s: %s", path, strerror(errno));
        unlink(path);
        return r;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int listener_inherit(int *ret_fd, char **ret_error)
{
#ifdef HAVE_LIBSYSTEMD
    int n = sd_listen_fds(1);
    if (n == 0)
        return -ENOENT;
    if (n < 0)
        return explain(n, ret_error, "LISTEN_FDS: %s", strerror(-n));
    if (n > 1)
        return explain(-EINVAL, ret_error, "%d sockets were handed over; shmd serves one", n);
    int fd = SD_LISTEN_FDS_START;
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
        return explain(-EINVAL, ret_error,
                       "what was handed over is not a listening Unix stream socket");
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return explain(-errno, ret_error, "the socket handed over: %s", strerror(errno));
    *ret_fd = fd;
    return 0;
#else
    (void)ret_fd;
    (void)ret_error;
    return -ENOENT;
#endif
}

/* --- accepting */

static void open_spare(struct listener *l)
{
    if (l->spare < 0)
        l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void listener_turn_out(int fd, const struct writer *answer)
{
    bool is_there =
        !answer->failed && send(fd, answer->data, answer->len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
    (void)is_there; /* a client that has gone needs no answer */
    shutdown(fd, SHUT_WR);
    /* What it has asked already would make the close a reset, which loses the answer to some. */
    char unread[4096];
    for (int i = 0; i < 16 && recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0; i++)
        ;
    close(fd);
}

static void refuse(struct listener *l, const struct caller *guest, int outcome,
                   const struct outcome_detail *detail)
{
    struct writer w;
    writer_init(&w);
    session_refuse_connection(&w, l->loop->rpc, guest, outcome, detail);
    listener_turn_out(guest->socket, &w);
    writer_deinit(&w);
}

static int read_groups(int fd, struct caller *caller)
{
    uint32_t some[GROUPS_FIRST];
    uint32_t *groups CLEANUP(cleanup_free) = NULL;
    socklen_t len = sizeof(some);
    _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "as the kernel has them");
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, some, &len) < 0) {
        if (errno != ERANGE)
            return errno == ENOPROTOOPT || errno == ENODATA ? 0 : -errno;
        groups = malloc(len);
        if (!groups)
            return -ENOMEM;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
            return -errno;
    } else if (len == sizeof(some[0]) && some[0] == caller->gid) {
        len = 0; /* as most users have it: nothing that is not known */
    } else if (len > 0) {
        groups = malloc(len);
        if (!groups)
            return -ENOMEM;
        memcpy(groups, some, len);
    }
    caller->n_groups = len / sizeof(uint32_t);
    caller->groups = steal_pointer(&groups);
    return 0;
}

static uint64_t now_ticks(const struct listener *l)
{
    const struct processes *p = &l->loop->rpc->core->on.processes;
    return p->ops->now(p->context);
}

static int read_peer(const struct listener *l, int fd, struct caller *ret)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return -errno;
    *ret = (struct caller){.uid = peer.uid,
                           .gid = peer.gid,
                           .pid = peer.pid,
                           .socket = fd,
                           .after_ticks = l->empty_ticks,
                           .until_ticks = now_ticks(l)};
    return read_groups(fd, ret);
}

static void turn_out(struct listener *l, struct caller *guest, int outcome,
                     const struct outcome_detail *detail)
{
    free(guest->groups);
    refuse(l, guest, outcome, detail);
}

/* A peer that has closed without sending anything needs no room. */
static bool has_left(const struct caller *guest)
{
    char byte;
    return recv(guest->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int charge_guest(struct core *core, struct caller *guest, struct outcome_detail *detail)
{
    return quota_take(&core->quota, guest->uid, access_is_admin(&core->settings.access, guest),
                      QUOTA_CONNECTIONS, 1, &guest->account, detail);
}

/* Whether GUEST is dealt with: let in or, when it is the LAST time, refused if there is no room. */
static bool receive_guest(struct listener *l, struct caller *guest, bool last)
{
    struct core *core = l->loop->rpc->core;
    struct outcome_detail detail = {0};
    int r = charge_guest(core, guest, &detail);
    /* Nobody has made room by leaving, so one that is idle must go. More than one, if admins have
     * connections: these count too. */
    while (r == OUTCOME_QUOTA_EXCEEDED && detail.is_total && last && !has_left(guest) &&
           connections_make_room(l->loop, guest->uid))
        r = charge_guest(core, guest, &detail);
    if (r == OUTCOME_QUOTA_EXCEEDED && !last && !has_left(guest))
        return false;
    if (r != 0) {
        turn_out(l, guest, r, &detail);
    } else if (connection_open(l->loop, guest->socket, guest) < 0) {
        free(guest->groups);
        quota_give(&core->quota, guest->account, QUOTA_CONNECTIONS, 1);
    }
    return true;
}

static void receive_guests(struct listener *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n_guests; i++) {
        struct guest *guest = &l->guests[i];
        if (!receive_guest(l, &guest->caller, guest->turns++ == GUEST_TURNS))
            l->guests[kept++] = *guest;
    }
    l->n_guests = kept;
}

/* There is room for one more guest after that. */
static void make_room_for_guest(struct listener *l)
{
    if (l->n_guests < GUESTS_MAX)
        return;
    bool is_received = receive_guest(l, &l->guests[0].caller, true);
    (void)is_received; /* the last time it always is */
    memmove(&l->guests[0], &l->guests[1], --l->n_guests * sizeof(l->guests[0]));
}

/* There is no descriptor for the next peer: the spare one serves to answer that. Whether it did. */
static bool turn_away(struct listener *l)
{
    if (l->spare >= 0)
        close(l->spare);
    l->spare = -1;
    struct caller guest = {0};
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && read_peer(l, fd, &guest) == 0)
        turn_out(l, &guest, -EMFILE, NULL);
    else if (fd >= 0)
        close(fd);
    open_spare(l);
    return fd >= 0;
}

static void pause_accepting(struct listener *l)
{
    const struct timeval after = {.tv_usec = PAUSE_MS * 1000};
    event_del(l->acceptable);
    if (evtimer_add(l->pause, &after) < 0)
        event_add(l->acceptable, NULL);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct listener *l = context;
    (void)fd;
    (void)what;
    open_spare(l);
    event_add(l->acceptable, NULL);
}

static void on_acceptable(evutil_socket_t listening, short what, void *context)
{
    struct listener *l = context;
    (void)what;
    (void)listening;
    l->has_arrivals = true;
}

static unsigned accept_guests(struct listener *l)
{
    const uint64_t before = now_ticks(l);
    unsigned n = 0;
    for (; n < ACCEPTS_A_TURN; n++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            make_room_for_guest(l);
            struct guest *guest = &l->guests[l->n_guests];
            guest->turns = 0;
            if (read_peer(l, fd, &guest->caller) == 0)
                l->n_guests++;
            else
                close(fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            if (turn_away(l))
                continue;
            pause_accepting(l);
            break;
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l);
            break;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno == EAGAIN)
                l->empty_ticks = before;
            break;
        }
    }
    return n;
}

unsigned listener_end_turn(struct listener *l)
{
    unsigned accepted = l->has_arrivals ? accept_guests(l) : 0;
    l->has_arrivals = false;
    if (l->n_guests > 0)
        receive_guests(l);
    return accepted;
}

int listener_init(struct listener *l, struct loop *loop, int fd, const char *path)
{
    struct stat st;
    *l = (struct listener){.loop = loop, .fd = fd, .spare = -1};
    if (path) {
        if (stat(path, &st) == 0) {
            l->device = st.st_dev;
            l->inode = st.st_ino;
        }
        l->path = strdup(path);
        if (!l->path)
            return -ENOMEM;
        l->empty_ticks = now_ticks(l); /* a socket that was handed over may have a queue */
    }
    open_spare(l);
    l->acceptable = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
    l->pause = evtimer_new(loop->base, on_pause_over, l);
    if (!l->acceptable || !l->pause || event_add(l->acceptable, NULL) < 0)
        return -ENOMEM;
    loop->listener = l;
    return 0;
}

void listener_deinit(struct listener *l)
{
    struct stat st;
    if (!l->loop)
        return;
    l->loop->listener = NULL;
    for (size_t i = 0; i < l->n_guests; i++) {
        free(l->guests[i].caller.groups);
        close(l->guests[i].caller.socket);
    }
    if (l->acceptable)
        event_free(l->acceptable);
    if (l->pause)
        event_free(l->pause);
    if (l->path && stat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(l->path);
    free(l->path);
    if (l->fd >= 0)
        close(l->fd);
    if (l->spare >= 0)
        close(l->spare);
    *l = (struct listener){.fd = -1, .spare = -1};
}
