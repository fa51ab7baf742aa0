/* SPDX-License-Identifier: MIT */
#include "daemon/io/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/util/container_of.h"
#include "daemon/util/log.h"
#include "protocol/limits.h"

enum {
    LINGER_MS = 2000,         /* how long we throw away what a refused peer still sends */
    READ_MIN = 256,           /* a connection may always read this much at a time */
    READ_ALL = SCRATCH_BYTES, /* those of one uid that have work read about this much together */
};

enum watch {
    WATCH_NOTHING,
    WATCH_ROOM,   /* output is left: for room in the socket */
    WATCH_HANGUP, /* nothing is read: for the peer to be gone for good */
};

/* There may be thousands that are idle: what few need is made when it is needed. */
struct connection {
    struct loop *loop;
    struct task task;
    struct event readable;
    struct event *other; /* what `watch` says; NULL until it is needed */
    struct event *timer; /* for an unfinished value, or the end of lingering */
    int fd;
    uint32_t readable_since; /* the turn in which that was reported */
    uint8_t watch;           /* enum watch */
    bool is_reading;         /* the event loop reports when it is readable */
    bool is_readable;        /* it has reported that, and C has not been read empty since */
    bool is_lingering;       /* all is sent; what still comes is thrown away */
    bool is_deaf;    /* the peer takes no more output: what it sent is executed all the same, but
                        for what only reads */
    bool has_left;   /* the peer is gone for good, and deaf: what it sent is executed first */
    bool is_broken;  /* the peer is gone */
    bool is_overdue; /* the time for its unfinished value is over */
    struct session session;
};

struct connection *connection_of(struct outbox *outbox)
{
    return container_of(outbox, struct connection, session.outbox);
}

static struct connection *of_session(struct session *s)
{
    return container_of(s, struct connection, session);
}

void connection_add_work(struct connection *c)
{
    turns_add(&c->loop->turns, &c->task);
}

/* --- reading */

/* How much C may read at a time, by how many others of its uid have work. */
static size_t read_share(const struct connection *c)
{
    /* Those that wait for their answers to leave may have more work. */
    size_t share = READ_ALL / (turns_others(&c->task) + c->loop->answered.n + 1);
    return share < READ_MIN ? READ_MIN : share > SCRATCH_BYTES ? SCRATCH_BYTES : share;
}

/* The peer takes no more output. */
static void hear_no_more(struct connection *c)
{
    c->is_deaf = true;
    session_nobody_hears(&c->session);
}

static void look_whether_left(struct connection *c)
{
    struct pollfd p = {.fd = c->fd};
    if (c->has_left || poll(&p, 1, 0) < 1 || !(p.revents & (POLLHUP | POLLERR)))
        return;
    c->has_left = true;
    hear_no_more(c);
}

static void receive(struct connection *c)
{
    size_t share = read_share(c);
    ssize_t n = recv(c->fd, c->loop->scratch, share, MSG_DONTWAIT);
    c->is_readable = n == (ssize_t)share;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    session_mark_active(&c->session);
    if (n > 0 && !c->is_lingering)
        session_receive(&c->session, c->loop->scratch, (size_t)n);
    else if (n == 0 && !c->is_lingering)
        session_end_input(&c->session);
    else if (n <= 0)
        c->is_broken = true;
}

/* --- events: they are noted, and dealt with when it is the uid's turn */

static void on_other(evutil_socket_t fd, short what, void *context)
{
    struct connection *c = context;
    (void)fd;
    (void)what;
    if (c->watch == WATCH_HANGUP) {
        look_whether_left(c);
        if (!c->has_left)
            return;
    }
    connection_add_work(c);
}

static int set_watch(struct connection *c, enum watch watch)
{
    if (watch == c->watch)
        return 0;
    if (c->other)
        event_del(c->other);
    c->watch = WATCH_NOTHING;
    if (watch == WATCH_NOTHING)
        return 0;
    /* Level-triggered it would fire for ever on a half-closed socket; an edge shows the close of
     * the other half. */
    short what = watch == WATCH_ROOM ? EV_WRITE | EV_PERSIST : EV_WRITE | EV_PERSIST | EV_ET;
    if (!c->other)
        c->other = event_new(c->loop->base, c->fd, what, on_other, c);
    else if (event_assign(c->other, c->loop->base, c->fd, what, on_other, c) < 0)
        return -ENOMEM;
    if (!c->other || event_add(c->other, NULL) < 0)
        return -ENOMEM;
    c->watch = (uint8_t)watch;
    return 0;
}

