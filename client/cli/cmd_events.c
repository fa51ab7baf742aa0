/*
 * events: a line for each, written at once, until interrupted.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"

static void print_event(const struct shmd_event *event)
{
    char time[64];
    if (event->kind == SHMD_EVENT_GAP) {
        printf("gap: %" PRIu64 " events were missed\n", event->missed);
        return;
    }
    const struct shmd_segment *segment = event->segment;
    format_time(event->at_ms, time, sizeof(time));
    printf("%s %-8s %s event_serial=%" PRIu64 " serial=%" PRIu64 " shmid=%d size=%" PRIu64
           " nattch=%" PRIu64 "%s%s\n",
           time, shmd_event_word(event->kind), segment->name ? segment->name : "-",
           event->event_serial, segment->serial, segment->shmid, segment->size, segment->nattch,
           event->reason ? " reason=" : "", event->reason ? shmd_reason_word(event->reason) : "");
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
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_subscribe(cli->shmd, &options, NULL);
    for (uint64_t n = 0; r == 0 && (o->count == 0 || n < o->count); n++) {
        struct shmd_event *event;
        r = shmd_next_event(cli->shmd, -1, &event);
        if (r != 0)
            break;
        if (cli_given(cli, OPT(JSON)))
            puts(event->text);
        else
            print_event(event);
        shmd_event_free(event);
        /* Nobody reads any more: that is an end, not a failure. */
        if (fflush(stdout) != 0)
            return EXIT_REFUSED;
    }
    return r != 0 ? cli_failure(cli, r) : EXIT_OK;
}
