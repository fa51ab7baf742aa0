/* SPDX-License-Identifier: MIT */
/*
 * libshmd in use, one scenario a run: `library SCENARIO [ARGUMENTS]`. It ends with 0, or
 * tells which line did not hold. Only the installed header is used here; test_library.py provides
 * the daemon, or a server that misbehaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/library_checks.h"

static struct shmd_segment *create(const struct shmd_create_options *options)
{
    struct shmd_segment *segment = NULL;
    WORKS(shmd_create(shmd, options, &segment, NULL));
    return segment;
}

/* --- with the daemon */

static void scenario_create(char **args)
{
    (void)args;
    const struct shmd_label labels[] = {{"app", "video \"x\""}, {"b", ""}};
    const struct shmd_create_options options = {.name = "frames",
                                                .size = 5000,
                                                .has_mode = true,
                                                .mode = 0640,
                                                .labels = labels,
                                                .n_labels = 2,
                                                .lifetime = SHMD_LIFETIME_PROCESS,
                                                .ttl_ms = 3600000};
    struct shmd_segment *segment = NULL, *again = NULL;
    bool created = false;
    WORKS(shmd_create(shmd, &options, &segment, &created));
    CHECK(created && !shmd_last_failure(shmd));
    CHECK(strncmp(shmd_last_result(shmd), "{\"segment\":{", 12) == 0);
    IS_TEXT(segment->name, "frames");
    CHECK(segment->serial > 0 && segment->size == 5000 && segment->mode == 0640);
    CHECK(segment->uid == getuid() && segment->gid == getgid());
    CHECK(segment->creator.pid == getpid() && segment->creator.uid == getuid());
    IS_TEXT(segment->creator.comm, "library");
    CHECK(segment->state == SHMD_STATE_READY && segment->lifetime == SHMD_LIFETIME_PROCESS);
    CHECK(segment->managed && !segment->declared && segment->n_drift == 0 && !segment->locked);
    CHECK(segment->n_labels == 2);
    IS_TEXT(segment->labels[0].value, "video \"x\"");
    CHECK(segment->created_at_ms > 0 && segment->expires_at_ms > segment->created_at_ms);
    CHECK(segment->holders == 1 && !segment->holder_list);

    WORKS(shmd_create(shmd, &options, &again, &created));
    CHECK(!created && again->serial == segment->serial);
    shmd_segment_free(again);

    WORKS(shmd_stat(shmd, SHMD_SHMID(segment->shmid), &again));
    CHECK(again->holders == 1 && again->holder_list && again->holder_list[0].pid == getpid());
    IS_TEXT(again->holder_list[0].comm, "library");
    shmd_segment_free(again);

    WORKS(shmd_remove(shmd, SHMD_SERIAL(segment->serial), 0, &again));
    CHECK(again->state == SHMD_STATE_REMOVED);
    shmd_segment_free(again);
    shmd_segment_free(segment);
    shmd_segment_free(NULL);
}

static void scenario_set(char **args)
{
    (void)args;
    const struct shmd_label label = {"k", "v"};
    struct shmd_segment *segment = create(&(struct shmd_create_options){
        .name = "a", .size = 100, .key = 0xC0FFEE, .labels = &label, .n_labels = 1});
    struct shmd_segment *changed = NULL;
    WORKS(shmd_set(shmd, SHMD_KEY(0xC0FFEE),
                   &(struct shmd_set_options){.new_name = "b", .has_mode = true, .mode = 0400},
                   &changed));
    IS_TEXT(changed->name, "b");
    CHECK(changed->mode == 0400 && changed->n_labels == 1 && changed->expires_at_ms == 0);
    shmd_segment_free(changed);
    WORKS(
        shmd_set(shmd, SHMD_NAME("b"),
                 &(struct shmd_set_options){.has_labels = true, .has_ttl = true, .ttl_ms = 100000},
                 &changed));
    CHECK(changed->n_labels == 0 && changed->expires_at_ms > 0);
    shmd_segment_free(changed);
    WORKS(shmd_set(shmd, SHMD_NAME("b"), &(struct shmd_set_options){.has_ttl = true}, &changed));
    CHECK(changed->expires_at_ms == 0);
    shmd_segment_free(changed);
    /* An output that is not wanted. */
    WORKS(shmd_set(shmd, SHMD_NAME("b"), &(struct shmd_set_options){.new_name = "c"}, NULL));
    WORKS(shmd_stat(shmd, SHMD_NAME("c"), NULL));
    shmd_segment_free(segment);
}

static const char *last_message(void)
{
    return shmd_last_failure(shmd)->message;
}

/* For these there is no word that could be sent. */
static void check_numbers_that_are_none(void)
{
    static const char lifetimes[] =
        "there is no lifetime 9: it is one of 1 (persistent), 2 (process), 3 "
        "(connection), 4 (attached), or 0 when none is given";
    const enum shmd_lifetime none = (enum shmd_lifetime)9;
    GIVES(-EINVAL,
          shmd_create(shmd, &(struct shmd_create_options){.name = "y", .size = 1, .lifetime = none},
                      NULL, NULL));
    CHECK(strcmp(last_message(), lifetimes) == 0);
    GIVES(-EINVAL,
          shmd_set(shmd, SHMD_NAME("x"), &(struct shmd_set_options){.lifetime = none}, NULL));
    CHECK(strcmp(last_message(), lifetimes) == 0);
    GIVES(-EINVAL,
          shmd_adopt(shmd,
                     &(struct shmd_adopt_options){.has_shmid = true, .shmid = 0, .lifetime = none},
                     NULL));
    CHECK(strcmp(last_message(), lifetimes) == 0);
    GIVES(-EINVAL, shmd_list_page(shmd, &(struct shmd_list_options){.lifetime = none}, NULL, NULL));
    CHECK(strcmp(last_message(), lifetimes) == 0);
    GIVES(-EINVAL, shmd_list_page(shmd, &(struct shmd_list_options){.state = (enum shmd_state)5},
                                  NULL, NULL));
    CHECK(strstr(last_message(), "there is no state 5: it is one of 1 (initialising), "));
    GIVES(-EINVAL, shmd_list_page(shmd, &(struct shmd_list_options){.scope = (enum shmd_scope) - 1},
                                  NULL, NULL));
    CHECK(strstr(last_message(), "there is no scope -1: it is one of 1 (managed), "));
    GIVES(-EINVAL, shmd_create(shmd,
                               &(struct shmd_create_options){
                                   .name = "y", .size = 1, .lifetime = SHMD_LIFETIME_UNKNOWN},
                               NULL, NULL));
    CHECK(strstr(last_message(), "there is no lifetime 65535: "));
}

