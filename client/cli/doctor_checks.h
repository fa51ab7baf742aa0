/* SPDX-License-Identifier: MIT */
/*
 * doctor's judgement: facts in, one finding per check out. No check asks anything itself, so that
 * each can be shown every machine there might be.
 */
#ifndef SHMD_CLIENT_CLI_DOCTOR_CHECKS_H
#define SHMD_CLIENT_CLI_DOCTOR_CHECKS_H

#include "client/cli/doctor_facts.h"

enum severity {
    SEVERITY_OK,
    SEVERITY_INFO, /* nothing hurts, but one may want to know it */
    SEVERITY_WARNING,
    SEVERITY_ERROR,
};

struct finding {
    const char *id;
    enum severity severity;
    char found[512];
    char why[512];  /* it hurts; "" of what is well */
    char mend[768]; /* how; "" where there is nothing to do */
};

enum { FINDINGS_MAX = 32 };

struct findings {
    struct finding rows[FINDINGS_MAX];
    size_t count;
};

void doctor_check(const struct doctor_facts *facts, struct findings *ret);
enum severity doctor_worst(const struct findings *findings);
/* "ok", "info", "warning", "error". */
const char *severity_word(enum severity severity);

#endif
