# SPDX-License-Identifier: MIT
# A simulated world: the daemon from rpc/ down, over fakes, from a seed. README.md tells what it does.
check_LTLIBRARIES += libsimulation.la
libsimulation_la_SOURCES = \
	tests/simulation/actors.c tests/simulation/actors.h \
	tests/simulation/answers.c \
	tests/simulation/cut_off.c \
	tests/simulation/events.c \
	tests/simulation/holds.c \
	tests/simulation/judge.c \
	tests/simulation/log_lines.c \
	tests/simulation/loop.c tests/simulation/loop.h \
	tests/simulation/model.c tests/simulation/model.h \
	tests/simulation/oracle.c tests/simulation/oracle.h tests/simulation/oracle_state.h \
	tests/simulation/random.h \
	tests/simulation/quotas.c \
	tests/simulation/requests.c tests/simulation/requests.h \
	tests/simulation/run.c tests/simulation/run.h \
	tests/simulation/script.c tests/simulation/script.h \
	tests/simulation/seams.c tests/simulation/seams.h \
	tests/simulation/shares.c tests/simulation/shares.h \
	tests/simulation/shown.c tests/simulation/shown.h \
	tests/simulation/shrink.c tests/simulation/shrink.h \
	tests/simulation/world.c tests/simulation/world.h \
	tests/simulation/written.c
simulation = libsimulation.la libcorefakes.la libfakes.la libjournalfakes.la libshmdaemon.la $(LDADD)
simulation_flags = $(core_fixture_flags) -Wl,--wrap=log_entry,--wrap=outbox_answer,--wrap=batch_answer
check_PROGRAMS += tests/simulation/simulate tests/simulation/replay
tests_simulation_simulate_LDADD = $(simulation)
tests_simulation_simulate_LDFLAGS = $(simulation_flags)
tests_simulation_replay_LDADD = $(simulation)
tests_simulation_replay_LDFLAGS = $(simulation_flags)

# What once failed, and half a minute of seeds. A slow machine gets through fewer of them.
simulation_tests = tests/simulation/check_kept.sh tests/simulation/check_seeds.sh
EXTRA_DIST += $(simulation_tests) tests/simulation/kept tests/simulation/README.md
TESTS += $(simulation_tests)

# Seeds that begin with the time of day: make simulate seconds=600
seconds = 60
simulate: tests/simulation/simulate
	tests/simulation/simulate --seconds $(seconds)
.PHONY: simulate
