/* SPDX-License-Identifier: MIT */
#include "tests/bench/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "protocol/writer.h"
#include "tests/bench/support.h"

void report_row(struct report *r, struct row row)
{
    if (r->n_rows == sizeof(r->rows) / sizeof(r->rows[0]))
        die("more rows than the table has");
    r->rows[r->n_rows++] = row;
    fprintf(stderr, "  %s\n", row.title);
}

static struct curve *curve_of(struct report *r, const char *kernel, const char *id)
{
    for (size_t i = 0; i < r->n_curves; i++)
        if (strcmp(r->curves[i].kernel, kernel) == 0 && strcmp(r->curves[i].id, id) == 0)
            return &r->curves[i];
    if (r->n_curves == sizeof(r->curves) / sizeof(r->curves[0]))
        die("more curves than there is room for");
    r->curves[r->n_curves] = (struct curve){.kernel = kernel, .id = id};
    return &r->curves[r->n_curves++];
}

void report_point(struct report *r, const char *kernel, const char *id, const char *title,
                  const char *unit, int n, double figure)
{
    struct curve *c = curve_of(r, kernel, id);
    if (c->n_points == sizeof(c->points) / sizeof(c->points[0]))
        die("more points than a curve has");
    c->title = title;
    c->unit = unit;
    c->points[c->n_points].n = n;
    c->points[c->n_points++].figure = figure;
}

void report_note(struct report *r, const char *format, ...)
{
    va_list args;
    if (r->n_notes == sizeof(r->notes) / sizeof(r->notes[0]))
        die("more notes than there is room for");
    va_start(args, format);
    vsnprintf(r->notes[r->n_notes++], sizeof(r->notes[0]), format, args);
    va_end(args);
}

static bool reaches(const struct row *row, double mark)
{
    double value = row->ratio > 0 ? row->ratio : row->figure;
    return row->more_is_better ? value >= mark : value <= mark;
}

static const char *verdict(const struct row *row)
{
    if (row->bar == 0)
        return "";
    if (!reaches(row, row->bar))
        return "MISSED";
    return row->goal > 0 && reaches(row, row->goal) ? "met, and the goal" : "met";
}

/* Three digits that count. */
static void number(char out[static 24], double value)
{
    int decimals = value >= 100 || value == 0 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4;
    if (value == 0)
        out[0] = '\0';
    else
        snprintf(out, 24, "%.*f", decimals, value);
}

static void machine(char out[static 240])
{
    struct utsname name;
    char model[100] = "unknown processor";
    const char *cpuinfo = read_file("/proc/cpuinfo");
    const char *line = cpuinfo ? strstr(cpuinfo, "model name\t: ") : NULL;
    if (line)
        snprintf(model, sizeof(model), "%.*s", (int)strcspn(line + 13, "\n"), line + 13);
    uname(&name);
    snprintf(out, 240, "%s, %ld cores, Linux %.60s", model, sysconf(_SC_NPROCESSORS_ONLN),
             name.release);
}

static void print_curves(const struct report *r)
{
    char figure[24];
    for (size_t i = 0; i < r->n_curves; i++) {
        const struct curve *c = &r->curves[i];
        printf("%-6s %s, %s:", c->kernel, c->title, c->unit);
        for (size_t k = 0; k < c->n_points; k++) {
            number(figure, c->points[k].figure);
            printf("  %s with %d", figure, c->points[k].n);
        }
        printf("\n");
    }
    if (r->n_curves > 0)
        printf("\n");
}

void report_print(const struct report *r)
{
    char where[240], figure[24], ratio[24], bar[24], goal[24];
    machine(where);
    if (r->is_quick)
        printf("A quick run, to see that all can be measured: no figure of it counts.\n");
    printf("%s\n\n%-46s %9s %-8s %7s %-22s %6s %6s\n", where, "", "figure", "", "ratio", "to",
           "bar", "goal");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        number(figure, row->figure);
        if (row->is_noise)
            snprintf(figure, sizeof(figure), "< noise");
        number(ratio, row->ratio);
        number(bar, row->bar);
        number(goal, row->goal);
        const char *unit = row->is_noise ? "" : row->unit;
        /* printf counts bytes, and the micro sign has two. */
        printf("%-46s %9s %-*s %7s %-22s %6s %6s %s\n", row->title, figure,
               8 + (int)(strstr(unit, "µ") != NULL), unit, ratio,
               row->ratio > 0 ? row->against : "", bar, goal, verdict(row));
    }
    printf("\n");
    print_curves(r);
    for (size_t i = 0; i < r->n_notes; i++)
        printf("%s\n", r->notes[i]);
}

static void put_text(struct writer *w, const char *key, const char *value)
{
    writer_key(w, key);
    writer_string(w, value);
}

static void put_number(struct writer *w, const char *key, double value)
{
    char text[40];
    if (value == 0)
        return;
    writer_key(w, key);
    writer_value(w, text, (size_t)snprintf(text, sizeof(text), "%.6g", value));
}

static void put_row(struct writer *w, const struct row *row)
{
    writer_object_begin(w);
    put_text(w, "id", row->id);
    put_text(w, "title", row->title);
    put_number(w, "figure", row->figure);
    put_text(w, "unit", row->unit);
    if (row->is_noise) {
        writer_key(w, "noise");
        writer_bool(w, true);
    }
    put_number(w, "ratio", row->ratio);
    if (row->ratio > 0)
        put_text(w, "against", row->against);
    put_number(w, "bar", row->bar);
    put_number(w, "goal", row->goal);
    if (row->bar > 0) {
        writer_key(w, "met");
        writer_bool(w, reaches(row, row->bar));
    }
    writer_object_end(w);
}

static void put_curve(struct writer *w, const struct curve *c)
{
    writer_object_begin(w);
    put_text(w, "kernel", c->kernel);
    put_text(w, "id", c->id);
    put_text(w, "title", c->title);
    put_text(w, "unit", c->unit);
    writer_key(w, "points");
    writer_array_begin(w);
    for (size_t i = 0; i < c->n_points; i++) {
        writer_object_begin(w);
        put_number(w, "segments", c->points[i].n);
        put_number(w, "figure", c->points[i].figure);
        writer_object_end(w);
    }
    writer_array_end(w);
    writer_object_end(w);
}

void report_write(const struct report *r, const char *path)
{
    struct writer w;
    char where[240];
    machine(where);
    writer_init(&w);
    writer_object_begin(&w);
    put_text(&w, "machine", where);
    writer_key(&w, "measured_at_ms");
    writer_int(&w, (int64_t)time(NULL) * 1000);
    if (r->is_quick) {
        writer_key(&w, "quick");
        writer_bool(&w, true);
    }
    writer_key(&w, "rows");
    writer_array_begin(&w);
    for (size_t i = 0; i < r->n_rows; i++)
        put_row(&w, &r->rows[i]);
    writer_array_end(&w);
    writer_key(&w, "curves");
    writer_array_begin(&w);
    for (size_t i = 0; i < r->n_curves; i++)
        put_curve(&w, &r->curves[i]);
    writer_array_end(&w);
    writer_key(&w, "notes");
    writer_array_begin(&w);
    for (size_t i = 0; i < r->n_notes; i++)
        writer_string(&w, r->notes[i]);
    writer_array_end(&w);
    writer_object_end(&w);
    writer_bytes(&w, "\n", 2); /* and the end that write_file() looks for */
    if (w.failed || !write_file(path, w.data))
        die("cannot write %s", path);
    writer_deinit(&w);
}
