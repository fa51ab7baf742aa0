/* SPDX-License-Identifier: MIT */
/*
 * libshmd's calls that do not wait, one scenario a run: `pipelined SCENARIO`. test_pipelined.py
 * provides the daemon, or a server that misbehaves.
 */
#include <errno.h>
#include <poll.h>

#include "tests/integration/library_checks.h"

enum { MANY = 500 };

/* What the functions below were told, in order. */
static struct {
    int n, codes[3 * MANY];
    uint64_t sizes[3 * MANY];
    int created, failures;
} told;

static void note(struct shmd *handle, const struct shmd_answer *answer, void *data)
{
    CHECK(handle == shmd && data == &told);
    CHECK((answer->code == 0) == (answer->segment != NULL));
    CHECK((answer->code == 0) == (answer->failure == NULL));
    if (answer->failure) {
        CHECK(answer->failure->code == answer->code && answer->failure->message[0]);
        told.failures++;
    }
    told.codes[told.n] = answer->code;
    told.sizes[told.n] = answer->segment ? answer->segment->size : 0;
    told.created += answer->created;
    told.n++;
}

static void process_all(void)
{
    while (shmd_unanswered(shmd) > 0)
        CHECK(shmd_process(shmd, -1) > 0);
}

/* More requests than a socket takes, and their answers in order. */
static void scenario_many(void)
{
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "many/%d", i);
        const struct shmd_create_options options = {.name = name, .size = (uint64_t)i + 1};
        WORKS(shmd_send_create(shmd, &options, note, &told));
        WORKS(shmd_send_stat(shmd, SHMD_NAME(name), note, &told));
        WORKS(shmd_send_remove(shmd, SHMD_NAME(name), 0, note, &told));
    }
    CHECK(shmd_unanswered(shmd) == 3 * MANY && told.n == 0);
    process_all();
    CHECK(told.n == 3 * MANY && told.created == MANY && told.failures == 0);
    for (int i = 0; i < told.n; i++)
        CHECK(told.codes[i] == 0 && told.sizes[i] == (uint64_t)i / 3 + 1);
    GIVES(0, shmd_process(shmd, -1));
    GIVES(0, shmd_process(shmd, 0));
}

/* Every call of the kind, with what it asks for and what it is refused. */
static void scenario_each(void)
{
    const struct shmd_create_options options = {
        .name = "x", .size = 7, .lifetime = SHMD_LIFETIME_PROCESS, .not_ready = true};
    const struct shmd_set_options mode = {.has_mode = true, .mode = 0640};
    WORKS(shmd_send_create(shmd, &options, note, &told));
    WORKS(shmd_send_ready(shmd, SHMD_NAME("x"), note, &told));
    WORKS(shmd_send_set(shmd, SHMD_NAME("x"), &mode, note, &told));
    WORKS(shmd_send_release(shmd, SHMD_NAME("y"), note, &told));
    WORKS(shmd_send_hold(shmd, SHMD_NAME("x"), note, &told));
    WORKS(shmd_send_wait(shmd, "x", 0, SHMD_WAIT_HOLD, note, &told));
    WORKS(shmd_send_stat(shmd, SHMD_NAME("x"), NULL, NULL));
    WORKS(shmd_send_release(shmd, SHMD_NAME("x"), note, &told));
    WORKS(shmd_send_remove(shmd, SHMD_NAME("x"), SHMD_REMOVE_IF_UNATTACHED, note, &told));
    process_all();
    CHECK(told.n == 8 && told.created == 1 && told.failures == 2);
    CHECK(told.codes[3] == SHMD_ERROR_NO_SUCH_SEGMENT);
    /* Its last holder has let go of it. */
    CHECK(told.codes[6] == 0 && told.codes[7] == SHMD_ERROR_NO_SUCH_SEGMENT);
    GIVES(-EINVAL, shmd_send_remove(shmd, SHMD_NAME("x"), 1U << 20, note, &told));
    GIVES(-EINVAL, shmd_send_wait(shmd, "x", 0, 1U << 20, note, &told));
    CHECK(shmd_unanswered(shmd) == 0 && told.n == 8);
}

