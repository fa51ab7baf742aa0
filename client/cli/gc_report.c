/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/advice.h"
#include "client/cli/gc.h"
#include "client/cli/output.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"
#include "protocol/writer.h"

enum { REASON_SIZE = 1400, TEXT_SIZE = 1500, WORD_SIZE = 512 };

/* --- sums and reasons */

struct total {
    uint64_t segments, bytes;
};

static void count(struct total *total, const struct candidate *c)
{
    total->segments++;
    total->bytes += c->segment->size;
}

static bool is_removed(const struct candidate *c)
{
    return c->outcome.result == GC_REMOVED || c->outcome.result == GC_REMOVING;
}

/* Those of CLASS that are still there. */
static struct total total_of(const struct gc *gc, enum gc_class class)
{
    struct total total = {0};
    for (size_t i = 0; i < gc->count; i++) {
        const struct candidate *c = &gc->candidates[i];
        if (c->outcome.class == class && !is_removed(c) && c->outcome.result != GC_GONE)
            count(&total, c);
    }
    return total;
}

/* Whether the kernel lets the caller remove it. */
static bool is_callers(const struct candidate *c)
{
    uint32_t uid = geteuid();
    return uid == 0 || uid == c->segment->uid || uid == c->segment->cuid;
}

/* Those of CLASS that are still there and that only others may remove. */
static size_t count_others(const struct gc *gc, enum gc_class class)
{
    size_t others = 0;
    for (size_t i = 0; i < gc->count; i++) {
        const struct candidate *c = &gc->candidates[i];
        others += c->outcome.class == class && c->outcome.result == GC_KEPT && !is_callers(c);
    }
    return others;
}

static struct total total_removed(const struct gc *gc)
{
    struct total total = {0};
    for (size_t i = 0; i < gc->count; i++)
        if (is_removed(&gc->candidates[i]))
            count(&total, &gc->candidates[i]);
    return total;
}

/* What another user's daemon says of segments is that user's word, so nobody is sent there. */
static bool may_be_trusted(const struct gc *gc, const struct guard *guard)
{
    return guard->uid == 0 || guard->uid == geteuid() ||
           (gc->knowledge.asked && guard->uid == gc->knowledge.daemon_uid);
}

static void guard_text(const struct gc *gc, const struct guard *guard, int shmid,
                       char ret[REASON_SIZE])
{
    char path[WORD_SIZE];
    if (guard->serves && may_be_trusted(gc, guard)) {
        shell_word(guard->path, path, sizeof(path));
        snprintf(ret, REASON_SIZE,
                 "may be another daemon's, which was not asked: name its socket by --socket %s",
                 path);
        return;
    }
    plain_text(guard->path, path, sizeof(path));
    if (guard->serves)
        snprintf(ret, REASON_SIZE,
                 "may be another daemon's, which uid %" PRIu32
                 " serves at %s: leave it to that user",
                 guard->uid, path);
    else
        snprintf(ret, REASON_SIZE,
                 "may be another daemon's, which does not run: that of %s; once it runs, it knows; "
                 "if it is gone for good: %s gc --remove --shmid %d",
                 path, advice_program(gc->cli), shmid);
}

static void reason_text(const struct gc *gc, const struct candidate *c, char ret[REASON_SIZE])
{
    const struct guard *guard = orphan_guard_of(&gc->knowledge, c->segment);
    const struct gc_outcome *o = &c->outcome;
    if (o->result != GC_KEPT) {
        snprintf(ret, REASON_SIZE, "%s%s%s", gc_result_reason(o->result), o->error ? ": " : "",
                 o->error ? strerror(-o->error) : "");
    } else if (o->class == GC_GUARDED && guard) {
        guard_text(gc, guard, c->segment->shmid, ret);
    } else {
        snprintf(ret, REASON_SIZE, "%s", gc_class_reason(o->class));
    }
}

/* --- as JSON */

static void write_int(struct writer *w, const char *key, int64_t value)
{
    writer_key(w, key);
    writer_int(w, value);
}

static void write_uint(struct writer *w, const char *key, uint64_t value)
{
    writer_key(w, key);
    writer_uint(w, value);
}

static void write_text(struct writer *w, const char *key, const char *text)
{
    writer_key(w, key);
    writer_string(w, text);
}

