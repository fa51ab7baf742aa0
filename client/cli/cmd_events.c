/* SPDX-License-Identifier: MIT */
/*
 * events: a line for each, written at once, until interrupted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"

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
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_subscribe(cli_ask(cli), &options, NULL);
    if (r == 0)
        cli_warn_of_ids(cli);
    for (uint64_t n = 0; r == 0 && (o->count == 0 || n < o->count); n++) {
        struct shmd_event *event;
        r = shmd_next_event(cli->shmd, -1, &event);
        if (r != 0)
            break;
        if (cli_given(cli, OPT(JSON)))
            output_json_text(event->text, strlen(event->text));
        else
            print_event(event);
        last = event->kind == SHMD_EVENT_GAP ? last : event->event_serial;
        shmd_event_free(event);
        /* The reader is gone: that is an end, not a failure. */
        if (fflush(stdout) != 0)
            return EXIT_REFUSED;
    }
    return r != 0 ? report_end(cli, r, last) : EXIT_OK;
}
