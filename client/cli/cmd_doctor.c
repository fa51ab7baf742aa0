/* SPDX-License-Identifier: MIT */
/*
 * doctor: what on this machine harms segments and their users, and how to correct it. The exit
 * status is that of the worst finding, and differs from other commands'.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/doctor_checks.h"
#include "client/cli/table.h"
#include "protocol/writer.h"

enum { DOCTOR_WELL = 0, DOCTOR_WARNINGS = 1, DOCTOR_ERRORS = 2 };

static int exit_status(enum severity worst)
{
    switch (worst) {
    case SEVERITY_OK:
    case SEVERITY_INFO: return DOCTOR_WELL;
    case SEVERITY_WARNING: return DOCTOR_WARNINGS;
    case SEVERITY_ERROR: break;
    }
    return DOCTOR_ERRORS;
}

/* Paths and names may have any byte. What is printed has no control characters and is JSON. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7F)
            *text = '?';
}

/* --- as JSON */

static void write_text(struct writer *w, const char *key, const char *text)
{
    if (!*text)
        return;
    writer_key(w, key);
    writer_string(w, text);
}

static int print_json(const struct findings *all)
{
    struct writer w;
    writer_init(&w);
    writer_array_begin(&w);
    for (size_t i = 0; i < all->count; i++) {
        const struct finding *f = &all->rows[i];
        writer_object_begin(&w);
        write_text(&w, "id", f->id);
        write_text(&w, "severity", severity_word(f->severity));
        write_text(&w, "found", f->found);
        write_text(&w, "why", f->why);
        write_text(&w, "mend", f->mend);
        writer_object_end(&w);
    }
    writer_array_end(&w);
    writer_bytes(&w, "\n", 1);
    bool failed = w.failed;
    if (!failed)
        fwrite(w.data, 1, w.len, stdout);
    writer_deinit(&w);
    return failed ? -ENOMEM : 0;
}

/* --- for people */

static bool wants_colours(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
           !(term && strcmp(term, "dumb") == 0);
}

/* The width of the widest word, and what begins lines below it. */
#define HEAD_WIDTH 8
#define INDENT     "         "

/* Where a line goes on that began in column AT: below that, where there is enough room, but further
 * to the left for a word of LEN that is too long there. */
static size_t choose_indent(size_t at, size_t len, size_t width)
{
    enum { PARTS = 3, LEAST = 2 };
    size_t head = strlen(INDENT);
    size_t indent = PARTS * at <= width ? at : PARTS * head <= width ? head : LEAST;
    return indent + len <= width ? indent : LEAST;
}

/*
 * Prints TEXT, which has no control characters and begins in column AT of the terminal, and ends
 * the line. What goes beyond WIDTH (0: nothing does) goes on in the next line. A word stays whole:
 * it may be a part of what is to be typed.
 */
static void print_wrapped(const char *text, size_t at, size_t width)
{
    size_t used = at;
    for (bool is_first = true; *text; is_first = false) {
        size_t len = strcspn(text, " ");
        if (!is_first && width > 0 && used + 1 + len > width) {
            used = choose_indent(at, len, width);
            printf("\n%*s", (int)used, "");
        } else if (!is_first) {
            putchar(' ');
            used++;
        }
        printf("%.*s", (int)len, text);
        used += len;
        text += len + (text[len] == ' ');
    }
    putchar('\n');
}

static void print_finding(const struct finding *f, bool colours, size_t width)
{
    static const char *const starts[] = {"\x1b[32m", "\x1b[36m", "\x1b[33m", "\x1b[1;31m"};
    char text[sizeof(f->found) + 64];
    printf("%s%-*s%s ", colours ? starts[f->severity] : "", HEAD_WIDTH, severity_word(f->severity),
           colours ? "\x1b[0m" : "");
    snprintf(text, sizeof(text), "%s: %s", f->id, f->found);
    print_wrapped(text, strlen(INDENT), width);
    if (*f->why) {
        fputs(INDENT "why:  ", stdout);
        print_wrapped(f->why, strlen(INDENT "why:  "), width);
    }
    if (*f->mend) {
        fputs(INDENT "mend: ", stdout);
        print_wrapped(f->mend, strlen(INDENT "mend: "), width);
    }
}

