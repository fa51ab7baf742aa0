/* SPDX-License-Identifier: MIT */
/*
 * gc: lists segments that nobody needs any more, and with --remove removes those that may go, with
 * the caller's own rights. What may go is decided in orphans.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/gc.h"

/* --- what is there */

static int64_t idle_ms_of(const struct kernel_segment *s)
{
    return ((int64_t)time(NULL) - orphan_idle_since(s)) * 1000;
}

/* With 0 everything is old enough, whatever the clock says. */
static bool is_old_enough(int64_t idle_ms, int64_t wanted_ms)
{
    return wanted_ms == 0 || idle_ms >= wanted_ms;
}

static void add_candidate(struct gc *gc, const struct kernel_segment *s, enum gc_class class)
{
    gc->candidates[gc->count++] =
        (struct candidate){.segment = s, .outcome = {.class = class, .result = GC_KEPT}};
}

static enum gc_class class_of(const struct gc *gc, const struct kernel_segment *s)
{
    return orphan_judge(s, process_look(s->cpid), &gc->knowledge);
}

static void find_many(struct gc *gc)
{
    const struct cli *cli = gc->cli;
    for (size_t i = 0; i < gc->segments.count; i++) {
        const struct kernel_segment *s = &gc->segments.rows[i];
        enum gc_class class = class_of(gc, s);
        if (class >= GC_CLASSES_LISTED || (cli_given(cli, OPT(UID)) && s->uid != cli->options.uid))
            continue;
        if (is_old_enough(idle_ms_of(s), gc->older_than_ms))
            add_candidate(gc, s, class);
        else
            gc->younger++;
    }
}

static int find_one(struct gc *gc)
{
    const struct cli *cli = gc->cli;
    const struct options *o = &cli->options;
    bool by_shmid = cli_given(cli, OPT(SHMID));
    for (size_t i = 0; i < gc->segments.count; i++) {
        const struct kernel_segment *s = &gc->segments.rows[i];
        if (by_shmid ? s->shmid == o->shmid : s->key == o->key) {
            add_candidate(gc, s, class_of(gc, s));
            return 0;
        }
    }
    if (by_shmid)
        return cli_error(EXIT_NO_SUCH_SEGMENT, "there is no segment with the id %d", o->shmid);
    return cli_error(EXIT_NO_SUCH_SEGMENT, "there is no segment with the key 0x%08" PRIx32, o->key);
}

static int compare_classes(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->outcome.class != y->outcome.class)
        return x->outcome.class < y->outcome.class ? -1 : 1;
    return x->segment < y->segment ? -1 : x->segment > y->segment;
}

/* --- what the daemon's users have forgotten */

static int64_t last_use_ms(const struct shmd_segment *s)
{
    const int64_t times[] = {s->attached_at_ms, s->detached_at_ms, s->changed_at_ms};
    int64_t last = s->created_at_ms;
    for (size_t i = 0; i < COUNT(times); i++)
        last = times[i] > last ? times[i] : last;
    return last;
}

static int add_forgotten(const struct shmd_segment *s, void *data)
{
    struct gc *gc = data;
    int64_t idle_ms = (int64_t)time(NULL) * 1000 - last_use_ms(s);
    bool never_attached = s->attached_at_ms == 0;
    uint32_t uid = geteuid();
    if (s->nattch > 0 || s->declared || s->state != SHMD_STATE_READY ||
        !(is_old_enough(idle_ms, gc->idle_ms) ||
          (never_attached && is_old_enough(idle_ms, gc->older_than_ms))))
        return 0;
    if (gc->n_forgotten == gc->forgotten_capacity) {
        size_t capacity = gc->forgotten_capacity * 2 + 64;
        struct forgotten *more = reallocarray(gc->forgotten, capacity, sizeof(*more));
        if (!more)
            return -ENOMEM;
        gc->forgotten = more;
        gc->forgotten_capacity = capacity;
    }
    char *name = s->name ? strdup(s->name) : NULL;
    if (s->name && !name)
        return -ENOMEM;
    gc->forgotten[gc->n_forgotten++] = (struct forgotten){
        .name = name,
        .serial = s->serial,
        .size = s->size,
        .shmid = s->shmid,
        .uid = s->uid,
        .idle_since_ms = last_use_ms(s),
        .never_attached = never_attached,
        .is_callers = uid == 0 || uid == s->uid || uid == s->creator.uid,
    };
    return 0;
}

