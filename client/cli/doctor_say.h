/* SPDX-License-Identifier: MIT */
/*
 * How a check of doctor says what it found, why that hurts, and how to mend it.
 */
#ifndef SHMD_CLIENT_CLI_DOCTOR_SAY_H
#define SHMD_CLIENT_CLI_DOCTOR_SAY_H

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/cli/doctor_checks.h"
#include "client/cli/parse.h"

static inline void __attribute__((format(printf, 3, 4)))
found(struct finding *f, enum severity severity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->found, sizeof(f->found), format, args);
    va_end(args);
    f->severity = severity;
}

static inline void __attribute__((format(printf, 2, 3)))
why(struct finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->why, sizeof(f->why), format, args);
    va_end(args);
}

static inline void __attribute__((format(printf, 2, 3)))
mend(struct finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->mend, sizeof(f->mend), format, args);
    va_end(args);
}

/* What stands before a command that only root may type. */
static inline const char *as_root(const struct doctor_facts *m)
{
    return m->is_root ? "" : "as root: ";
}

/* The same before what changes the daemon: others have one of their own. */
static inline const char *as_root_of_system(const struct doctor_facts *m)
{
    return m->socket.kind == DAEMON_SYSTEMS ? as_root(m) : "";
}

struct size_text {
    char text[32];
};

static inline struct size_text size_of(uint64_t bytes)
{
    struct size_text t = {""};
    format_size(bytes, t.text, sizeof(t.text));
    return t;
}

#define SIZE(bytes) (size_of(bytes).text)

static inline void not_checked(struct finding *f)
{
    found(f, SEVERITY_INFO, "not checked: no daemon answers");
}

/* More than 100 when a limit was lowered below what is in use. */
static inline unsigned percent(uint64_t used, uint64_t max)
{
    if (max == 0)
        return 100;
    double full = (double)used / (double)max * 100;
    return full < UINT_MAX ? (unsigned)full : UINT_MAX;
}

static inline enum severity by_percent(unsigned percent)
{
    enum { WARNING_PERCENT = 80, ERROR_PERCENT = 95 };
    if (percent >= ERROR_PERCENT)
        return SEVERITY_ERROR;
    return percent >= WARNING_PERCENT ? SEVERITY_WARNING : SEVERITY_OK;
}

#endif