static void scenario_refusals(char **args)
{
    (void)args;
    struct shmd_segment *untouched = (struct shmd_segment *)&shmd, *segment = untouched;
    bool created = true;
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_stat(shmd, SHMD_NAME("nothing"), &segment));
    CHECK(segment == untouched && !shmd_last_result(shmd));
    const struct shmd_failure *failure = shmd_last_failure(shmd);
    CHECK(failure && failure->code == SHMD_ERROR_NO_SUCH_SEGMENT);
    IS_TEXT(failure->name, "io.shmd.NoSuchSegment");
    IS_TEXT(failure->parameters, "{\"name\":\"nothing\"}");
    CHECK(strlen(failure->message) > 10);
    char text[256] = "", cut[8];
    size_t length = shmd_failure_text(shmd, text, sizeof(text));
    CHECK(length == strlen(text) && strncmp(text, failure->message, strlen(failure->message)) == 0);
    CHECK(strstr(text, " (name: nothing)"));
    CHECK(shmd_failure_text(shmd, NULL, 0) == length);
    CHECK(shmd_failure_text(shmd, cut, sizeof(cut)) == length);
    CHECK(strlen(cut) == sizeof(cut) - 1 && strncmp(cut, text, strlen(cut)) == 0);

    GIVES(SHMD_ERROR_INVALID_PARAMETER,
          shmd_create(shmd, &(struct shmd_create_options){.name = "no good"}, &segment, &created));
    CHECK(segment == untouched && created);
    CHECK(strstr(shmd_last_failure(shmd)->parameters, "\"parameter\":"));
    /* The sentence has all of them, also the one with quotation marks. */
    GIVES(SHMD_ERROR_INVALID_PARAMETER,
          shmd_call(shmd, "create", "{\"name\":\"q\",\"size\":1,\"mode\":644}", NULL));
    CHECK(strstr(shmd_last_failure(shmd)->parameters, "\\\""));
    shmd_failure_text(shmd, text, sizeof(text));
    CHECK(strcmp(text, shmd_last_failure(shmd)->message) == 0);
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_stat(shmd, &(struct shmd_target){.name = NULL}, NULL));
    GIVES(SHMD_ERROR_NOT_HOLDABLE,
          (shmd_segment_free(create(&(struct shmd_create_options){.name = "x", .size = 1})),
           shmd_hold(shmd, SHMD_NAME("x"), NULL)));
    GIVES(SHMD_ERROR_SEGMENT_EXISTS,
          shmd_create(shmd,
                      &(struct shmd_create_options){.name = "x", .size = 1, .exclusive = true},
                      NULL, NULL));
    GIVES(SHMD_ERROR_SIZE_MISMATCH,
          shmd_create(shmd, &(struct shmd_create_options){.name = "x", .size = 2}, NULL, NULL));
    GIVES(SHMD_ERROR_STALE_SEGMENT,
          shmd_stat(shmd, &(struct shmd_target){.name = "x", .serial = 999}, NULL));
    GIVES(SHMD_ERROR_TIMED_OUT, shmd_wait(shmd, "nothing", 0, NULL));

    struct shmd_label many[17];
    for (size_t i = 0; i < 17; i++)
        many[i] = (struct shmd_label){"k", "v"};
    GIVES(-E2BIG, shmd_create(shmd,
                              &(struct shmd_create_options){
                                  .name = "y", .size = 1, .labels = many, .n_labels = 17},
                              NULL, NULL));
    CHECK(shmd_last_failure(shmd)->code == -E2BIG && !shmd_last_failure(shmd)->name);
    check_numbers_that_are_none();
    /* A refusal does not spoil the connection. */
    WORKS(shmd_stat(shmd, SHMD_NAME("x"), NULL));
    CHECK(!shmd_last_failure(shmd));
    CHECK(shmd_failure_text(shmd, text, sizeof(text)) == 0 && !*text);
}

static int count_segment(const struct shmd_segment *segment, void *data)
{
    int *count = data;
    CHECK(segment->size == 64);
    /* The handle may be used here. */
    WORKS(shmd_stat(shmd, SHMD_SERIAL(segment->serial), NULL));
    return ++*count == 7 ? 42 : 0;
}

static int count_all(const struct shmd_segment *segment, void *data)
{
    (void)segment;
    ++*(int *)data;
    return 0;
}

static void scenario_list(char **args)
{
    (void)args;
    char name[32];
    for (int i = 0; i < 10; i++) {
        const struct shmd_label label = {"parity", i % 2 ? "odd" : "even"};
        snprintf(name, sizeof(name), "list/%d", i);
        shmd_segment_free(create(&(struct shmd_create_options){
            .name = name, .size = 64, .labels = &label, .n_labels = 1}));
    }
    struct shmd_page *page = NULL, *next = NULL;
    const struct shmd_list_options four = {.prefix = "list/", .page_size = 4};
    WORKS(shmd_list_page(shmd, &four, NULL, &page));
    CHECK(page->count == 4 && page->cursor);
    WORKS(shmd_list_page(shmd, &four, page->cursor, &next));
    CHECK(next->count == 4 && next->segments[0]->serial != page->segments[0]->serial);
    shmd_page_free(page);
    WORKS(shmd_list_page(shmd, &four, next->cursor, &page));
    CHECK(page->count == 2 && !page->cursor);
    shmd_page_free(page);
    shmd_page_free(next);
    shmd_page_free(NULL);

    int count = 0;
    GIVES(42, shmd_list(shmd, &(struct shmd_list_options){.page_size = 3}, count_segment, &count));
    CHECK(count == 7);
    count = 0;
    WORKS(shmd_list(shmd, NULL, count_all, &count));
    CHECK(count == 10);
    count = 0;
    const struct shmd_label odd = {"parity", "odd"};
    WORKS(shmd_list(shmd, &(struct shmd_list_options){.labels = &odd, .n_labels = 1}, count_all,
                    &count));
    CHECK(count == 5);
    count = 0;
    WORKS(shmd_list(shmd, &(struct shmd_list_options){.scope = SHMD_SCOPE_FOREIGN}, count_all,
                    &count));
    CHECK(count == 0);
    GIVES(SHMD_ERROR_INVALID_PARAMETER,
          shmd_list(shmd, &(struct shmd_list_options){.page_size = 5000}, count_all, &count));
}

static void scenario_attach(char **args)
{
    (void)args;
    struct shmd_segment *segment =
        create(&(struct shmd_create_options){.name = "mem", .size = 4096, .not_ready = true});
    CHECK(segment->state == SHMD_STATE_INITIALISING);
    void *address = NULL, *view = NULL;
    WORKS(shmd_attach(shmd, segment, 0, &address));
    strcpy(address, "hello");
    WORKS(shmd_ready(shmd, SHMD_NAME("mem"), NULL));

    struct shmd_segment *waited = NULL;
    WORKS(shmd_wait(shmd, "mem", -1, &waited));
    CHECK(waited->state == SHMD_STATE_READY && waited->nattch == 1);
    WORKS(shmd_attach(shmd, waited, SHMD_ATTACH_READONLY, &view));
    CHECK(strcmp(view, "hello") == 0 && view != address);
    WORKS(shmd_detach(view));
    GIVES(-EINVAL, shmd_detach(view));

    GIVES(SHMD_ERROR_SEGMENT_BUSY,
          shmd_remove(shmd, SHMD_NAME("mem"), SHMD_REMOVE_IF_UNATTACHED, NULL));
    shmd_segment_free(waited);
    WORKS(shmd_remove(shmd, SHMD_NAME("mem"), 0, &waited));
    CHECK(waited->state == SHMD_STATE_REMOVING);
    WORKS(shmd_detach(address));
    GIVES(-EINVAL, shmd_attach(shmd, waited, 0, &address));
    CHECK(strstr(shmd_last_failure(shmd)->message, "gone"));
    shmd_segment_free(waited);
    shmd_segment_free(segment);
}

