# SPDX-License-Identifier: MIT
# `make soak` is too long for a test: everything at once, with clients killed all the time.
soak_seconds = 900
EXTRA_DIST += tests/soak/soak.py
soak: shmd$(EXEEXT)
	abs_top_builddir='$(abs_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		python3 $(top_srcdir)/tests/soak/soak.py --seconds $(soak_seconds)

.PHONY: soak

# `make soak-faults`, best in a build with --enable-sanitizers: random methods of four users while memory
# runs out. Needs root.
EXTRA_PROGRAMS += tests/soak/shmd_faults
EXTRA_DIST += tests/soak/faults.py
CLEANFILES += tests/soak/shmd_faults$(EXEEXT)
tests_soak_shmd_faults_SOURCES = daemon/main.c tests/soak/faults.c tests/fakes/allocators.h
tests_soak_shmd_faults_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_soak_shmd_faults_LDADD = libshmdaemon.la
tests_soak_shmd_faults_LDFLAGS = $(core_fixture_flags)
soak-faults: tests/soak/shmd_faults$(EXEEXT)
	abs_top_builddir='$(abs_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		python3 $(top_srcdir)/tests/soak/faults.py --seconds $(soak_seconds)

.PHONY: soak-faults