/* Those that the daemon shows the caller. */
static int find_forgotten(struct gc *gc)
{
    const struct shmd_list_options persistent = {
        .lifetime = SHMD_LIFETIME_PERSISTENT,
        .has_uid = cli_given(gc->cli, OPT(UID)),
        .uid = gc->cli->options.uid,
    };
    if (!gc->knowledge.asked)
        return 0;
    int r = shmd_list(cli_ask(gc->cli), &persistent, add_forgotten, gc);
    return r != 0 ? cli_failure(gc->cli, r) : 0;
}

static int find(struct gc *gc)
{
    /* The kernel before the daemon: what the daemon does not call foreign then is its own. */
    int r = kernel_segments_read(&gc->segments);
    if (r == -EOPNOTSUPP)
        return cli_error(EXIT_REFUSED, "this kernel does not show segments to everybody; Linux "
                                       "4.17 is the first that does");
    if (r < 0)
        return cli_error(EXIT_REFUSED, "cannot read the kernel's segments: %s", strerror(-r));
    daemon_ask(gc->cli, &gc->daemon);
    gc->candidates = calloc(gc->segments.count + 1, sizeof(*gc->candidates));
    if (!gc->candidates || daemon_knowledge(gc->cli, &gc->daemon, &gc->knowledge) < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    if (gc->by_decision)
        return find_one(gc);
    find_many(gc);
    qsort(gc->candidates, gc->count, sizeof(*gc->candidates), compare_classes);
    return find_forgotten(gc);
}

/* --- removing */

static int ask_is_foreign(void *context, int shmid, struct foreign_segment *ret)
{
    const struct gc *gc = context;
    struct shmd_segment *segment;
    if (!gc->knowledge.asked)
        return 1;
    int r = shmd_stat(cli_ask(gc->cli), SHMD_SHMID(shmid), &segment);
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT)
        return -ENOENT;
    if (r == SHMD_ERROR_PERMISSION_DENIED)
        return 0; /* what is not the daemon's it shows to all */
    if (r != 0)
        return r < 0 ? r : -EBADMSG;
    bool managed = segment->managed;
    if (!managed)
        *ret = foreign_segment_of(segment);
    shmd_segment_free(segment);
    return !managed;
}

static int ask_stat(void *context, int shmid, struct kernel_segment *ret)
{
    (void)context;
    return kernel_segment_stat(shmid, ret);
}

static enum process_state ask_look(void *context, int32_t pid)
{
    (void)context;
    return process_look(pid);
}

static int ask_remove(void *context, int shmid)
{
    (void)context;
    return kernel_segment_remove(shmid);
}

static const struct orphan_ops real_ops = {ask_is_foreign, ask_stat, ask_look, ask_remove};

static int status_of(const struct gc_outcome *outcome)
{
    switch (outcome->result) {
    case GC_UNANSWERED: return EXIT_UNREACHABLE;
    case GC_FAILED: return EXIT_REFUSED;
    case GC_NOT_PERMITTED: return EXIT_PERMISSION_DENIED;
    case GC_KEPT:
    case GC_REMOVED:
    case GC_REMOVING:
    case GC_GONE:
    case GC_CHANGED:
    case GC_REFUSED:
    case GC_RESULTS: break;
    }
    return EXIT_OK;
}

