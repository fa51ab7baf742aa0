# SPDX-License-Identifier: MIT
# The attacks of one user on the service of another, against the real daemon. `make check-isolation` runs
# them, `make bench-isolation` measures them; those in isolation_tests are no part of `make check`.
isolation_programs = tests/isolation/flood tests/isolation/victim
check_PROGRAMS += $(isolation_programs)
tests_isolation_flood_SOURCES = tests/isolation/flood.c tests/isolation/support.c tests/isolation/support.h
tests_isolation_flood_LDADD =
tests_isolation_victim_SOURCES = tests/isolation/victim.c tests/isolation/support.c tests/isolation/support.h
tests_isolation_victim_LDADD =
CLEANFILES += bench-isolation.json

isolation_tests = \
	tests/isolation/test_attacks.py \
	tests/isolation/test_caps.py \
	tests/isolation/test_identity.py \
	tests/isolation/test_log.py \
	tests/isolation/test_memory.py \
	tests/isolation/test_names.py \
	tests/isolation/test_turns.py \
	tests/isolation/test_watchdog.py
EXTRA_DIST += $(isolation_tests) tests/isolation/attacks.py tests/isolation/bench.py tests/isolation/isolation.py

check-isolation: shmd$(EXEEXT) shmdctl$(EXEEXT) $(isolation_programs)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(isolation_tests)'

# `make bench-isolation isolation_attacks='Batches Waiters'`: only those attacks.
isolation_attacks =
bench-isolation: shmd$(EXEEXT) $(isolation_programs)
	abs_top_builddir='$(abs_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		python3 $(top_srcdir)/tests/isolation/bench.py $(abs_builddir)/bench-isolation.json $(isolation_attacks)

.PHONY: bench-isolation check-isolation