static int set_reading(struct connection *c, bool reading)
{
    if (reading == c->is_reading)
        return 0;
    if ((reading ? event_add(&c->readable, NULL) : event_del(&c->readable)) < 0)
        return -ENOMEM;
    c->is_reading = reading;
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct connection *c = context;
    (void)fd;
    (void)what;
    if (!c->is_readable) {
        c->is_readable = true;
        c->readable_since = c->loop->n_turns;
        c->loop->n_readable++;
    } else if (c->readable_since != c->loop->n_turns && set_reading(c, false) < 0) {
        c->is_broken = true; /* it should not be reported again until it is read */
    }
    connection_add_work(c);
}

void connections_read_last(struct loop *loop)
{
    struct session *s;
    TAILQ_FOREACH (s, &loop->rpc->sessions, of_rpc) {
        struct connection *c = of_session(s);
        if (!c->is_reading || c->is_lingering)
            continue;
        c->is_readable = true;
        connection_add_work(c);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct connection *c = context;
    (void)fd;
    (void)what;
    if (c->is_lingering)
        c->is_broken = true;
    else
        c->is_overdue = true;
    connection_add_work(c);
}

static int set_timer(struct connection *c, int ms)
{
    const struct timeval after = {ms / 1000, (ms % 1000) * 1000};
    if (!c->timer)
        c->timer = evtimer_new(c->loop->base, on_timer, c);
    return c->timer && evtimer_add(c->timer, &after) == 0 ? 0 : -ENOMEM;
}

static void clear_timer(struct connection *c)
{
    if (c->timer)
        event_free(c->timer);
    c->timer = NULL;
}

/* --- opening and closing */

static void serve(struct task *task);

int connection_open(struct loop *loop, int fd, const struct caller *caller)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return -ENOMEM;
    }
    c->loop = loop;
    c->fd = fd;
    if (event_assign(&c->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, c) < 0 ||
        turns_join(&loop->turns, &c->task, caller->uid, serve) < 0 || set_reading(c, true) < 0) {
        turns_leave(&loop->turns, &c->task);
        free(c);
        close(fd);
        return -ENOMEM;
    }
    session_init(&c->session, loop->rpc, caller);
    return 0;
}

/* C is closed, or is served again. */
static void forget_answers(struct answered *answered, const struct connection *c)
{
    for (size_t i = 0; i < answered->n; i++)
        if (answered->connections[i] == c)
            answered->connections[i] = NULL;
}

static void close_connection(struct connection *c)
{
    struct loop *loop = c->loop;
    struct account *account = c->session.caller.account;
    forget_answers(&loop->answered, c);
    /* What the end of the session sets going may still look at it. */
    session_deinit(&c->session);
    turns_leave(&loop->turns, &c->task);
    event_del(&c->readable);
    if (c->other)
        event_free(c->other);
    clear_timer(c);
    quota_give(&loop->rpc->core->quota, account, QUOTA_CONNECTIONS, 1);
    close(c->fd);
    free(c);
}

/* The longest idle plain connection of the uid that has most, if that has no fewer connections than
 * OF: nobody makes room for a uid that has more. */
static struct connection *find_room(const struct loop *loop, const struct account *of)
{
    struct session *s, *best = NULL;
    uint64_t most = quota_used_by(of, QUOTA_CONNECTIONS);
    TAILQ_FOREACH (s, &loop->rpc->sessions, of_rpc) {
        uint64_t has = quota_used_by(s->caller.account, QUOTA_CONNECTIONS);
        if ((best ? has > most : has >= most) && session_is_plain(s)) {
            best = s;
            most = has;
        }
    }
    return best ? of_session(best) : NULL;
}

bool connections_make_room(struct loop *loop, uint32_t uid)
{
    struct connection *c = find_room(loop, quota_find(&loop->rpc->core->quota, uid));
    if (!c)
        return false;
    close_connection(c);
    return true;
}

/* --- a turn */

static bool has_unsent(const struct connection *c)
{
    return outbox_unsent(&c->session.outbox) > 0 && !c->is_broken;
}

bool connections_have_more(const struct loop *loop)
{
    struct session *s;
    TAILQ_FOREACH (s, &loop->rpc->sessions, of_rpc) {
        const struct connection *c = of_session(s);
        if (has_unsent(c) || (!c->is_broken && session_has_work(s)))
            return true;
    }
    return false;
}

static void send_output(struct connection *c)
{
    struct outbox *outbox = &c->session.outbox;
    while (has_unsent(c)) {
        ssize_t n =
            send(c->fd, outbox_bytes(outbox), outbox_unsent(outbox), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EPIPE && errno != ECONNRESET) {
            c->is_broken = true; /* an answer is lost, which the peer must learn */
            return;
        }
        if (n < 0) {
            hear_no_more(c);
            outbox_took(outbox, outbox_unsent(outbox));
            break;
        }
        outbox_took(outbox, (size_t)n);
    }
    outbox->is_backed_up = has_unsent(c);
    outbox_tidy(outbox, session_has_work(&c->session));
}