/* DATA: what was told, as a text. */
static void note_kind(struct shmd *handle, const struct shmd_answer *answer, void *data)
{
    char *kinds = data;
    size_t len = strlen(kinds);
    CHECK(handle == shmd && !answer->segment && !answer->created);
    CHECK(!answer->page || (answer->page->count == 1 && !answer->page->cursor));
    CHECK(!answer->info || answer->info->pid > 0);
    snprintf(kinds + len, 64 - len, "%s%s%s%s", answer->page ? "page " : "",
             answer->info ? "info " : "", answer->event_serial ? "event_serial " : "",
             answer->code ? answer->failure->name : "");
    if (answer->page)
        CHECK(answer->page->segments[0]->size == 7);
}

/* Those that answer with no segment. */
static void scenario_others(void)
{
    char kinds[64] = "";
    struct shmd_event *event;
    const struct shmd_create_options x = {.name = "o/x", .size = 7}, y = {.name = "y", .size = 8};
    const struct shmd_list_options prefix = {.prefix = "o/"};
    const struct shmd_subscribe_options events = {.prefix = "o/", .kinds = SHMD_EVENT_REMOVED};
    WORKS(shmd_create(shmd, &x, NULL, NULL));
    WORKS(shmd_create(shmd, &y, NULL, NULL));
    WORKS(shmd_send_info(shmd, note_kind, kinds));
    WORKS(shmd_send_list_page(shmd, &prefix, NULL, note_kind, kinds));
    WORKS(shmd_send_list_page(shmd, &prefix, "no cursor", note_kind, kinds));
    WORKS(shmd_send_subscribe(shmd, &events, note_kind, kinds));
    WORKS(shmd_send_list_page(shmd, NULL, NULL, NULL, NULL));
    process_all();
    CHECK(strcmp(kinds, "info page org.varlink.service.InvalidParameterevent_serial ") == 0);
    WORKS(shmd_remove(shmd, SHMD_NAME("y"), 0, NULL));
    WORKS(shmd_remove(shmd, SHMD_NAME("o/x"), 0, NULL));
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_REMOVED && strcmp(event->segment->name, "o/x") == 0);
    shmd_event_free(event);
}

/* A wait is answered when it is over; what was sent behind it is not held up. */
static void scenario_wait(void)
{
    WORKS(shmd_send_wait(shmd, "later", -1, 0, note, &told));
    WORKS(shmd_send_stat(shmd, SHMD_NAME("none"), note, &told));
    CHECK(shmd_process(shmd, -1) == 1);
    CHECK(told.n == 1 && told.codes[0] == SHMD_ERROR_NO_SUCH_SEGMENT);
    GIVES(0, shmd_process(shmd, 20));
    CHECK(shmd_unanswered(shmd) == 1);
    const struct shmd_create_options options = {.name = "later", .size = 9};
    WORKS(shmd_send_create(shmd, &options, note, &told));
    process_all();
    CHECK(told.n == 3 && told.sizes[1] == 9 && told.sizes[2] == 9);
}

/* Calls that wait, and events, between those that do not. */
static void scenario_mixed(void)
{
    struct shmd_segment *segment = NULL;
    struct shmd_event *event = NULL;
    const struct shmd_create_options options = {.name = "a", .size = 5};
    WORKS(shmd_subscribe(shmd, NULL, NULL));
    WORKS(shmd_send_create(shmd, &options, note, &told));
    WORKS(shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    WORKS(shmd_stat(shmd, SHMD_NAME("a"), &segment)); /* behind the create */
    CHECK(segment->size == 5 && told.n == 0 && shmd_unanswered(shmd) == 2);
    shmd_segment_free(segment);
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_CREATED && told.n == 0);
    shmd_event_free(event);
    CHECK(shmd_process(shmd, 0) == 2);
    CHECK(told.n == 2 && told.created == 1 && told.sizes[1] == 5);
    WORKS(shmd_send_remove(shmd, SHMD_NAME("a"), 0, note, &told));
    process_all();
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_REMOVED);
    shmd_event_free(event);
}