/* ARGS: how many attachments belong to processes that this user must not see. */
static void scenario_attachments(char **args)
{
    uint64_t strangers = strtoull(args[0], NULL, 10);
    struct shmd_segment *segment = NULL, *other = NULL;
    struct shmd_attachments *all = NULL;
    void *one = NULL, *two = NULL;
    WORKS(shmd_stat(shmd, SHMD_NAME("shared"), &segment));
    WORKS(shmd_attachments(shmd, segment, &all));
    CHECK(all->count == 0 && all->unseen == strangers);
    shmd_attachments_free(all);

    WORKS(shmd_attach(shmd, segment, SHMD_ATTACH_READONLY, &one));
    shmd_segment_free(segment);
    WORKS(shmd_stat(shmd, SHMD_NAME("shared"), &segment));
    WORKS(shmd_attachments(shmd, segment, &all));
    CHECK(all->count == 1 && all->unseen == strangers);
    const struct shmd_attachment *row = all->processes[0];
    CHECK(row->shmid == segment->shmid && row->pid == getpid() && row->uid == geteuid());
    CHECK(row->count == 1 && row->read_only);
    IS_TEXT(row->comm, "library");
    CHECK(!row->unit || strstr(row->cgroup, row->unit));
    shmd_attachments_free(all);

    /* A second attachment, a child that inherits both, and another segment. */
    WORKS(shmd_attach(shmd, segment, 0, &two));
    int lifeline[2];
    WORKS(pipe(lifeline));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char end;
        close(lifeline[1]);
        _exit(read(lifeline[0], &end, 1) != 0);
    }
    other = create(&(struct shmd_create_options){.name = "other", .size = 1});
    shmd_segment_free(segment);
    WORKS(shmd_stat(shmd, SHMD_NAME("shared"), &segment));
    CHECK(segment->nattch == strangers + 4);
    WORKS(shmd_attachments(shmd, segment, &all));
    CHECK(all->count == 2 && all->unseen == strangers);
    for (size_t i = 0; i < 2; i++)
        CHECK(all->processes[i]->count == 2 && !all->processes[i]->read_only);
    CHECK((all->processes[0]->pid == child) != (all->processes[1]->pid == child));
    shmd_attachments_free(all);
    WORKS(shmd_attachments(NULL, NULL, &all)); /* of all segments, and no daemon is asked */
    CHECK(all->count == 2 && all->unseen == 0 && all->processes[1]->shmid == segment->shmid);
    shmd_attachments_free(all);
    WORKS(shmd_attachments(shmd, other, &all));
    CHECK(all->count == 0 && all->unseen == 0);
    shmd_attachments_free(all);
    shmd_attachments_free(NULL);
    WORKS(shmd_attachments(shmd, other, NULL));
    close(lifeline[1]);
    close(lifeline[0]);
    CHECK(waitpid(child, NULL, 0) == child);
    WORKS(shmd_detach(one));
    WORKS(shmd_detach(two));
    shmd_segment_free(segment);
    shmd_segment_free(other);
}

/* ARGS: the id of the daemon's segment, and also of one in this process's namespace. */
static void scenario_attach_with(char **args)
{
    (void)args;
    struct shmd_segment *segment =
        create(&(struct shmd_create_options){.name = "frames", .size = 3 << 20});
    static const uint64_t huge = 2 << 20;
    char *first, *second = NULL;
    struct shmd_attach_options options = {.alignment = huge};
    for (int i = 0; i < 3; i++) {
        WORKS(shmd_attach_with(shmd, segment, &options, (void **)&first));
        CHECK((uintptr_t)first % huge == 0);
        WORKS(shmd_detach(first));
    }
    WORKS(shmd_attach_with(shmd, segment, &options, (void **)&first));
    first[1] = 'x';
    /* What is mapped is not replaced; where there is room again it comes to the same place. */
    options = (struct shmd_attach_options){.address = first, .flags = SHMD_ATTACH_READONLY};
    GIVES(-EINVAL, shmd_attach_with(shmd, segment, &options, (void **)&second));
    CHECK(!second && first[1] == 'x');
    WORKS(shmd_detach(first));
    WORKS(shmd_attach_with(shmd, segment, &options, (void **)&second));
    CHECK(second == first && second[1] == 'x');
    WORKS(shmd_detach(second));
    second = NULL;
    options.address = first + 1;
    GIVES(-EINVAL, shmd_attach_with(shmd, segment, &options, (void **)&second));
    options = (struct shmd_attach_options){.alignment = 3};
    GIVES(-EINVAL, shmd_attach_with(shmd, segment, &options, (void **)&second));
    options = (struct shmd_attach_options){.alignment = 1ULL << 62};
    GIVES(-ENOMEM, shmd_attach_with(shmd, segment, &options, (void **)&second));
    options = (struct shmd_attach_options){.alignment = huge, .address = first};
    GIVES(-EINVAL, shmd_attach_with(shmd, segment, &options, (void **)&second));
    CHECK(!second);
    shmd_segment_free(segment);
}

static void scenario_namespace(char **args)
{
    int shmid = atoi(args[0]);
    void *address = NULL;
    struct shmd_segment *segment = NULL;
    WORKS(shmd_stat(shmd, SHMD_NAME("theirs"), &segment));
    CHECK(segment->shmid == shmid);
    GIVES(-EXDEV, shmd_attachments(shmd, segment, NULL));
    GIVES(-EXDEV, shmd_attach(shmd, segment, 0, &address));
    CHECK(!address && strstr(shmd_last_failure(shmd)->message, "namespace"));
    GIVES(-EXDEV,
          shmd_adopt(shmd, &(struct shmd_adopt_options){.has_shmid = true, .shmid = shmid}, NULL));
    shmd_segment_free(segment);
}

static void scenario_hold(char **args)
{
    (void)args;
    struct shmd_segment *segment = create(
        &(struct shmd_create_options){.name = "h", .size = 1, .lifetime = SHMD_LIFETIME_PROCESS});
    struct shmd *other = NULL;
    /* Another connection of the same process is the same holder. */
    WORKS(shmd_connect(NULL, -1, &other));
    struct shmd_segment *held = NULL;
    WORKS(shmd_hold(other, SHMD_NAME("h"), &held));
    CHECK(held->holders == 1);
    shmd_segment_free(held);
    shmd_disconnect(other);
    /* The last holder's release ends it. */
    WORKS(shmd_release(shmd, SHMD_NAME("h"), &held));
    CHECK(held->holders == 0);
    shmd_segment_free(held);
    shmd_segment_free(segment);
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_stat(shmd, SHMD_NAME("h"), NULL));
}

/* A segment that exists already, is found and held in one step. */
static void scenario_find(char **args)
{
    (void)args;
    struct shmd_create_options options = {
        .name = "h", .size = 1, .lifetime = SHMD_LIFETIME_PROCESS, .no_hold = true};
    struct shmd_segment *segment = create(&options), *found = NULL;
    CHECK(segment->holders == 1); /* of a new one the maker is always a holder */
    pid_t child = fork();
    if (child == 0) {
        shmd = NULL;
        WORKS(shmd_connect(NULL, -1, &shmd));
        shmd_segment_free(segment);
        segment = create(&options);
        CHECK(segment->holders == 1);
        WORKS(shmd_wait_trusted(shmd, "h", 0, 0, NULL, &found));
        CHECK(found->holders == 1);
        shmd_segment_free(found);
        WORKS(shmd_wait_trusted(shmd, "h", 0, SHMD_WAIT_HOLD, NULL, &found));
        CHECK(found->holders == 2);
        WORKS(shmd_release(shmd, SHMD_NAME("h"), NULL));
        shmd_segment_free(segment);
        options.no_hold = false;
        segment = create(&options);
        CHECK(segment->holders == 2);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    GIVES(-EINVAL, shmd_wait_trusted(shmd, "h", 0, 2, NULL, NULL));
    CHECK(strstr(shmd_last_failure(shmd)->message, "unknown flags 0x2"));
    GIVES(SHMD_ERROR_TIMED_OUT, shmd_wait_trusted(shmd, "none", 1, 0, NULL, NULL));
    shmd_segment_free(segment);
}

static int fill_letters(void *address, uint64_t size, void *data)
{
    memset(address, *(const char *)data, (size_t)size);
    return 0;
}

static int fail_to_fill(void *address, uint64_t size, void *data)
{
    (void)address;
    (void)size;
    (void)data;
    return -EBADF;
}

static void check_content(const char *name, const char *content)
{
    void *address;
    struct shmd_segment *segment;
    WORKS(shmd_attach_name(shmd, name, SHMD_ATTACH_READONLY, NULL, &segment, &address));
    CHECK(memcmp(address, content, (size_t)segment->size) == 0);
    WORKS(shmd_detach(address));
    shmd_segment_free(segment);
}

static void scenario_filled(char **args)
{
    (void)args;
    struct shmd_create_options options = {
        .name = "f", .size = 4, .has_mode = true, .mode = 0400, .idle_ttl_ms = 3600000};
    const struct shmd_content bytes = {.bytes = "old", .length = 3};
    char letter = 'n';
    const struct shmd_content letters = {.fill = fill_letters, .data = &letter},
                              nothing = {.fill = fail_to_fill};
    struct shmd_segment *first, *second;
    bool created = false;
    WORKS(shmd_create_filled(shmd, &options, &bytes, &first, &created));
    CHECK(created && first->state == SHMD_STATE_READY && first->mode == 0400);
    check_content("f", "old\0");

    WORKS(shmd_create_filled(shmd, &options, &letters, &second, &created));
    CHECK(!created && second->serial == first->serial);
    check_content("f", "old\0");
    shmd_segment_free(second);

    options.replace = true;
    GIVES(-EBADF, shmd_create_filled(shmd, &options, &nothing, NULL, NULL));
    CHECK(strstr(shmd_last_failure(shmd)->message, "could not be filled"));
    check_content("f", "old\0");
    options.size = 8;
    WORKS(shmd_create_filled(shmd, &options, &letters, &second, &created));
    CHECK(created && second->serial != first->serial);
    check_content("f", "nnnnnnnn");
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_stat(shmd, SHMD_SERIAL(first->serial), NULL));
    shmd_segment_free(first);
    int count = 0;
    WORKS(shmd_list(shmd, NULL, count_all, &count));
    CHECK(count == 1);

    options.lifetime = SHMD_LIFETIME_ATTACHED;
    GIVES(-EINVAL, shmd_create_filled(shmd, &options, &bytes, NULL, NULL));
    options.lifetime = SHMD_LIFETIME_PERSISTENT;
    options.size = 2;
    GIVES(-EINVAL, shmd_create_filled(shmd, &options, &bytes, NULL, NULL));
    options.not_ready = true;
    options.size = 4;
    GIVES(-EINVAL, shmd_create_filled(shmd, &options, &bytes, NULL, NULL));
    shmd_segment_free(second);
}