static void write_segment(struct writer *w, const struct gc *gc, const struct candidate *c)
{
    const struct kernel_segment *s = c->segment;
    char mode[8], reason[REASON_SIZE];
    reason_text(gc, c, reason);
    snprintf(mode, sizeof(mode), "%04" PRIo32, s->mode);
    writer_object_begin(w);
    write_int(w, "shmid", s->shmid);
    write_uint(w, "key", s->key);
    write_uint(w, "size", s->size);
    write_text(w, "mode", mode);
    write_uint(w, "uid", s->uid);
    write_uint(w, "gid", s->gid);
    writer_key(w, "creator");
    writer_object_begin(w);
    write_uint(w, "uid", s->cuid);
    write_uint(w, "gid", s->cgid);
    write_int(w, "pid", s->cpid);
    writer_object_end(w);
    write_int(w, "last_pid", s->lpid);
    write_uint(w, "nattch", s->nattch);
    write_int(w, "idle_since_at_ms", orphan_idle_since(s) * 1000);
    write_text(w, "class", gc_class_word(c->outcome.class));
    write_text(w, "result", gc_result_word(c->outcome.result));
    write_text(w, "reason", reason);
    if (c->outcome.error)
        write_text(w, "error", strerror(-c->outcome.error));
    writer_object_end(w);
}

static void write_forgotten(struct writer *w, const struct forgotten *f)
{
    writer_object_begin(w);
    write_uint(w, "serial", f->serial);
    if (f->name)
        write_text(w, "name", f->name);
    write_int(w, "shmid", f->shmid);
    write_uint(w, "size", f->size);
    write_uint(w, "uid", f->uid);
    write_int(w, "idle_since_at_ms", f->idle_since_ms);
    writer_key(w, "never_attached");
    writer_bool(w, f->never_attached);
    writer_object_end(w);
}

static void write_total(struct writer *w, const char *key, struct total total)
{
    writer_key(w, key);
    writer_object_begin(w);
    write_uint(w, "segments", total.segments);
    write_uint(w, "bytes", total.bytes);
    writer_object_end(w);
}

int gc_print_json(const struct gc *gc)
{
    struct writer w;
    writer_init(&w);
    writer_object_begin(&w);
    writer_key(&w, "daemon_asked");
    writer_bool(&w, gc->knowledge.asked);
    writer_key(&w, "segments");
    writer_array_begin(&w);
    for (size_t i = 0; i < gc->count; i++)
        write_segment(&w, gc, &gc->candidates[i]);
    writer_array_end(&w);
    writer_key(&w, "forgotten");
    writer_array_begin(&w);
    for (size_t i = 0; i < gc->n_forgotten; i++)
        write_forgotten(&w, &gc->forgotten[i]);
    writer_array_end(&w);
    for (enum gc_class class = 0; class < GC_CLASSES_LISTED; class ++)
        write_total(&w, gc_class_word(class), total_of(gc, class));
    write_total(&w, "removed", total_removed(gc));
    write_uint(&w, "younger", gc->younger);
    writer_object_end(&w);
    bool failed = w.failed;
    if (!failed)
        output_json_text(w.data, w.len);
    writer_deinit(&w);
    return failed ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}

/* --- for people */

static void size_text(const struct gc *gc, uint64_t bytes, char *ret, size_t size)
{
    if (cli_given(gc->cli, OPT(BYTES)))
        snprintf(ret, size, "%" PRIu64, bytes);
    else
        format_size(bytes, ret, size);
}

static const struct table_column segment_columns[] = {
    {.heading = "SHMID", .is_number = true},
    {.heading = "KEY"},
    {.heading = "SIZE", .is_number = true},
    {.heading = "OWNER"},
    {.heading = "CPID", .is_number = true},
    {.heading = "IDLE", .is_number = true},
    {.heading = "WHY"}, /* whole, for it may hold what is to be typed */
};
static const struct table_column forgotten_columns[] = {
    {.heading = "NAME", .may_be_cut = true},
    {.heading = "SERIAL", .is_number = true},
    {.heading = "SHMID", .is_number = true},
    {.heading = "SIZE", .is_number = true},
    {.heading = "OWNER"},
    {.heading = "IDLE", .is_number = true},
    {.heading = "WHY"},
};
enum { N_COLUMNS = COUNT(segment_columns) };
_Static_assert(N_COLUMNS == COUNT(forgotten_columns), "both tables have as many columns");

/* NULL: out of memory. */
static struct table *new_table(const struct gc *gc, const struct table_column *columns)
{
    return table_new(columns, N_COLUMNS, output_style(&gc->cli->options));
}

