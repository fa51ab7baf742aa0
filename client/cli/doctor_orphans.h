/* SPDX-License-Identifier: MIT */
/* doctor's checks of segments that nobody seems to need, and of what makes that hard to tell. */
#ifndef SHMD_CLIENT_CLI_DOCTOR_ORPHANS_H
#define SHMD_CLIENT_CLI_DOCTOR_ORPHANS_H

#include "client/cli/doctor_checks.h"

void check_orphans(const struct doctor_facts *m, struct finding *f);
void check_left(const struct doctor_facts *m, struct finding *f);
void check_undecided(const struct doctor_facts *m, struct finding *f);
void check_lost(const struct doctor_facts *m, struct finding *f);
void check_pid_namespace(const struct doctor_facts *m, struct finding *f);

#endif