/* A segment whose name passes to another at shmd_ready(). */
static void scenario_replace(char **args)
{
    (void)args;
    struct shmd_create_options options = {.name = "r", .size = 1};
    struct shmd_segment *old = create(&options), *new, *found;
    options.replace = options.not_ready = true;
    new = create(&options);
    CHECK(!new->name &&new->replaces == old->serial);
    WORKS(shmd_ready(shmd, SHMD_SERIAL(new->serial), &found));
    IS_TEXT(found->name, "r");
    CHECK(found->replaces == 0);
    shmd_segment_free(found);
    void *address;
    WORKS(shmd_attach(shmd, new, 0, &address));
    WORKS(shmd_remove(shmd, SHMD_NAME("r"), 0, &found));
    CHECK(!found->name && found->state == SHMD_STATE_REMOVING);
    IS_TEXT(found->former_name, "r");
    shmd_segment_free(found);
    GIVES(-EINVAL, shmd_remove(shmd, SHMD_NAME("r"), 2, NULL));
    GIVES(-EINVAL, shmd_attach(shmd, new, 2, &address));
    CHECK(strstr(shmd_last_failure(shmd)->message, "unknown flags 0x2"));
    CHECK(shmd_reason_word(SHMD_REASON_REPLACED));
    IS_TEXT(shmd_reason_word(SHMD_REASON_REPLACED), "replaced");
    shmd_segment_free(old);
    shmd_segment_free(new);
}

static void scenario_disown(char **args)
{
    (void)args;
    struct shmd_segment *segment = create(&(struct shmd_create_options){.name = "d", .size = 1});
    struct shmd_segment *left = NULL;
    WORKS(shmd_set(shmd, SHMD_NAME("d"),
                   &(struct shmd_set_options){.has_idle_ttl = true, .idle_ttl_ms = 3600000}, NULL));
    WORKS(shmd_disown(shmd, SHMD_NAME("d"), &left));
    CHECK(!left->managed && left->serial == 0 && left->shmid == segment->shmid);
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_stat(shmd, SHMD_NAME("d"), NULL));
    CHECK(shmctl(segment->shmid, IPC_RMID, NULL) == 0);
    shmd_segment_free(left);
    shmd_segment_free(segment);
}

/* Who adopts a segment is its holder, and stays so over a new connection. */
static void scenario_adopted_is_held(char **args)
{
    (void)args;
    struct shmd *other;
    struct shmd_segment *adopted = NULL, *seen = NULL;
    const struct shmd_adopt_options options = {.has_shmid = true,
                                               .shmid = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600),
                                               .lifetime = SHMD_LIFETIME_CONNECTION};
    CHECK(options.shmid >= 0);
    WORKS(shmd_adopt(shmd, &options, &adopted));
    CHECK(adopted->holders == 1);
    WORKS(shmd_connect(NULL, -1, &other));
    GIVES(0, shmd_hold(other, SHMD_SERIAL(adopted->serial), NULL));
    WORKS(shmd_reconnect(shmd, -1));
    /* The old connection goes when the daemon has seen its end. */
    do {
        shmd_segment_free(seen);
        WORKS(shmd_stat(shmd, SHMD_SERIAL(adopted->serial), &seen));
    } while (seen->holders > 2);
    CHECK(seen->holders == 2);
    shmd_segment_free(seen);
    WORKS(shmd_remove(shmd, SHMD_SERIAL(adopted->serial), 0, NULL));
    shmd_segment_free(adopted);
    shmd_disconnect(other);
}

/* Reconnects, and looks when the daemon has seen the old connection's end. What is made by text is
 * not known to the library, which does not hold it again. */
static int reconnect_for_good(void)
{
    WORKS(shmd_call(shmd, "create", "{\"name\":\"old\",\"size\":1,\"lifetime\":\"connection\"}",
                    NULL));
    int r = shmd_reconnect(shmd, -1);
    char message[256] = "";
    if (r != 0)
        snprintf(message, sizeof(message), "%s", shmd_last_failure(shmd)->message);
    while (shmd_stat(shmd, SHMD_NAME("old"), NULL) == 0)
        ;
    if (r != 0)
        CHECK(strncmp(message, "the segment with serial ", 24) == 0);
    CHECK(r == SHMD_ERROR_NO_SUCH_SEGMENT ? !!strstr(message, " is gone")
                                          : !strstr(message, " is gone"));
    return r;
}

static void note_code(struct shmd *handle, const struct shmd_answer *answer, void *data)
{
    (void)handle;
    *(int *)data = answer->code;
}

/* Who gives a segment a lifetime with holders is the first, and stays so over a new connection. */
static void scenario_changed_is_held(char **args)
{
    (void)args;
    const struct shmd_set_options connection = {.lifetime = SHMD_LIFETIME_CONNECTION};
    const struct shmd_set_options persistent = {.lifetime = SHMD_LIFETIME_PERSISTENT};
    static const char *const names[] = {"called", "sent"};
    struct shmd_segment *seen;
    struct shmd *other;
    int code = 1;
    WORKS(shmd_connect(NULL, -1, &other));
    for (size_t i = 0; i < 2; i++)
        shmd_segment_free(create(&(struct shmd_create_options){.name = names[i], .size = 1}));
    WORKS(shmd_set(shmd, SHMD_NAME("called"), &connection, NULL));
    WORKS(shmd_send_set(shmd, SHMD_NAME("sent"), &connection, note_code, &code));
    CHECK(shmd_process(shmd, -1) == 1 && code == 0);
    for (size_t i = 0; i < 2; i++)
        GIVES(0, shmd_hold(other, SHMD_NAME(names[i]), NULL));
    GIVES(0, reconnect_for_good());
    for (size_t i = 0; i < 2; i++) {
        WORKS(shmd_stat(shmd, SHMD_NAME(names[i]), &seen));
        CHECK(seen->holders == 2);
        shmd_segment_free(seen);
    }
    /* Nobody holds it any more, and so nothing is missing. */
    code = 1;
    WORKS(shmd_set(shmd, SHMD_NAME("called"), &persistent, NULL));
    WORKS(shmd_send_set(shmd, SHMD_NAME("sent"), &persistent, note_code, &code));
    CHECK(shmd_process(shmd, -1) == 1 && code == 0);
    GIVES(0, reconnect_for_good());
    for (size_t i = 0; i < 2; i++)
        WORKS(shmd_remove(shmd, SHMD_NAME(names[i]), 0, NULL));
    shmd_disconnect(other);
}

