/*
 * gc: lists orphaned segments, and with --remove removes them with the caller's own rights. What an
 * orphan is, orphans.h says; here it is shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/cli.h"
#include "client/cli/daemons.h"
#include "client/cli/output.h"
#include "client/cli/parse.h"
#include "protocol/writer.h"

enum { REASON_SIZE = 192 };

struct candidate {
    const struct kernel_segment *segment;
    enum orphan_verdict verdict;
    int error; /* of KEPT_UNANSWERED and KEPT_FAILED */
};

struct gc {
    struct cli *cli;
    struct daemon_seen daemon;         /* owned */
    struct orphan_knowledge knowledge; /* owned */
    struct kernel_segments segments;   /* owned */
    struct candidate *candidates;      /* owned */
    size_t count;
    size_t left_out; /* orphans that the filters leave out */
};

/* --- what is there */

static bool is_wanted(const struct cli *cli, const struct kernel_segment *s)
{
    const struct options *o = &cli->options;
    if (cli_given(cli, OPT(UID)) && s->uid != o->uid)
        return false;
    if (cli_given(cli, OPT(KEY)) && s->key != o->key)
        return false;
    int64_t idle_ms = ((int64_t)time(NULL) - orphan_idle_since(s)) * 1000;
    return !cli_given(cli, OPT(OLDER_THAN)) || idle_ms >= o->older_than_ms;
}

/* What is listed: the orphans, and segments that look like orphans and are kept in doubt. */
static bool is_shown(enum orphan_verdict verdict)
{
    return verdict == ORPHAN || verdict == KEPT_CREATOR_UNKNOWN || verdict == KEPT_GUARDED ||
           verdict == KEPT_UNASKED || verdict == KEPT_LOST;
}

static int find(struct gc *gc)
{
    /* Ask the kernel first: a listed segment that the daemon does not call foreign is its own. */
    int r = kernel_segments_read(&gc->segments);
    if (r == -EOPNOTSUPP)
        return cli_error(EXIT_REFUSED,
                         "this kernel does not show segments to everybody; Linux 4.17 "
                         "is the first that does");
    if (r < 0)
        return cli_error(EXIT_REFUSED, "cannot read the kernel's segments: %s", strerror(-r));
    daemon_ask(gc->cli, &gc->daemon);
    gc->candidates = calloc(gc->segments.count + 1, sizeof(*gc->candidates));
    if (!gc->candidates || daemon_knowledge(gc->cli, &gc->daemon, &gc->knowledge) < 0)
        return cli_error(EXIT_REFUSED, "out of memory");
    for (size_t i = 0; i < gc->segments.count; i++) {
        const struct kernel_segment *s = &gc->segments.rows[i];
        enum orphan_verdict verdict = orphan_judge(s, process_look(s->cpid), &gc->knowledge);
        if (is_shown(verdict) && !is_wanted(gc->cli, s))
            gc->left_out += verdict == ORPHAN;
        else if (is_shown(verdict))
            gc->candidates[gc->count++] = (struct candidate){.segment = s, .verdict = verdict};
    }
    return 0;
}

/* --- removing */

static int ask_is_foreign(void *context, int shmid)
{
    const struct gc *gc = context;
    struct shmd_segment *segment;
    if (!gc->knowledge.asked)
        return 1;
    int r = shmd_stat(cli_ask(gc->cli), SHMD_SHMID(shmid), &segment);
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT)
        return -ENOENT;
    if (r != 0)
        return r < 0 ? r : -EBADMSG;
    bool managed = segment->managed;
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

static int remove_all(struct gc *gc)
{
    int status = EXIT_OK;
    for (size_t i = 0; i < gc->count; i++) {
        struct candidate *c = &gc->candidates[i];
        if (c->verdict != ORPHAN)
            continue;
        c->verdict = orphan_remove(&real_ops, gc, c->segment, &gc->knowledge, &c->error);
        if (c->verdict == KEPT_UNANSWERED)
            status = EXIT_UNREACHABLE;
        else if (c->verdict == KEPT_FAILED && status != EXIT_UNREACHABLE)
            status = EXIT_REFUSED;
        else if (c->verdict == KEPT_NOT_PERMITTED && status == EXIT_OK)
            status = EXIT_PERMISSION_DENIED;
    }
    return status;
}

