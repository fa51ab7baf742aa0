/* SPDX-License-Identifier: MIT */
/*
 * events: a line for each, written at once, until interrupted, or until --timeout is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"

enum { LATE_MS = 5000 }; /* how much later than --timeout the daemon's answer may come */

static void print_event(const struct shmd_event *event)
{
    char time[64], name[512];
    if (event->kind == SHMD_EVENT_GAP) {
        printf("gap: %" PRIu64 " events were missed\n", event->missed);
        return;
    }
    const struct shmd_segment *segment = event->segment;
    format_time(TIME_ISO, event->at_ms, time, sizeof(time));
    if (!segment) {
        printf("%s %-8s - event_serial=%" PRIu64 "\n", time, shmd_event_word(event->kind),
               event->event_serial);
        return;
    }
    plain_text(segment->name ? segment->name : "-", name, sizeof(name));
    printf("%s %-8s %s event_serial=%" PRIu64 " serial=%" PRIu64 " shmid=%d size=%" PRIu64
           " nattch=%" PRIu64 "%s%s\n",
           time, shmd_event_word(event->kind), name, event->event_serial, segment->serial,
           segment->shmid, segment->size, segment->nattch, event->reason ? " reason=" : "",
           event->reason ? shmd_reason_word(event->reason) : "");
}

/* What came last, for whoever goes on from here. */
static int report_end(const struct cli *cli, int r, uint64_t last)
{
    if (!cli_is_lost(r) || last == 0)
        return cli_failure(cli, r);
    char subject[64];
    snprintf(subject, sizeof(subject), "--after %" PRIu64 " goes on from here", last);
    return cli_failure_of(cli, subject, r);
}

/* Prints EVENT; 0 or an exit status. */
static int tell(const struct cli *cli, const struct shmd_event *event)
{
    if (cli_given(cli, OPT(JSON)))
        output_json_text(event->text, strlen(event->text));
    else
        print_event(event);
    return fflush(stdout) != 0 ? cli_output_failure(errno) : EXIT_OK;
}

/* --timeout is over: that is what was asked for, unless more events were. */
static int report_time(const struct cli *cli, uint64_t n)
{
    if (!cli_given(cli, OPT(COUNT)))
        return EXIT_OK;
    return cli_error(EXIT_TIMED_OUT, "the time is over: %" PRIu64 " of %" PRIu64 " events came", n,
                     cli->options.count);
}

/* As shmd_next_event(); -ETIMEDOUT as soon as --timeout is over, though more events may be there.
 */
static int next_event(struct cli *cli, struct shmd_event **ret)
{
    int left, r = -ETIMEDOUT;
    while (r == -ETIMEDOUT && (left = cli_time_left(cli)) != 0)
        r = shmd_next_event(cli->shmd, left, ret); /* the library takes less than a long timeout */
    return r;
}

int cmd_events(struct cli *cli)
{
    const struct options *o = &cli->options;
    const struct shmd_subscribe_options options = {
        .prefix = o->prefix,
        .kinds = o->kinds,
        .has_after = cli_given(cli, OPT(AFTER)),
        .after = o->after,
    };
    uint64_t last = 0;
    cli->grace_ms = LATE_MS;
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_subscribe(cli_ask(cli), &options, NULL);
    if (r == 0)
        cli_warn_of_ids(cli);
    cli->grace_ms = 0;
    cli_restart_timeout(cli); /* it is for the events */
    for (uint64_t n = 0; r == 0 && (o->count == 0 || n < o->count); n++) {
        struct shmd_event *event;
        r = next_event(cli, &event);
        if (r == -ETIMEDOUT)
            return report_time(cli, n);
        if (r != 0)
            break;
        int status = tell(cli, event);
        last = event->kind == SHMD_EVENT_GAP ? last : event->event_serial;
        shmd_event_free(event);
        if (status != EXIT_OK)
            return status;
    }
    return r != 0 ? report_end(cli, r, last) : EXIT_OK;
}