/* What cannot be held again is told with the true reason, and once. */
static void scenario_not_held_again(char **args)
{
    (void)args;
    const struct shmd_set_options persistent = {.lifetime = SHMD_LIFETIME_PERSISTENT};
    const struct shmd_create_options options = {
        .name = "d", .size = 1, .lifetime = SHMD_LIFETIME_PROCESS};
    struct shmd *other;
    struct shmd_segment *segment = create(&options);
    WORKS(shmd_connect(NULL, -1, &other));
    WORKS(shmd_disown(shmd, SHMD_NAME("d"), NULL));
    GIVES(0, reconnect_for_good());
    CHECK(shmctl(segment->shmid, IPC_RMID, NULL) == 0);
    shmd_segment_free(segment);

    segment = create(&options);
    GIVES(0, shmd_set(other, SHMD_NAME("d"), &persistent, NULL));
    GIVES(SHMD_ERROR_NOT_HOLDABLE, reconnect_for_good());
    GIVES(0, reconnect_for_good());
    GIVES(0, shmd_remove(other, SHMD_NAME("d"), 0, NULL));
    shmd_segment_free(segment);

    segment = create(&options);
    GIVES(0, shmd_remove(other, SHMD_NAME("d"), 0, NULL));
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, reconnect_for_good());
    GIVES(0, reconnect_for_good());
    shmd_segment_free(segment);
    shmd_disconnect(other);
}

/* ARGS: a stranger's uid, who has a segment "theirs". The caller has one: "mine". */
static void scenario_trust(char **args)
{
    uint32_t uid = (uint32_t)atoi(args[0]);
    const struct shmd_trust any = {.any_owner = true}, owner = {.has_owner = true, .owner = uid},
                            another = {.has_owner = true, .owner = uid + 1};
    const struct shmd_trust *const refused[] = {NULL, &another}, *const accepted[] = {&any, &owner};
    struct shmd_segment *mine = create(&(struct shmd_create_options){.name = "mine", .size = 1});
    char told[32];
    void *address;
    snprintf(told, sizeof(told), "\"uid\":%u", uid);
    for (size_t i = 0; i < 2; i++) {
        GIVES(SHMD_ERROR_PERMISSION_DENIED,
              shmd_stat_trusted(shmd, SHMD_NAME("theirs"), refused[i], NULL));
        CHECK(strstr(shmd_last_failure(shmd)->parameters, told));
        snprintf(told, sizeof(told), "uid %u", uid);
        CHECK(strstr(shmd_last_failure(shmd)->message, told));
        snprintf(told, sizeof(told), "\"uid\":%u", uid);
        GIVES(SHMD_ERROR_PERMISSION_DENIED,
              shmd_hold_trusted(shmd, SHMD_NAME("theirs"), refused[i], NULL));
        GIVES(SHMD_ERROR_PERMISSION_DENIED,
              shmd_wait_trusted(shmd, "theirs", -1, SHMD_WAIT_HOLD, refused[i], NULL));
        GIVES(SHMD_ERROR_PERMISSION_DENIED,
              shmd_attach_name(shmd, "theirs", 0, refused[i], NULL, &address));
        WORKS(shmd_stat_trusted(shmd, SHMD_NAME("theirs"), accepted[i], NULL));
        WORKS(shmd_hold_trusted(shmd, SHMD_NAME("theirs"), accepted[i], NULL));
        WORKS(shmd_wait_trusted(shmd, "theirs", -1, SHMD_WAIT_HOLD, accepted[i], NULL));
        WORKS(shmd_attach_name(shmd, "theirs", 0, accepted[i], NULL, &address));
        WORKS(shmd_detach(address));
        /* The caller's own passes, whoever else is trusted. */
        WORKS(shmd_wait_trusted(shmd, "mine", -1, 0, refused[i], NULL));
        WORKS(shmd_wait_trusted(shmd, "mine", 0, 0, accepted[i], NULL));
        WORKS(shmd_attach_name(shmd, "mine", 0, accepted[i], NULL, &address));
        WORKS(shmd_detach(address));
    }
    GIVES(-EINVAL, shmd_attach_name(shmd, "mine", 2, NULL, NULL, &address));
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_attach_name(shmd, "none", 0, NULL, NULL, &address));
    shmd_segment_free(mine);
}

static struct shmid_ds kernel_stat(int shmid)
{
    struct shmid_ds ds;
    CHECK(shmctl(shmid, IPC_STAT, &ds) == 0);
    return ds;
}

/* ARGS: the daemon's uid. */
static void scenario_adopt(char **args)
{
    unsigned daemon_uid = (unsigned)atoi(args[0]);
    int shmid = shmget(0xBEEF, 4096, IPC_CREAT | IPC_EXCL | 0640);
    CHECK(shmid >= 0);
    struct shmd_segment *segment = NULL;
    GIVES(SHMD_ERROR_INVALID_PARAMETER,
          shmd_adopt(
              shmd,
              &(struct shmd_adopt_options){.has_shmid = true, .shmid = shmid, .name = "no good"},
              &segment));
    /* Refused: the owner is put back. */
    CHECK(kernel_stat(shmid).shm_perm.uid == getuid() && !segment);
    const struct shmd_label label = {"k", "v"};
    WORKS(shmd_adopt(
        shmd,
        &(struct shmd_adopt_options){.key = 0xBEEF, .name = "old", .labels = &label, .n_labels = 1},
        &segment));
    CHECK(segment->shmid == shmid && segment->managed && segment->key == 0xBEEF);
    CHECK(segment->mode == 0640 && segment->n_labels == 1);
    CHECK(kernel_stat(shmid).shm_perm.uid == daemon_uid);
    WORKS(shmd_remove(shmd, SHMD_NAME("old"), 0, NULL));
    CHECK(shmctl(shmid, IPC_STAT, &(struct shmid_ds){0}) < 0);
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT,
          shmd_adopt(shmd, &(struct shmd_adopt_options){.has_shmid = true, .shmid = shmid}, NULL));
    shmd_segment_free(segment);
}

/* ARGS: a segment of somebody else. */
static void scenario_adopt_strange(char **args)
{
    int shmid = atoi(args[0]);
    GIVES(SHMD_ERROR_PERMISSION_DENIED,
          shmd_adopt(shmd, &(struct shmd_adopt_options){.has_shmid = true, .shmid = shmid}, NULL));
}

static void scenario_events(char **args)
{
    (void)args;
    uint64_t newest = 12345;
    struct shmd_event *event = NULL;
    const struct shmd_subscribe_options options = {
        .prefix = "e/", .kinds = SHMD_EVENT_CREATED | SHMD_EVENT_REMOVED};
    shmd_segment_free(create(&(struct shmd_create_options){.name = "before", .size = 1}));
    const unsigned wrong[] = {SHMD_EVENT_GAP, SHMD_EVENT_UNKNOWN, SHMD_EVENT_ADOPTED << 1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const struct shmd_subscribe_options mistaken = {.kinds = wrong[i] | SHMD_EVENT_READY};
        GIVES(-EINVAL, shmd_subscribe(shmd, &mistaken, NULL));
        CHECK(strstr(shmd_last_failure(shmd)->message, "1 (created), 2 (ready), "));
        GIVES(-EINVAL, shmd_send_subscribe(shmd, &mistaken, NULL, NULL));
        CHECK(shmd_unanswered(shmd) == 0);
    }
    WORKS(shmd_subscribe(shmd, &options, &newest));
    GIVES(-ETIMEDOUT, shmd_next_event(shmd, 0, &event));
    CHECK(!event);
    /* The connection stays usable: events that come meanwhile are kept. */
    struct shmd_segment *segment = create(&(struct shmd_create_options){.name = "e/1", .size = 1});
    WORKS(shmd_set(shmd, SHMD_NAME("e/1"), &(struct shmd_set_options){.new_name = "e/2"}, NULL));
    shmd_segment_free(create(&(struct shmd_create_options){.name = "f/1", .size = 1}));
    WORKS(shmd_remove(shmd, SHMD_NAME("e/2"), 0, NULL));
    WORKS(shmd_info(shmd, NULL));

    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_CREATED && event->event_serial > newest && !event->reason);
    CHECK(event->at_ms > 0 && event->segment->serial == segment->serial);
    IS_TEXT(event->segment->name, "e/1");
    CHECK(*event->text == '{' && strstr(event->text, "\"kind\":\"created\""));
    shmd_event_free(event);
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_REMOVED && event->reason == SHMD_REASON_REQUEST);
    uint64_t last = event->event_serial;
    shmd_event_free(event);
    shmd_event_free(NULL);
    GIVES(-ETIMEDOUT, shmd_next_event(shmd, 0, &event));
    shmd_segment_free(segment);

    /* Once more from the beginning, on another connection. */
    struct shmd *other = NULL;
    WORKS(shmd_connect(NULL, -1, &other));
    WORKS(shmd_subscribe(other, &(struct shmd_subscribe_options){.has_after = true, .after = 0},
                         NULL));
    uint64_t seen = 0;
    while (seen < last) {
        WORKS(shmd_next_event(other, -1, &event));
        CHECK(event->kind != SHMD_EVENT_GAP && event->event_serial == seen + 1);
        seen = event->event_serial;
        shmd_event_free(event);
    }
    shmd_disconnect(other);
}

