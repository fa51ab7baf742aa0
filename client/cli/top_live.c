/* SPDX-License-Identifier: MIT */
#include "client/cli/top_live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/cli/top_draw.h"
#include "client/cli/top_terminal.h"

struct live {
    struct top_feed *feed;
    struct top_view *view;
    int signals;     /* signalfd */
    sigset_t before; /* the signals that were blocked */
    size_t n_rows, shown;
    int ended_by; /* a signal; 0: none */
    bool ends;
};

/* These come through a descriptor, so that nothing is interrupted anywhere. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

static int take_signals(struct live *live)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT(signals); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, &live->before);
    live->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return live->signals < 0 ? -errno : 0;
}

static void give_signals_back(struct live *live)
{
    if (live->signals >= 0)
        close(live->signals);
    sigprocmask(SIG_SETMASK, &live->before, NULL);
}

/* Does what NUMBER does to a program that does not know it. It comes back when it was stopped. */
static void suffer(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    (void)signal(number, SIG_DFL); /* ncurses has one of its own */
    (void)raise(number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void take_signal(struct live *live, int number)
{
    switch (number) {
    case SIGTSTP:
        top_terminal_leave();
        suffer(SIGTSTP);
        top_terminal_renew();
        break;
    case SIGCONT:
    case SIGWINCH: top_terminal_renew(); break;
    case SIGINT: live->ends = true; break; /* one way to quit */
    default:
        live->ended_by = number;
        live->ends = true;
        break;
    }
}

static void read_signals(struct live *live)
{
    struct signalfd_siginfo info;
    while (read(live->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_signal(live, (int)info.ssi_signo);
}

static void read_keys(struct live *live)
{
    const enum top_panel panel = live->view->panel;
    uint32_t key;
    while (!live->view->quits && (key = top_terminal_key()) != TOP_KEY_NONE)
        top_view_key(live->view, key, live->n_rows, live->shown);
    live->feed->wants_processes = live->view->panel == TOP_PROCESSES;
    if (live->view->panel != panel)
        top_feed_hurry(live->feed);
    live->ends |= live->view->quits;
}

static int draw(struct live *live)
{
    struct top_screen screen;
    int width, height;
    top_terminal_size(&width, &height);
    int r = top_draw(live->feed->model, live->view, width, height, &screen);
    if (r < 0)
        return r;
    live->n_rows = screen.n_rows;
    live->shown = screen.shown;
    top_terminal_show(&screen);
    top_screen_deinit(&screen);
    return 0;
}

/* Once around: 0 or -ENOMEM. */
static int turn(struct live *live)
{
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = live->signals, .events = POLLIN},
        {.fd = top_feed_fd(live->feed), .events = top_feed_poll_events(live->feed)},
    };
    (void)poll(fds, COUNT(fds), top_feed_wait_ms(live->feed));
    read_signals(live);
    bool is_new = fds[1].revents != 0 || fds[0].revents != 0;
    if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        live->ends = true; /* the terminal is gone */
    else if (fds[0].revents)
        read_keys(live);
    is_new |= top_feed_step(live->feed);
    if (live->feed->failed)
        return -ENOMEM;
    return is_new && !live->ends ? draw(live) : 0;
}

static int no_terminal(int r)
{
    const char *kind = getenv("TERM");
    if (r == -ENOTTY)
        return cli_error(EXIT_USAGE, "top needs a terminal; --once prints it as text");
    return cli_error(
        EXIT_REFUSED,
        "the terminal's kind is not known, or it cannot move its cursor (TERM is '%s'); "
        "--once prints it as text",
        kind ? kind : "");
}

int top_live(struct top_feed *feed, struct top_view *view)
{
    struct live live = {.feed = feed, .view = view, .signals = -1};
    int r = take_signals(&live);
    if (r < 0) {
        give_signals_back(&live);
        return cli_error(EXIT_REFUSED, "cannot take signals: %s", strerror(-r));
    }
    r = top_terminal_open();
    if (r < 0) {
        give_signals_back(&live);
        return no_terminal(r);
    }
    top_feed_start(feed);
    r = draw(&live);
    while (r == 0 && !live.ends)
        r = turn(&live);
    top_terminal_close();
    if (live.ended_by)
        suffer(live.ended_by);
    give_signals_back(&live);
    return r < 0 ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}