/* DATA: how many more. */
static void send_more(struct shmd *handle, const struct shmd_answer *answer, void *data)
{
    int *more = data;
    struct shmd_segment *segment = NULL;
    CHECK(answer->code == 0);
    told.n++;
    if ((*more)-- > 0) {
        WORKS(shmd_send_stat(handle, SHMD_NAME("a"), send_more, more));
        WORKS(shmd_stat(handle, SHMD_NAME("a"), &segment));
        shmd_segment_free(segment);
    }
}

/* What is told may send, and wait. */
static void scenario_from_within(void)
{
    int more = 50;
    const struct shmd_create_options options = {.name = "a", .size = 5};
    WORKS(shmd_send_create(shmd, &options, send_more, &more));
    process_all();
    CHECK(told.n == 51);
}

/* An event loop: it sends while there is room, and never waits but in poll(). */
static void scenario_poll(void)
{
    const struct shmd_create_options options = {.name = "a", .size = 5};
    WORKS(shmd_create(shmd, &options, NULL, NULL));
    for (int i = 0; i < 3 * MANY; i++)
        WORKS(shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    while (shmd_unanswered(shmd) > 0) {
        struct pollfd fd = {.fd = shmd_fd(shmd), .events = shmd_poll_events(shmd)};
        CHECK(poll(&fd, 1, -1) == 1);
        CHECK(shmd_process(shmd, 0) >= 0);
    }
    CHECK(told.n == 3 * MANY && told.failures == 0);
    CHECK(shmd_poll_events(shmd) == POLLIN);
}

/* The server closes. What is unanswered is told so, once, and nothing can be sent any more. */
static void scenario_lost(void)
{
    for (int i = 0; i < 3; i++)
        WORKS(shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    GIVES(-ECONNRESET, shmd_process(shmd, -1));
    CHECK(told.n == 3 && told.failures == 3 && shmd_unanswered(shmd) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(told.codes[i] == -ECONNRESET);
    CHECK(shmd_last_failure(shmd)->code == -ECONNRESET);
    GIVES(-ENOTCONN, shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    GIVES(0, shmd_process(shmd, -1));
    CHECK(told.n == 3);
}

/* It says why before it closes: that is what each is told. */
static void scenario_turned_away(void)
{
    for (int i = 0; i < 3; i++)
        WORKS(shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    GIVES(-ECONNRESET, shmd_process(shmd, -1));
    CHECK(told.n == 3);
    for (int i = 0; i < 3; i++)
        CHECK(told.codes[i] == SHMD_ERROR_QUOTA_EXCEEDED);
    CHECK(strstr(shmd_last_failure(shmd)->parameters, "max_connections_per_uid"));
}

/* It answers what is no answer. */
static void scenario_nonsense(void)
{
    WORKS(shmd_send_stat(shmd, SHMD_NAME("a"), note, &told));
    GIVES(-EBADMSG, shmd_process(shmd, -1));
    CHECK(told.n == 1 && told.codes[0] == -EBADMSG);
}

/* What is not told is freed with the handle. */
static void scenario_unanswered(void)
{
    for (int i = 0; i < 3; i++)
        WORKS(shmd_send_wait(shmd, "none", -1, 0, note, &told));
    GIVES(0, shmd_process(shmd, 0));
    CHECK(shmd_unanswered(shmd) == 3 && told.n == 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"many", scenario_many},
    {"each", scenario_each},
    {"others", scenario_others},
    {"wait", scenario_wait},
    {"mixed", scenario_mixed},
    {"from_within", scenario_from_within},
    {"poll", scenario_poll},
    {"lost", scenario_lost},
    {"turned_away", scenario_turned_away},
    {"nonsense", scenario_nonsense},
    {"unanswered", scenario_unanswered},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        /* By SHMD_SOCKET. */
        WORKS(shmd_connect(NULL, -1, &shmd));
        scenarios[i].run();
        shmd_disconnect(shmd);
        return 0;
    }
    fputs("which scenario?\n", stderr);
    return 2;
}