static void linger(struct connection *c)
{
    c->is_lingering = true;
    shutdown(c->fd, SHUT_WR);
    if (set_timer(c, LINGER_MS) < 0)
        c->is_broken = true;
}

/* The value that was begun must be finished in time; the timer runs from its first byte. */
static int watch_value(struct connection *c)
{
    /* While nothing is read the peer cannot finish it. */
    bool unfinished = session_is_unfinished(&c->session) && session_wants_input(&c->session);
    bool anew = session_took_value(&c->session);
    if (c->is_lingering)
        return 0;
    if (!unfinished)
        clear_timer(c);
    else if (!c->timer || anew)
        return set_timer(c, MESSAGE_TIMEOUT_MS);
    return 0;
}

static int watch_for_more(struct connection *c)
{
    struct session *s = &c->session;
    bool reads = c->is_lingering || session_wants_input(s);
    /* The watch for a hang-up and reading are never set at the same time: what libevent leaves of
     * two events of one descriptor, of which one has edges, has edges as well. */
    int r = reads ? 0 : set_reading(c, false);
    c->is_readable = c->is_readable && reads; /* else it will be reported again */
    if (r == 0)
        r = set_watch(c, has_unsent(c) ? WATCH_ROOM : reads ? WATCH_NOTHING : WATCH_HANGUP);
    if (r == 0 && reads && !c->is_readable)
        r = set_reading(c, true);
    return r == 0 ? watch_value(c) : r;
}

/* Sends, and sets up what C waits for next. C may be closed after that, or have more work. */
static void send_and_watch(struct connection *c)
{
    struct session *s = &c->session;
    if (!c->is_broken && !s->outbox.is_cut_off)
        send_output(c);
    if (!c->is_broken && !s->outbox.is_cut_off && !has_unsent(c) && session_is_over(s) &&
        !c->is_lingering) {
        if (s->outbox.is_closed && !s->input_ended && !c->is_deaf)
            linger(c);
        else
            c->is_broken = true;
    }
    /* Nobody reads the answers and events that are still to come. */
    if (c->is_deaf && s->input_ended && !session_has_work(s))
        c->is_broken = true;
    if (c->is_broken || s->outbox.is_cut_off || watch_for_more(c) < 0) {
        close_connection(c);
        return;
    }
    /* One that is readable still may be reported no more: it was stopped, and can read now. */
    if (session_has_work(s) || c->is_readable || (c->has_left && waits_are_pending(s->waits)))
        connection_add_work(c);
}

/* What it received earlier comes first, and then what there is to be read. */
static void go_on(struct connection *c)
{
    struct session *s = &c->session;
    if (c->has_left)
        session_give_up_waiting(s);
    if (c->is_broken)
        return;
    session_continue(s);
    if (c->is_overdue && session_is_unfinished(s))
        session_value_overdue(s);
    c->is_overdue = false;
    if (!c->is_readable || !(c->is_lingering || session_wants_input(s)))
        return;
    if (work_share_is_over(&c->loop->rpc->core->work))
        connection_add_work(c);
    else
        receive(c);
}

static void serve(struct task *task)
{
    struct connection *c = container_of(task, struct connection, task);
    struct answered *answered = &c->loop->answered;
    /* It might be closed when they leave, which they may while it is served. */
    forget_answers(answered, c);
    if (answered->n == ANSWERED_MAX)
        work_tell(&c->loop->rpc->core->work);
    log_hold();
    answered->is_serving = true;
    go_on(c);
    answered->is_serving = false;
    answered->connections[answered->n++] = c;
}

bool connections_send_answers(struct loop *loop)
{
    struct answered *answered = &loop->answered;
    if (answered->n == 0)
        return false;
    if (core_turn_is_due(loop->rpc->core))
        rpc_publish(loop->rpc); /* before anybody hears that it is done */
    log_release();              /* whoever reads an answer finds its line in the log */
    if (answered->is_serving)
        log_hold();
    for (size_t i = 0; i < answered->n; i++)
        if (answered->connections[i])
            send_and_watch(answered->connections[i]);
    answered->n = 0;
    return true;
}

void connections_close(struct loop *loop)
{
    while (!TAILQ_EMPTY(&loop->rpc->sessions))
        close_connection(of_session(TAILQ_FIRST(&loop->rpc->sessions)));
}