static int add_line(struct table *table, char texts[N_COLUMNS][TEXT_SIZE])
{
    const char *cells[N_COLUMNS];
    for (size_t i = 0; i < N_COLUMNS; i++)
        cells[i] = texts[i];
    return table_add(table, cells);
}

static int add_segment(const struct gc *gc, struct table *table, const struct candidate *c)
{
    const struct kernel_segment *s = c->segment;
    char texts[N_COLUMNS][TEXT_SIZE], reason[REASON_SIZE];
    reason_text(gc, c, reason);
    snprintf(texts[0], TEXT_SIZE, "%d", s->shmid);
    snprintf(texts[1], TEXT_SIZE, "0x%08" PRIx32, s->key);
    size_text(gc, s->size, texts[2], TEXT_SIZE);
    format_user(s->uid, texts[3], TEXT_SIZE);
    snprintf(texts[4], TEXT_SIZE, "%" PRId32, s->cpid);
    format_age((int64_t)time(NULL) - orphan_idle_since(s), texts[5], TEXT_SIZE);
    snprintf(texts[6], TEXT_SIZE, "%s", reason);
    return add_line(table, texts);
}

static int add_forgotten(const struct gc *gc, struct table *table, const struct forgotten *f)
{
    char texts[N_COLUMNS][TEXT_SIZE];
    snprintf(texts[0], TEXT_SIZE, "%s", f->name ? f->name : "");
    snprintf(texts[1], TEXT_SIZE, "%" PRIu64, f->serial);
    snprintf(texts[2], TEXT_SIZE, "%d", f->shmid);
    size_text(gc, f->size, texts[3], TEXT_SIZE);
    format_user(f->uid, texts[4], TEXT_SIZE);
    format_age((int64_t)time(NULL) - f->idle_since_ms / 1000, texts[5], TEXT_SIZE);
    snprintf(texts[6], TEXT_SIZE, "%s",
             f->never_attached ? "never attached" : "nobody has used it for so long");
    return add_line(table, texts);
}

/* Prints TABLE under its title, and frees it; R: how filling it went. */
static int print_table(const char *title, struct table *table, int r)
{
    if (r == 0) {
        printf("%s:\n", title);
        table_print(table, stdout);
        putchar('\n');
    }
    table_free(table);
    return r;
}

static int print_class(const struct gc *gc, enum gc_class class, const char *title)
{
    struct table *table = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < gc->count; i++) {
        const struct candidate *c = &gc->candidates[i];
        if (c->outcome.class != class)
            continue;
        table = table ? table : new_table(gc, segment_columns);
        r = table ? add_segment(gc, table, c) : -ENOMEM;
    }
    return table ? print_table(title, table, r) : r;
}

static int print_forgotten(const struct gc *gc)
{
    if (gc->n_forgotten == 0)
        return 0;
    struct table *table = new_table(gc, forgotten_columns);
    int r = table ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < gc->n_forgotten; i++)
        r = add_forgotten(gc, table, &gc->forgotten[i]);
    return table ? print_table("Forgotten", table, r) : r;
}

static const struct {
    const char *title;
    const char *advice; /* behind "N TITLE, SIZE: " */
} listed[GC_CLASSES] = {
    [GC_LEAKED] = {"Leaked", "gc --remove removes them"},
    [GC_LEFT] = {"Left", "kept, unless --remove comes with --left"},
    [GC_UNDECIDED] = {"Undecided", "kept, unless root adds --undecided to --remove"},
    [GC_LOST] = {"Lost", "kept, unless --remove comes with --lost; their owner or root may adopt "
                         "them: shmdctl adopt --shmid N"},
    [GC_GUARDED] = {"Guarded", "kept for the reason above"},
    /* Only of a segment that was named. */
    [GC_ATTACHED] = {"Attached", ""},
    [GC_CREATOR_LIVES] = {"Creator lives", ""},
    [GC_MANAGED] = {"Managed", ""},
};

static void print_line(const struct gc *gc, const char *advice)
{
    char *text = advice_text(gc->cli, advice);
    fputs(text ? text : advice, stdout);
    free(text);
}

/* What may be done with TOTAL segments of CLASS. */
static void print_advice(const struct gc *gc, enum gc_class class, uint64_t total)
{
    size_t others = count_others(gc, class);
    if (cli_given(gc->cli, OPT(REMOVE)) && gc->may_go[class])
        fputs("kept for the reason above", stdout);
    else if (others == total && (class == GC_LEAKED || class == GC_LEFT))
        fputs("not yours; their owners and root can remove them", stdout);
    else if (class != GC_LEAKED || others == 0)
        print_line(gc, listed[class].advice);
    else
        printf("gc --remove removes %" PRIu64 " of them; the owners of the others and root can "
               "remove those",
               total - others);
}

