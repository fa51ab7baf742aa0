/* SPDX-License-Identifier: MIT */
/* doctor's checks of limits that are used up, or too narrow: the kernel's and the daemon's. */
#ifndef SHMD_CLIENT_CLI_DOCTOR_LIMITS_H
#define SHMD_CLIENT_CLI_DOCTOR_LIMITS_H

#include "client/cli/doctor_checks.h"

void check_quota(const struct doctor_facts *m, struct finding *f);
void check_shmmni(const struct doctor_facts *m, struct finding *f);
void check_shmall(const struct doctor_facts *m, struct finding *f);
void check_shmmax(const struct doctor_facts *m, struct finding *f);
void check_semaphores(const struct doctor_facts *m, struct finding *f);
void check_queues(const struct doctor_facts *m, struct finding *f);

#endif
