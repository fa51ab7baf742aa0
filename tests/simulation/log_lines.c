/* SPDX-License-Identifier: MIT */
/*
 * What the daemon logs: a uid causes at most 20 lines a second in the long run, and 200 at once.
 * What is said to be left out was left out because that uid itself has used up its lines.
 */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/util/log.h"
#include "tests/fakes/fake_memory.h"

enum {
    LINE_MS = 1000 / 20, /* until a line that was used is there again */
    BURST_MS = 200 * LINE_MS,
    /* The line that tells how many were left out may come on top. */
    SLACK_MS = 2 * LINE_MS,
};

/* There is one world at a time, and the log is the process's. */
static struct oracle *reader;

void log_lines_read_by(struct oracle *o)
{
    reader = o;
}

void log_lines_begin_anew(struct oracle *o)
{
    o->n_causes = 0;
    o->has_nameless_lines = false;
}

static struct cause *cause_of(struct oracle *o, uint32_t uid)
{
    for (size_t i = 0; i < o->n_causes; i++)
        if (o->causes[i].uid == uid)
            return &o->causes[i];
    if (o->n_causes == CAUSES_MAX)
        abort(); /* no world has so many users */
    o->causes[o->n_causes] = (struct cause){.uid = uid};
    return &o->causes[o->n_causes++];
}

static void count_line(struct oracle *o, uint32_t uid, bool tells_left_out)
{
    const int64_t now = o->w->clock.boot_ms;
    struct cause *c = cause_of(o, uid);
    if (tells_left_out && !c->has_used_all && !o->has_nameless_lines)
        world_fail(o->w, "lines of uid %" PRIu32 " are left out of the log, and it had some left",
                   uid);
    c->has_used_all &= !tells_left_out;
    c->full_at_ms = (c->full_at_ms > now ? c->full_at_ms : now) + LINE_MS;
    c->has_used_all |= c->full_at_ms > now + BURST_MS - SLACK_MS;
    if (c->full_at_ms > now + BURST_MS + SLACK_MS)
        world_fail(o->w, "uid %" PRIu32 " causes more than 200 lines of the log at once", uid);
}

static const struct log_field *field(const struct log_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* A segment that ends by itself is a line of the one who made it. */
static void count_end(struct oracle *o, uint64_t serial)
{
    for (size_t i = o->m.n_all; i-- > 0;) {
        if (o->m.all[i]->serial == serial) {
            count_line(o, o->m.all[i]->creator_uid, false);
            return;
        }
    }
    o->has_nameless_lines = true; /* nobody has heard yet that it was made */
}

static void read_entry(struct oracle *o, const struct log_field *fields, size_t n)
{
    const struct log_field *uid = field(fields, n, "PEER_UID");
    const struct log_field *serial = field(fields, n, "SERIAL");
    if (uid)
        count_line(o, (uint32_t)uid->integer, field(fields, n, "LEFT_OUT"));
    else if (serial && field(fields, n, "REASON"))
        count_end(o, (uint64_t)serial->integer);
}

/* The linker puts it in the place of the daemon's log_entry(). */
void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n,
                      const char *format, ...);
void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n,
                      const char *format, ...)
{
    va_list args;
    (void)level;
    if (!reader || reader->w->is_killed)
        return;
    fake_memory_pause();
    if (reader->w->is_loud) {
        printf("    log: ");
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        printf("\n");
    }
    read_entry(reader, fields, n);
    fake_memory_resume();
}