static void print_forgotten_total(const struct gc *gc)
{
    const char *program = advice_program(gc->cli);
    size_t others = 0;
    for (size_t i = 0; i < gc->n_forgotten; i++)
        others += !gc->forgotten[i].is_callers;
    printf("%zu of the daemon's own seem%s forgotten: gc never removes them; ", gc->n_forgotten,
           gc->n_forgotten == 1 ? "s" : "");
    if (others == 0)
        printf("%s rm does.\n", program);
    else if (others == gc->n_forgotten)
        printf("their owners and admins can, by %s rm.\n", program);
    else
        printf("%s rm does, of the %zu that are yours; the owners of the others and admins can "
               "remove those.\n",
               program, gc->n_forgotten - others);
}

static void print_totals(const struct gc *gc)
{
    char text[32];
    size_t n = 0;
    for (enum gc_class class = 0; class < GC_CLASSES_LISTED; class ++) {
        struct total total = total_of(gc, class);
        if (total.segments == 0)
            continue;
        n++;
        size_text(gc, total.bytes, text, sizeof(text));
        printf("%" PRIu64 " %s, %s: ", total.segments, gc_class_word(class), text);
        print_advice(gc, class, total.segments);
        puts(".");
    }
    if (gc->younger > 0)
        printf("%zu more %s too young: --older-than 0 includes %s.\n", gc->younger,
               gc->younger > 1 ? "are" : "is", gc->younger > 1 ? "them" : "it");
    if (gc->n_forgotten > 0)
        print_forgotten_total(gc);
    if (n == 0 && gc->younger == 0 && !cli_given(gc->cli, OPT(REMOVE)))
        puts("No segment is leaked, left, undecided or lost.");
}

/* The daemon knows who asked for the segment, which the kernel does not. */
static const char *managed_advice(const struct gc *gc, const struct candidate *c)
{
    struct shmd_segment *segment = NULL;
    bool may_change = is_callers(c);
    if (!may_change && shmd_stat(cli_ask(gc->cli), SHMD_SHMID(c->segment->shmid), &segment) == 0)
        may_change = advice_may_change(segment);
    shmd_segment_free(segment);
    return may_change
               ? "; with --remove the daemon is asked to remove it, also while processes hold it"
               : "; the daemon removes it only for its owner, its creator and admins";
}

/* What --remove would do with the one segment that was named. */
static const char *one_advice(const struct gc *gc, const struct candidate *c)
{
    if (c->outcome.class == GC_MANAGED)
        return managed_advice(gc, c);
    if (!is_callers(c))
        return "; only its owner, its creator and root may remove it";
    switch (c->outcome.class) {
    case GC_ATTACHED:
        return "; with --remove it is: its memory goes with the last process that has it attached";
    case GC_CREATOR_LIVES: return "; with --remove it is, though its creator may need it";
    case GC_GUARDED: return "; with --remove it is, also when it is another daemon's";
    case GC_LEAKED:
    case GC_LEFT:
    case GC_UNDECIDED:
    case GC_LOST:
    case GC_MANAGED:
    case GC_CLASSES: break;
    }
    return "; with --remove it is";
}

static void print_removed(const struct gc *gc)
{
    struct total removed = total_removed(gc);
    char text[32];
    if (!cli_given(gc->cli, OPT(REMOVE))) {
        printf("Nothing was removed%s.\n",
               gc->by_decision ? one_advice(gc, &gc->candidates[0]) : "");
        return;
    }
    size_text(gc, removed.bytes, text, sizeof(text));
    printf("%" PRIu64 " removed, %s; %" PRIu64 " kept.\n", removed.segments, text,
           gc->count - removed.segments);
}

int gc_print_text(const struct gc *gc)
{
    int r = 0;
    for (enum gc_class class = 0; r == 0 && class < GC_CLASSES; class ++)
        r = print_class(gc, class, listed[class].title);
    if (r == 0)
        r = print_forgotten(gc);
    if (r < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    if (!gc->by_decision)
        print_totals(gc);
    print_removed(gc);
    if (!gc->knowledge.asked)
        printf("The daemon at %s was not asked (%s): what may be its own is listed as "
               "guarded, and kept.\n",
               *gc->daemon.path ? gc->daemon.path : "the socket", daemon_state_text(&gc->daemon));
    return EXIT_OK;
}
