/* SPDX-License-Identifier: MIT */
/* The table of what was measured, and the same as JSON. */
#ifndef SHMD_BENCH_REPORT_H
#define SHMD_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct row {
    const char *id;    /* in the JSON */
    const char *title; /* in the table */
    double figure;
    const char *unit;
    double ratio;        /* 0: there is none */
    const char *against; /* what the ratio is to */
    /* Of the ratio, when there is one, else of the figure; 0: there is none. */
    double bar, goal;
    bool more_is_better;
    bool is_noise; /* less than it differs between rounds */
};

/* A figure over the number of segments. */
struct curve {
    const char *kernel; /* on which: «kernel», or «fake» */
    const char *id, *title, *unit;
    struct {
        int n;
        double figure;
    } points[8];
    size_t n_points;
};

struct report {
    bool is_quick; /* few rounds: no figure of it counts */
    struct row rows[200];
    size_t n_rows;
    struct curve curves[20];
    size_t n_curves;
    char notes[32][240];
    size_t n_notes;
};

void report_row(struct report *r, struct row row);
/* One point more of a curve. The texts are for good. */
void report_point(struct report *r, const char *kernel, const char *id, const char *title,
                  const char *unit, int n, double figure);
/* A sentence for the foot of the table: what was absent, how noisy it was. */
void report_note(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

void report_print(const struct report *r);
/* Writes the JSON to the file PATH. */
void report_write(const struct report *r, const char *path);

#endif
