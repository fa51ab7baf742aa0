/* SPDX-License-Identifier: MIT */
/*
 * The oracle: what clients may conclude from the answers, against a model of its own (model.h). It
 * sees what is sent and answered, what is told, what the kernel holds, and nothing of the daemon's
 * own opinion but the log of events.
 */
#ifndef SHMD_TESTS_SIMULATION_ORACLE_H
#define SHMD_TESTS_SIMULATION_ORACLE_H

#include "tests/simulation/world.h"

struct oracle *oracle_new(struct world *w);
void oracle_free(struct oracle *o);

/* --- what the world does */

/* C sends TEXT, a request or a batch. HANDLE: what its answer is called by later steps. */
void oracle_said(struct oracle *o, struct connection *c, const char *text);
/* C sends something that is no good request: the answer has CODE, and ID if that can be told. */
void oracle_said_badly(struct oracle *o, struct connection *c, int code, long long id);
/* Something happened in the kernel without the daemon. */
void oracle_look_outside(struct oracle *o);
/* The same, while the daemon was in the midst of a request. */
void oracle_look_inside(struct oracle *o);
/* Somebody is about to attach or detach: what the daemon itself did before in the same second hides
 * that. */
void oracle_note_times(struct oracle *o);
/* The daemon itself has attached or detached SHMID: what came before shows in the count alone. */
void oracle_daemon_moved(struct oracle *o, int32_t shmid);
/* P has attached it. */
void oracle_attached(struct oracle *o, int32_t shmid);
void oracle_detached(struct oracle *o, int32_t shmid);
/* Whether the daemon of PID, which was killed, has left a segment of SIZE that no record has and
 * that nobody has attached. */
bool oracle_has_left(const struct oracle *o, int32_t pid, uint64_t size);
/* The daemon has been killed, or has ended in order. */
void oracle_daemon_ended(struct oracle *o, bool was_killed);
/* It runs. RECORDS_ARE_LOST: it began anew. */
void oracle_daemon_started(struct oracle *o, bool records_are_lost, bool had_fault);
/* For MS the daemon has looked at nothing. */
void oracle_hung(struct oracle *o, int64_t ms);
/* The machine was started again: nothing of the segments is left. */
void oracle_rebooted(struct oracle *o);

/* --- what the daemon does */

/* C was served: N of its requests have been executed; of a single one, the world knows its looks.
 * HAD_FAULT: a seam failed meanwhile. */
void oracle_served(struct oracle *o, struct connection *c, uint64_t n, bool had_fault,
                   bool was_killed);
/* Events may have been told, and waits answered. */
void oracle_published(struct oracle *o);
/* A turn is over: all of it that is to be told has been. */
void oracle_turn_ended(struct oracle *o);
void oracle_closed(struct oracle *o, struct connection *c);
void oracle_refused(struct oracle *o, struct connection *c, const struct writer *answer);

/* --- what must hold */

/* After each turn: the kernel has what the model says. */
void oracle_check_kernel(struct oracle *o);
/* Nothing has work: all that was asked is answered, and what should have ended has ended. */
void oracle_check_settled(struct oracle *o);

#endif