/* --- printing */

struct total {
    uint64_t segments, bytes;
};

static struct total total_of(const struct gc *gc, enum orphan_verdict verdict)
{
    struct total total = {0};
    for (size_t i = 0; i < gc->count; i++) {
        if (gc->candidates[i].verdict != verdict)
            continue;
        total.segments++;
        total.bytes += gc->candidates[i].segment->size;
    }
    return total;
}

static void reason_text(const struct gc *gc, const struct candidate *c, char *ret, size_t size)
{
    if (c->verdict == KEPT_UNASKED)
        snprintf(ret, size,
                 "kept: the shmd with pid %" PRId32
                 ", which was not asked, may manage it: name its socket with --socket",
                 orphan_unasked(&gc->knowledge, c->segment));
    else
        snprintf(ret, size, "%s", orphan_reason(c->verdict));
}

static void write_segment(struct writer *w, const struct gc *gc, const struct candidate *c)
{
    const struct kernel_segment *s = c->segment;
    char mode[8], reason[REASON_SIZE];
    reason_text(gc, c, reason, sizeof(reason));
    snprintf(mode, sizeof(mode), "%04" PRIo32, s->mode);
    writer_object_begin(w);
    writer_key(w, "shmid");
    writer_int(w, s->shmid);
    writer_key(w, "key");
    writer_uint(w, s->key);
    writer_key(w, "size");
    writer_uint(w, s->size);
    writer_key(w, "mode");
    writer_string(w, mode);
    writer_key(w, "uid");
    writer_uint(w, s->uid);
    writer_key(w, "gid");
    writer_uint(w, s->gid);
    writer_key(w, "creator");
    writer_object_begin(w);
    writer_key(w, "uid");
    writer_uint(w, s->cuid);
    writer_key(w, "gid");
    writer_uint(w, s->cgid);
    writer_key(w, "pid");
    writer_int(w, s->cpid);
    writer_object_end(w);
    writer_key(w, "idle_since_at_ms");
    writer_int(w, orphan_idle_since(s) * 1000);
    writer_key(w, "verdict");
    writer_string(w, orphan_word(c->verdict));
    writer_key(w, "reason");
    writer_string(w, reason);
    if (c->error) {
        writer_key(w, "error");
        writer_string(w, strerror(-c->error));
    }
    writer_object_end(w);
}

static void write_total(struct writer *w, const char *key, struct total total)
{
    writer_key(w, key);
    writer_object_begin(w);
    writer_key(w, "segments");
    writer_uint(w, total.segments);
    writer_key(w, "bytes");
    writer_uint(w, total.bytes);
    writer_object_end(w);
}

static int print_json(const struct gc *gc)
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
    write_total(&w, "orphaned", total_of(gc, ORPHAN));
    write_total(&w, "removed", total_of(gc, ORPHAN_REMOVED));
    writer_object_end(&w);
    writer_bytes(&w, "\n", 1);
    bool failed = w.failed;
    if (!failed)
        fwrite(w.data, 1, w.len, stdout);
    writer_deinit(&w);
    return failed ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}

static void size_text(const struct gc *gc, uint64_t bytes, char *ret, size_t size)
{
    if (cli_given(gc->cli, OPT(BYTES)))
        snprintf(ret, size, "%" PRIu64, bytes);
    else
        format_size(bytes, ret, size);
}

/* In the largest unit that is not 0, as --older-than takes it. */
static void idle_text(int64_t seconds, char *ret, size_t size)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < COUNT(units) && seconds < units[i].seconds)
        i++;
    /* The clock may have been set back. */
    snprintf(ret, size, "%" PRId64 "%c", seconds > 0 ? seconds / units[i].seconds : 0,
             units[i].unit);
}

enum { N_COLUMNS = 7 };
static const char *const headings[N_COLUMNS] = {"SHMID", "KEY",  "SIZE", "OWNER",
                                                "CPID",  "IDLE", "WHY"};

