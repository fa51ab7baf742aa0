/* SPDX-License-Identifier: MIT */
/*
 * Which configuration the daemon that was asked reads, by the rules of shmd(8): what --config
 * names, none with a --socket or --state-dir of its own, the system's for root and system users,
 * and the user's own else.
 */
#ifndef SHMD_CLIENT_CLI_DOCTOR_CONFIG_H
#define SHMD_CLIENT_CLI_DOCTOR_CONFIG_H

#include "client/cli/doctor_facts.h"

/* By the socket alone, as long as nothing is known of the daemon's process. */
void doctor_config_guess(struct doctor_facts *facts);
/* By the command line of the daemon's process, if that is seen below ROOT. */
void doctor_config_read(const char *root, struct doctor_facts *facts);

#endif