/* Waits until the test has done its part. */
static void say_and_wait(const char *what)
{
    printf("%s\n", what);
    fflush(stdout);
    CHECK(getchar() == '\n');
}

/* The test kills the daemon, does something while nobody serves, and starts it anew. */
static void scenario_reconnect(char **args)
{
    (void)args;
    struct shmd_segment *segment;
    struct shmd_event *event = NULL;
    uint64_t last;
    const struct shmd_subscribe_options kinds = {.prefix = "r/",
                                                 .kinds = SHMD_EVENT_CREATED | SHMD_EVENT_REMOVED};
    WORKS(shmd_subscribe(shmd, &kinds, NULL));
    /* It is held no more, and nothing is missing of it. */
    struct shmd_segment *changed = create(&(struct shmd_create_options){
        .name = "changed", .lifetime = SHMD_LIFETIME_PROCESS, .size = 1});
    WORKS(shmd_set(shmd, SHMD_NAME("changed"),
                   &(struct shmd_set_options){.lifetime = SHMD_LIFETIME_PERSISTENT}, NULL));
    shmd_segment_free(changed);
    struct shmd_segment *mine = create(&(struct shmd_create_options){
        .name = "r/mine", .size = 4096, .lifetime = SHMD_LIFETIME_PROCESS});
    struct shmd_segment *gone = create(&(struct shmd_create_options){
        .name = "r/gone", .size = 4096, .lifetime = SHMD_LIFETIME_CONNECTION});
    struct shmd_segment *released = create(&(struct shmd_create_options){
        .name = "r/released", .size = 4096, .lifetime = SHMD_LIFETIME_PROCESS});
    WORKS(shmd_release(shmd, SHMD_NAME("r/released"), NULL));
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_CREATED && event->segment->serial == mine->serial);
    last = event->event_serial;
    shmd_event_free(event);
    say_and_wait("kill it");
    CHECK(shmd_stat(shmd, SHMD_NAME("r/mine"), NULL) < 0);
    GIVES(-ECONNREFUSED, shmd_reconnect(shmd, 0));
    CHECK(strstr(shmd_last_failure(shmd)->message, "no daemon serves"));
    GIVES(-ENOTCONN, shmd_stat(shmd, SHMD_NAME("r/mine"), NULL));
    say_and_wait("start it");
    /* What was of lifetime `connection` went with it, and is named; the rest is held. */
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_reconnect(shmd, -1));
    char serial[32];
    snprintf(serial, sizeof(serial), "serial %llu ", (unsigned long long)gone->serial);
    CHECK(strstr(shmd_last_failure(shmd)->message, serial));
    WORKS(shmd_stat(shmd, SHMD_NAME("r/mine"), &segment));
    CHECK(segment->serial == mine->serial && segment->holders == 1);
    shmd_segment_free(segment);
    /* Now nothing that is held is missing; and what was subscribed to goes on. */
    WORKS(shmd_reconnect(shmd, -1));
    do {
        WORKS(shmd_next_event(shmd, -1, &event));
        CHECK(event->kind == SHMD_EVENT_GAP || event->event_serial > last);
        last = event->kind == SHMD_EVENT_GAP ? last : event->event_serial;
        if (event->kind == SHMD_EVENT_GAP) {
            shmd_event_free(event);
            event = NULL;
        }
    } while (!event);
    shmd_event_free(event);
    segment = create(&(struct shmd_create_options){.name = "r/new", .size = 1});
    uint64_t created = segment->serial;
    shmd_segment_free(segment);
    do {
        WORKS(shmd_next_event(shmd, -1, &event));
        CHECK(event->kind != SHMD_EVENT_GAP && event->event_serial > last);
        last = event->event_serial;
        serial[0] = event->kind == SHMD_EVENT_CREATED && event->segment->serial == created;
        shmd_event_free(event);
    } while (!serial[0]);
    shmd_segment_free(mine);
    shmd_segment_free(gone);
    shmd_segment_free(released);
}

static int fill_over_a_restart(void *address, uint64_t size, void *data)
{
    (void)data;
    memset(address, 1, (size_t)size);
    say_and_wait("restart it");
    return 0;
}

/* What shmd_create(3) says of a connection that is lost while the segment is filled. */
static void scenario_fill_restart(char **args)
{
    (void)args;
    struct shmd_segment *segment;
    const struct shmd_create_options options = {.name = "frames", .size = 4096};
    CHECK(shmd_create_filled(shmd, &options, &(struct shmd_content){.fill = fill_over_a_restart},
                             NULL, NULL) < 0);
    WORKS(shmd_reconnect(shmd, -1));
    WORKS(shmd_stat(shmd, SHMD_NAME("frames"), &segment));
    CHECK(segment->state == SHMD_STATE_INITIALISING);
    WORKS(shmd_remove(shmd, SHMD_SERIAL(segment->serial), 0, NULL));
    shmd_segment_free(segment);
    bool created = false;
    WORKS(shmd_create_filled(shmd, &options, NULL, NULL, &created));
    CHECK(created);
}

static void scenario_call(char **args)
{
    (void)args;
    char *reply = NULL;
    WORKS(shmd_call(shmd, "info", NULL, &reply));
    CHECK(strstr(reply, "\"result\":{\"version\":"));
    free(reply);
    reply = NULL;
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_call(shmd, "stat", "{\"name\":\"x\"}", &reply));
    CHECK(reply && strstr(reply, "\"error\":{\"code\":1,"));
    free(reply);
    reply = NULL;
    GIVES(-EINVAL, shmd_call(shmd, "stat", "{}}", &reply));
    CHECK(!reply);
    GIVES(SHMD_ERROR_METHOD_NOT_FOUND, shmd_call(shmd, "no such\"", NULL, NULL));
    /* Line feeds inside do not cut a request in two. */
    GIVES(SHMD_ERROR_NO_SUCH_SEGMENT, shmd_call(shmd, "stat", "\n{\n\"name\":\n\"x\"}\n", NULL));

    struct shmd_info *info = NULL;
    WORKS(shmd_info(shmd, &info));
    IS_TEXT(info->version, shmd_version());
    CHECK(info->protocol == 2 && info->pid > 0 && info->started_at_ms > 0);
    CHECK(info->kernel.shmmni > 0 && info->n_limits > 5 && strlen(info->boot_id) == 36);
    shmd_info_free(info);
    shmd_info_free(NULL);
}

/* --- with a server that misbehaves */