/* Adds "COUNT NOUN" to TEXT, with an s when there are several or none. */
static void add_count(char *text, size_t size, size_t count, const char *noun)
{
    size_t len = strlen(text);
    snprintf(text + len, size - len, "%s%zu %s%s", len > 0 ? ", " : "", count, noun,
             count == 1 ? "" : "s");
}

/* Such as "1 warning, 1 note, 14 checks passed"; what there is none of is left out. */
static void print_summary(const size_t counts[SEVERITY_ERROR + 1], size_t width)
{
    char text[128] = "";
    if (counts[SEVERITY_ERROR] > 0)
        add_count(text, sizeof(text), counts[SEVERITY_ERROR], "error");
    if (counts[SEVERITY_WARNING] > 0)
        add_count(text, sizeof(text), counts[SEVERITY_WARNING], "warning");
    if (counts[SEVERITY_INFO] > 0)
        add_count(text, sizeof(text), counts[SEVERITY_INFO], "note");
    add_count(text, sizeof(text), counts[SEVERITY_OK], "check");
    strcat(text, " passed");
    putchar('\n');
    print_wrapped(text, 0, width);
}

/* The worst findings first. Checks that passed have no empty lines between them. */
static void print_report(const struct findings *all)
{
    bool colours = wants_colours(), is_first = true;
    size_t width = (size_t)terminal_width();
    size_t counts[SEVERITY_ERROR + 1] = {0};
    for (int severity = SEVERITY_ERROR; severity >= SEVERITY_OK; severity--) {
        for (size_t i = 0; i < all->count; i++) {
            const struct finding *f = &all->rows[i];
            if ((int)f->severity != severity)
                continue;
            if (!is_first && (severity > SEVERITY_OK || counts[SEVERITY_OK] == 0))
                putchar('\n');
            print_finding(f, colours, width);
            counts[severity]++;
            is_first = false;
        }
    }
    print_summary(counts, width);
}

/* What kept doctor from looking. */
static int cannot_look(int r)
{
    if (r == -ENOSYS)
        return cli_error(DOCTOR_ERRORS, "this kernel has no System V shared memory "
                                        "(CONFIG_SYSVIPC), or a seccomp filter hides it");
    if (r == -EPERM)
        return cli_error(DOCTOR_ERRORS,
                         "System V shared memory is forbidden here by a seccomp filter or a "
                         "security module, as in some containers: allow shmget, shmctl, shmat and "
                         "shmdt");
    return cli_error(DOCTOR_ERRORS, "cannot look at this machine: %s", strerror(-r));
}

int cmd_doctor(struct cli *cli)
{
    struct daemon_seen seen = {.state = DAEMON_UNREACHABLE};
    struct doctor_facts *facts = calloc(1, sizeof(*facts));
    struct findings *findings = calloc(1, sizeof(*findings));
    int r = facts && findings ? doctor_facts_ask(cli, &seen, facts) : -ENOMEM;
    int status = DOCTOR_ERRORS;
    if (r == 0) {
        doctor_facts_read("", facts);
        doctor_check(facts, findings);
        doctor_facts_deinit(facts);
        status = exit_status(doctor_worst(findings));
        for (size_t i = 0; i < findings->count; i++) {
            clean(findings->rows[i].found);
            clean(findings->rows[i].why);
            clean(findings->rows[i].mend);
        }
        if (cli_given(cli, OPT(JSON)))
            r = print_json(findings);
        else
            print_report(findings);
    }
    free(facts);
    free(findings);
    daemon_seen_deinit(&seen);
    return r < 0 ? cannot_look(r) : status;
}