static int add_line(const struct gc *gc, struct libscols_table *table, const struct candidate *c)
{
    const struct kernel_segment *s = c->segment;
    const struct passwd *user = getpwuid(s->uid);
    char texts[N_COLUMNS][REASON_SIZE + 64], reason[REASON_SIZE];
    reason_text(gc, c, reason, sizeof(reason));
    snprintf(texts[0], sizeof(texts[0]), "%d", s->shmid);
    snprintf(texts[1], sizeof(texts[1]), "0x%08" PRIx32, s->key);
    size_text(gc, s->size, texts[2], sizeof(texts[2]));
    if (user)
        snprintf(texts[3], sizeof(texts[3]), "%s", user->pw_name);
    else
        snprintf(texts[3], sizeof(texts[3]), "%" PRIu32, s->uid);
    snprintf(texts[4], sizeof(texts[4]), "%" PRId32, s->cpid);
    idle_text((int64_t)time(NULL) - orphan_idle_since(s), texts[5], sizeof(texts[5]));
    snprintf(texts[6], sizeof(texts[6]), "%s%s%s", reason, c->error ? ": " : "",
             c->error ? strerror(-c->error) : "");
    struct libscols_line *line = scols_table_new_line(table, NULL);
    if (!line)
        return -ENOMEM;
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (scols_line_set_data(line, i, texts[i]) != 0)
            return -ENOMEM;
    return 0;
}

static int print_table(const struct gc *gc)
{
    struct libscols_table *table = scols_new_table();
    int r = table ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < N_COLUMNS; i++) {
        bool is_number = i == 0 || i == 2 || i == 4 || i == 5;
        if (!scols_table_new_column(table, headings[i], 0, is_number ? SCOLS_FL_RIGHT : 0))
            r = -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < gc->count; i++)
        r = add_line(gc, table, &gc->candidates[i]);
    if (r == 0 && gc->count > 0)
        scols_print_table(table);
    scols_unref_table(table);
    return r < 0 ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}

static void print_summary(const struct gc *gc)
{
    struct total left = total_of(gc, ORPHAN), removed = total_of(gc, ORPHAN_REMOVED),
                 lost = total_of(gc, KEPT_LOST);
    const char *separator = gc->count > 0 ? "\n" : "";
    char text[32];
    fputs(separator, stdout);
    if (cli_given(gc->cli, OPT(REMOVE))) {
        size_text(gc, removed.bytes, text, sizeof(text));
        printf("%" PRIu64 " removed, %s; %" PRIu64 " kept.\n", removed.segments, text,
               gc->count - removed.segments);
    } else if (left.segments > 0) {
        size_text(gc, left.bytes, text, sizeof(text));
        printf("%" PRIu64 " orphaned, %s. Nothing was removed: gc --remove does.\n", left.segments,
               text);
    } else if (gc->left_out > 0) {
        printf("No orphaned segments match the filters; %zu do not match.\n", gc->left_out);
    } else {
        puts("No orphaned segments.");
    }
    if (lost.segments > 0) {
        size_text(gc, lost.bytes, text, sizeof(text));
        printf("%" PRIu64
               " lost by the daemon, %s: gc removes none of them. Their owner or root may "
               "adopt them: shmdctl adopt --shmid N.\n",
               lost.segments, text);
    }
    if (!gc->knowledge.asked)
        printf(
            "The daemon at %s was not asked (%s). So gc kept the segments of the user shmd, of the "
            "owners of daemons' sockets and directories, and of the users of running shmds.\n",
            gc->daemon.path, daemon_state_text(&gc->daemon));
}

int cmd_gc(struct cli *cli)
{
    struct gc gc = {.cli = cli};
    int status = find(&gc);
    if (status == 0) {
        if (cli_given(cli, OPT(REMOVE)))
            status = remove_all(&gc);
        int printed = cli_given(cli, OPT(JSON)) ? print_json(&gc) : print_table(&gc);
        if (printed != EXIT_OK)
            status = printed;
        else if (!cli_given(cli, OPT(JSON)))
            print_summary(&gc);
        if (status == EXIT_PERMISSION_DENIED)
            cli_error(
                status,
                "some were not removed: only their owner, their creator and root may remove them");
        else if (status != EXIT_OK && printed == EXIT_OK)
            cli_error(status, "some were not removed; the reasons are in the list");
    }
    free(gc.candidates);
    kernel_segments_deinit(&gc.segments);
    orphan_knowledge_deinit(&gc.knowledge);
    daemon_seen_deinit(&gc.daemon);
    return status;
}