/* It takes the first request, answers it only together with the second. */
static void scenario_late(char **args)
{
    (void)args;
    struct shmd_segment *segment = NULL;
    shmd_set_timeout(shmd, 100);
    GIVES(-ETIMEDOUT, shmd_stat(shmd, SHMD_NAME("first"), &segment));
    CHECK(shmd_last_failure(shmd)->code == -ETIMEDOUT);
    shmd_set_timeout(shmd, -1);
    WORKS(shmd_stat(shmd, SHMD_NAME("second"), &segment));
    IS_TEXT(segment->name, "second");
    shmd_segment_free(segment);
}

static void count_delay(void *data)
{
    ++*(int *)data;
}

/* It answers after a while; then at once. */
static void scenario_delay(char **args)
{
    (void)args;
    int delays = 0;
    shmd_on_delay(shmd, 10, count_delay, &delays);
    WORKS(shmd_stat(shmd, SHMD_NAME("first"), NULL));
    CHECK(delays == 1);
    shmd_on_delay(shmd, 3600000, count_delay, &delays);
    WORKS(shmd_stat(shmd, SHMD_NAME("second"), NULL));
    CHECK(delays == 1);
    /* A wait for ever is no delay, and one with a timeout is due when that is over. */
    shmd_on_delay(shmd, 10, count_delay, &delays);
    WORKS(shmd_wait(shmd, "third", -1, NULL));
    WORKS(shmd_wait(shmd, "fourth", 3600000, NULL));
    CHECK(delays == 1);
}

/* It sends events without an end, or bytes. */
static void scenario_flood(char **args)
{
    (void)args;
    shmd_set_timeout(shmd, 100);
    GIVES(-ETIMEDOUT, shmd_stat(shmd, SHMD_NAME("x"), NULL));
    CHECK(shmd_last_failure(shmd)->code == -ETIMEDOUT);
}

/* Words that this library does not know. */
static void scenario_newer(char **args)
{
    (void)args;
    struct shmd_segment *segment = NULL;
    struct shmd_event *event = NULL;
    WORKS(shmd_stat(shmd, SHMD_NAME("x"), &segment));
    CHECK(segment->state == SHMD_STATE_UNKNOWN && segment->lifetime == SHMD_LIFETIME_UNKNOWN);
    IS_TEXT(shmd_state_word(segment->state), "unknown");
    IS_TEXT(shmd_lifetime_word(segment->lifetime), "unknown");
    shmd_segment_free(segment);
    WORKS(shmd_subscribe(shmd, NULL, NULL));
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_UNKNOWN && !event->segment && event->event_serial == 7);
    IS_TEXT(shmd_event_word(event->kind), "unknown");
    shmd_event_free(event);
    WORKS(shmd_next_event(shmd, -1, &event));
    CHECK(event->kind == SHMD_EVENT_REMOVED && event->reason == SHMD_REASON_UNKNOWN);
    IS_TEXT(shmd_reason_word(event->reason), "unknown");
    CHECK(event->segment->lifetime == 0 && !event->segment->managed);
    shmd_event_free(event);
    GIVES(SHMD_ERROR_UNKNOWN, shmd_stat(shmd, SHMD_NAME("x"), NULL));
}

/* It closes in the middle of its answer. */
static void scenario_closes(char **args)
{
    (void)args;
    GIVES(-ECONNRESET, shmd_stat(shmd, SHMD_NAME("x"), NULL));
    GIVES(-ENOTCONN, shmd_stat(shmd, SHMD_NAME("x"), NULL));
    CHECK(strlen(shmd_last_failure(shmd)->message) > 10);
    struct shmd_event *event = NULL;
    CHECK(shmd_next_event(shmd, -1, &event) < 0 && !event);
}

/* It says why it closes, before it reads anything. */
static void scenario_turned_away(char **args)
{
    (void)args;
    GIVES(SHMD_ERROR_QUOTA_EXCEEDED, shmd_stat(shmd, SHMD_NAME("x"), NULL));
    CHECK(strstr(shmd_last_failure(shmd)->parameters, "max_connections_per_uid"));
}

/* It answers what is no answer. ARGS: how often. */
static void scenario_nonsense(char **args)
{
    int n = atoi(args[0]);
    for (int i = 0; i < n; i++)
        GIVES(-EBADMSG, shmd_stat(shmd, SHMD_NAME("x"), NULL));
}

/* What its server refuses each time is in test_library.py. */
static void scenario_refused_for_now(char **args)
{
    (void)args;
    static const int outcomes[] = {
        SHMD_ERROR_SHUTTING_DOWN,
        SHMD_ERROR_QUOTA_EXCEEDED,
        SHMD_ERROR_QUOTA_EXCEEDED,
        0,
        SHMD_ERROR_QUOTA_EXCEEDED,
        SHMD_ERROR_NO_SUCH_SEGMENT,
        0,
    };
    shmd_segment_free(create(&(struct shmd_create_options){
        .name = "mine", .size = 1, .lifetime = SHMD_LIFETIME_PROCESS}));
    WORKS(shmd_subscribe(shmd, &(struct shmd_subscribe_options){0}, NULL));
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        GIVES(outcomes[i], shmd_reconnect(shmd, -1));
        if (i < 2)
            CHECK(
                strstr(shmd_last_failure(shmd)->message, "the next shmd_reconnect() tries again"));
    }
}

static void on_alarm(int signal)
{
    (void)signal;
}

/* Signals come all the time while it takes its time to answer, byte by byte. */
static void scenario_signals(char **args)
{
    (void)args;
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int timeout_ms = -1; timeout_ms < 1000000; timeout_ms += 1000000) {
        shmd_set_timeout(shmd, timeout_ms);
        WORKS(shmd_stat(shmd, SHMD_NAME("x"), NULL));
    }
    setitimer(ITIMER_REAL, &never, NULL);
}

/* --- without any */

static void scenario_path(char **args)
{
    char path[4096];
    WORKS(shmd_socket_path(path, sizeof(path)));
    puts(path);
    GIVES(-ENAMETOOLONG, shmd_socket_path(path, 2));
    WORKS(shmd_instance_path(SHMD_INSTANCE_SYSTEM, path, sizeof(path)));
    CHECK(strcmp(path, "/run/shmd/shmd.sock") == 0);
    GIVES(-ENAMETOOLONG, shmd_instance_path(SHMD_INSTANCE_SYSTEM, path, 19));
    GIVES(-EINVAL, shmd_instance_path((enum shmd_instance)0, path, sizeof(path)));
    GIVES(getenv("XDG_RUNTIME_DIR") ? 0 : -ENXIO,
          shmd_instance_path(SHMD_INSTANCE_USER, path, sizeof(path)));
    if (getenv("XDG_RUNTIME_DIR"))
        puts(path);
    (void)args;
}

static void scenario_streams_closed(char **args)
{
    (void)args;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    WORKS(shmd_connect(NULL, -1, &shmd));
    CHECK(shmd_fd(shmd) > STDERR_FILENO);
    CHECK(fcntl(shmd_fd(shmd), F_GETFD) == FD_CLOEXEC);
    GIVES(-1, fcntl(STDIN_FILENO, F_GETFD));
    GIVES(-1, fcntl(STDOUT_FILENO, F_GETFD));
    WORKS(shmd_info(shmd, NULL));
}

/* What is missing is an error, and its sentence says so. */
#define LACKS(what, call)                                                                          \
    do {                                                                                           \
        GIVES(-EINVAL, call);                                                                      \
        CHECK(shmd_last_failure(shmd) && strstr(shmd_last_failure(shmd)->message, what));          \
    } while (0)

static int count(const struct shmd_segment *segment, void *data)
{
    (void)segment;
    ++*(int *)data;
    return 0;
}