/* The worse of two exit statuses. */
static int worse(int a, int b)
{
    static const int order[] = {EXIT_UNREACHABLE, EXIT_REFUSED, EXIT_PERMISSION_DENIED};
    for (size_t i = 0; i < COUNT(order); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_OK;
}

static int remove_many(struct gc *gc)
{
    int status = EXIT_OK;
    for (size_t i = 0; i < gc->count; i++) {
        struct candidate *c = &gc->candidates[i];
        if (!gc->may_go[c->outcome.class])
            continue;
        c->outcome =
            orphan_remove(&real_ops, gc, c->segment, c->outcome.class, &gc->knowledge, false);
        status = worse(status, status_of(&c->outcome));
    }
    return status;
}

/* The daemon removes its own. */
static int remove_managed(struct gc *gc, struct candidate *c)
{
    struct shmd_segment *segment;
    int r = shmd_remove(cli_ask(gc->cli), SHMD_SHMID(c->segment->shmid), 0, &segment);
    if (r != 0) {
        c->outcome.result = GC_REFUSED;
        return cli_failure(gc->cli, r);
    }
    c->outcome.result = segment->state == SHMD_STATE_REMOVING ? GC_REMOVING : GC_REMOVED;
    shmd_segment_free(segment);
    return EXIT_OK;
}

/* The segment that was named, in whatever state it is. */
static int remove_one(struct gc *gc)
{
    struct candidate *c = &gc->candidates[0];
    c->outcome = orphan_remove(&real_ops, gc, c->segment, c->outcome.class, &gc->knowledge, true);
    if (c->outcome.class != GC_MANAGED)
        return c->outcome.result == GC_GONE || c->outcome.result == GC_CHANGED
                   ? EXIT_NO_SUCH_SEGMENT
                   : status_of(&c->outcome);
    return remove_managed(gc, c);
}

/* What else there is to say of a failure; what one segment met stands in its line. */
static void tell_kept(const struct gc *gc, int status)
{
    const struct candidate *c = &gc->candidates[0];
    if (gc->by_decision && c->outcome.result == GC_REFUSED)
        return; /* the daemon's reason was printed */
    if (gc->by_decision)
        (void)cli_error(status, "segment %d was not removed: the reason is in its line",
                        c->segment->shmid);
    else if (status == EXIT_PERMISSION_DENIED)
        (void)cli_error(status,
                        "some were not removed: only their owner, their creator and root may");
    else
        (void)cli_error(status, "some were not removed; the reasons are in the list");
}

/* --- the command */

static int check_options(const struct cli *cli)
{
    const uint64_t one = OPT(SHMID) | OPT(KEY);
    const uint64_t many =
        OPT(UID) | OPT(OLDER_THAN) | OPT(LEFT) | OPT(UNDECIDED) | OPT(LOST) | OPT(IDLE);
    if (cli_given(cli, OPT(SHMID)) && cli_given(cli, OPT(KEY)))
        return cli_usage("gc takes only one of --shmid and --key");
    if (cli_given(cli, OPT(KEY)) && cli->options.key == 0)
        return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    if (cli_given(cli, one) && cli_given(cli, many))
        return cli_usage("--shmid and --key name one segment, whatever its state and age: leave "
                         "the other options out");
    if (cli_given(cli, OPT(UNDECIDED)) && cli_given(cli, OPT(REMOVE)) && geteuid() != 0)
        return cli_error(EXIT_PERMISSION_DENIED,
                         "--undecided is for root: you cannot see whether the creators of those "
                         "segments live");
    return 0;
}

static void deinit(struct gc *gc)
{
    for (size_t i = 0; i < gc->n_forgotten; i++)
        free(gc->forgotten[i].name);
    free(gc->forgotten);
    free(gc->candidates);
    kernel_segments_deinit(&gc->segments);
    orphan_knowledge_deinit(&gc->knowledge);
    daemon_seen_deinit(&gc->daemon);
}

int cmd_gc(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct gc gc = {
        .cli = cli,
        .by_decision = cli_given(cli, OPT(SHMID) | OPT(KEY)),
        .older_than_ms = cli_given(cli, OPT(OLDER_THAN)) ? o->older_than_ms : GC_OLDER_THAN_MS,
        .idle_ms = cli_given(cli, OPT(IDLE)) ? o->idle_ms : GC_IDLE_MS,
        .may_go = {[GC_LEAKED] = true,
                   [GC_LEFT] = cli_given(cli, OPT(LEFT)),
                   [GC_UNDECIDED] = cli_given(cli, OPT(UNDECIDED)),
                   [GC_LOST] = cli_given(cli, OPT(LOST))},
    };
    int status = check_options(cli);
    if (status != 0)
        return status;
    status = find(&gc);
    if (status == 0) {
        if (cli_given(cli, OPT(REMOVE)))
            status = gc.by_decision ? remove_one(&gc) : remove_many(&gc);
        int printed = cli_given(cli, OPT(JSON)) ? gc_print_json(&gc) : gc_print_text(&gc);
        if (printed != EXIT_OK)
            status = printed;
        else if (status != EXIT_OK)
            tell_kept(&gc, status);
    }
    deinit(&gc);
    return status;
}