static void scenario_nulls(char **args)
{
    (void)args;
    const struct shmd_create_options named = {.name = "a", .size = 10};
    const struct shmd_label labels[] = {{"k", NULL}, {NULL, "v"}};
    struct shmd_segment *segment = create(&named);
    void *address = NULL;
    int n = 0, code = 0;

    /* Options: all zero. */
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_create(shmd, NULL, NULL, NULL));
    CHECK(strstr(shmd_last_failure(shmd)->message, "size"));
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_create_filled(shmd, NULL, NULL, NULL, NULL));
    WORKS(shmd_create_filled(shmd, &(struct shmd_create_options){.name = "b", .size = 1}, NULL,
                             NULL, NULL));
    WORKS(shmd_set(shmd, SHMD_NAME("a"), NULL, NULL));
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_adopt(shmd, NULL, NULL));
    WORKS(shmd_list(shmd, NULL, count, &n));
    CHECK(n == 2);
    WORKS(shmd_list_page(shmd, NULL, NULL, NULL));
    WORKS(shmd_subscribe(shmd, NULL, NULL));
    WORKS(shmd_attach_with(shmd, segment, NULL, &address));
    WORKS(shmd_detach(address));
    WORKS(shmd_send_create(shmd, NULL, note_code, &code));
    GIVES(1, shmd_process(shmd, -1));
    CHECK(code == SHMD_ERROR_INVALID_PARAMETER);

    /* A target, and whatever else a call is about. */
    LACKS("target is NULL", shmd_stat(shmd, NULL, NULL));
    LACKS("target is NULL", shmd_stat_trusted(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_set(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_remove(shmd, NULL, 0, NULL));
    LACKS("target is NULL", shmd_ready(shmd, NULL, NULL));
    LACKS("target is NULL", shmd_hold(shmd, NULL, NULL));
    LACKS("target is NULL", shmd_hold_trusted(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_release(shmd, NULL, NULL));
    LACKS("target is NULL", shmd_disown(shmd, NULL, NULL));
    LACKS("target is NULL", shmd_send_stat(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_send_set(shmd, NULL, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_send_remove(shmd, NULL, 0, NULL, NULL));
    LACKS("target is NULL", shmd_send_ready(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_send_hold(shmd, NULL, NULL, NULL));
    LACKS("target is NULL", shmd_send_release(shmd, NULL, NULL, NULL));
    LACKS("segment is NULL", shmd_attach(shmd, NULL, 0, &address));
    LACKS("ret_address is NULL", shmd_attach(shmd, segment, 0, NULL));
    LACKS("ret_address is NULL", shmd_attach_name(shmd, "a", 0, NULL, NULL, NULL));
    LACKS("function to call is NULL", shmd_list(shmd, NULL, NULL, NULL));
    LACKS("method is NULL", shmd_call(shmd, NULL, NULL, NULL));
    LACKS("labels is NULL",
          shmd_create(shmd, &(struct shmd_create_options){.n_labels = 1}, NULL, NULL));
    for (size_t i = 0; i < 2; i++)
        LACKS(i == 0 ? "value of a label is NULL" : "key of a label is NULL",
              shmd_list(shmd, &(struct shmd_list_options){.labels = &labels[i], .n_labels = 1},
                        count, &n));
    LACKS("its bytes are NULL",
          shmd_create_filled(shmd, &named, &(struct shmd_content){.length = 1}, NULL, NULL));
    GIVES(-EINVAL, shmd_detach(NULL));

    /* Names and the rest go to the daemon, which refuses what it needs. */
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_wait(shmd, NULL, 0, NULL));
    CHECK(shmd_failure_text(shmd, NULL, 100) > 10);
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_attach_name(shmd, NULL, 0, NULL, NULL, &address));
    GIVES(SHMD_ERROR_INVALID_PARAMETER, shmd_send_wait(shmd, NULL, 0, 0, note_code, &code) == 0
                                            ? (shmd_process(shmd, -1), code)
                                            : 0);
    WORKS(shmd_info(shmd, NULL));
    WORKS(shmd_metrics(shmd, NULL));
    WORKS(shmd_call(shmd, "info", NULL, NULL));

    GIVES(-EINVAL, shmd_connect(NULL, -1, NULL));
    GIVES(-EINVAL, shmd_socket_path(NULL, 100));
    GIVES(-EINVAL, shmd_instance_path(SHMD_INSTANCE_SYSTEM, NULL, 100));
    CHECK(shmd_unreachable_text(NULL, -ENOENT, NULL, 100) > 10);
    shmd_segment_free(segment);
    shmd_page_free(NULL);
    shmd_info_free(NULL);
    shmd_event_free(NULL);
    shmd_attachments_free(NULL);
}

static void scenario_connect_fails(char **args)
{
    struct shmd *none = NULL;
    GIVES(-ENOENT, shmd_connect("/nonexistent/shmd.sock", -1, &none));
    GIVES(-ECONNREFUSED, shmd_connect(args[0], -1, &none));
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    GIVES(-ENAMETOOLONG, shmd_connect(path, -1, &none));
    CHECK(!none);
    shmd_disconnect(NULL);
}

static void scenario_unreachable(char **args)
{
    (void)args;
    static const char why[] = "XDG_RUNTIME_DIR is not set";
    char text[512];
    unsetenv("SHMD_SOCKET");
    unsetenv("XDG_RUNTIME_DIR");
    CHECK(shmd_unreachable_text(NULL, -ECONNREFUSED, text, sizeof(text)) == strlen(text));
    CHECK((strstr(text, why) != NULL) == (geteuid() >= 1000));
    shmd_unreachable_text("/x", -ECONNREFUSED, text, sizeof(text));
    CHECK(!strstr(text, why));
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    shmd_unreachable_text(NULL, -ECONNREFUSED, text, sizeof(text));
    CHECK(!strstr(text, why));
    unsetenv("XDG_RUNTIME_DIR");
    setenv("SHMD_SOCKET", "/x", 1);
    shmd_unreachable_text(NULL, -ECONNREFUSED, text, sizeof(text));
    CHECK(!strstr(text, why));
}

/* ARGS: a socket that listens, and whose queue is full. */
static void scenario_connect_times_out(char **args)
{
    struct shmd *none = NULL;
    GIVES(-ETIMEDOUT, shmd_connect(args[0], 50, &none));
    GIVES(-ETIMEDOUT, shmd_connect(args[0], 0, &none));
    CHECK(!none);
}

static const struct {
    const char *name;
    bool connects;
    void (*run)(char **args);
} scenarios[] = {
    {"create", true, scenario_create},
    {"set", true, scenario_set},
    {"refusals", true, scenario_refusals},
    {"list", true, scenario_list},
    {"attach", true, scenario_attach},
    {"attach_with", true, scenario_attach_with},
    {"attachments", true, scenario_attachments},
    {"namespace", true, scenario_namespace},
    {"hold", true, scenario_hold},
    {"find", true, scenario_find},
    {"filled", true, scenario_filled},
    {"replace", true, scenario_replace},
    {"adopted_is_held", true, scenario_adopted_is_held},
    {"changed_is_held", true, scenario_changed_is_held},
    {"not_held_again", true, scenario_not_held_again},
    {"disown", true, scenario_disown},
    {"trust", true, scenario_trust},
    {"adopt", true, scenario_adopt},
    {"adopt_strange", true, scenario_adopt_strange},
    {"events", true, scenario_events},
    {"reconnect", true, scenario_reconnect},
    {"fill_restart", true, scenario_fill_restart},
    {"call", true, scenario_call},
    {"nulls", true, scenario_nulls},
    {"late", true, scenario_late},
    {"delay", true, scenario_delay},
    {"flood", true, scenario_flood},
    {"newer", true, scenario_newer},
    {"closes", true, scenario_closes},
    {"turned_away", true, scenario_turned_away},
    {"nonsense", true, scenario_nonsense},
    {"refused_for_now", true, scenario_refused_for_now},
    {"signals", true, scenario_signals},
    {"path", false, scenario_path},
    {"streams_closed", false, scenario_streams_closed},
    {"connect_fails", false, scenario_connect_fails},
    {"unreachable", false, scenario_unreachable},
    {"connect_times_out", false, scenario_connect_times_out},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        /* By SHMD_SOCKET. */
        if (scenarios[i].connects)
            WORKS(shmd_connect(NULL, -1, &shmd));
        scenarios[i].run(argv + 2);
        shmd_disconnect(shmd);
        return 0;
    }
    fputs("which scenario?\n", stderr);
    return 2;
}
