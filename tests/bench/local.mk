# SPDX-License-Identifier: MIT
# `make bench` measures; `make bench bench_parts='exchange idle'` only those parts. No test: it says
# how fast, and never whether that is enough to pass.
EXTRA_PROGRAMS = tests/bench/bench
tests_bench_bench_SOURCES = \
	tests/bench/bench.c tests/bench/bench.h \
	tests/bench/calls.c tests/bench/calls.h \
	tests/bench/connections.c \
	tests/bench/data.c \
	tests/bench/disturbed.c \
	tests/bench/exchange.c \
	tests/bench/fairness.c \
	tests/bench/growth.c tests/bench/growth.h \
	tests/bench/idle.c \
	tests/bench/library.c \
	tests/bench/python.c \
	tests/bench/report.c tests/bench/report.h \
	tests/bench/segments.c \
	tests/bench/seldom.c \
	tests/bench/server.c tests/bench/server.h \
	tests/bench/store.c \
	tests/bench/support.c tests/bench/support.h
tests_bench_bench_LDADD = libshmd.la libstore.la libprotocol.la
EXTRA_PROGRAMS += tests/bench/growth_fake
tests_bench_growth_fake_SOURCES = \
	tests/bench/calls.c tests/bench/calls.h \
	tests/bench/growth_fake.c tests/bench/growth.h \
	tests/bench/support.c tests/bench/support.h
tests_bench_growth_fake_LDADD = libcorefakes.la libfakes.la libshmdaemon.la $(LDADD)
CLEANFILES += tests/bench/bench$(EXEEXT) tests/bench/growth_fake$(EXEEXT) bench.json
EXTRA_DIST += tests/bench/costs.py tests/bench/instructions.txt
check_LTLIBRARIES += tests/bench/same_each_time.la
tests_bench_same_each_time_la_SOURCES = tests/bench/same_each_time.c
tests_bench_same_each_time_la_LDFLAGS = -module -avoid-version -rpath $(abs_builddir)
EXTRA_DIST += tests/bench/walk.py tests/bench/walk_hooks.c
EXTRA_DIST += tests/bench/drop_in.py
EXTRA_DIST += tests/bench/run.sh tests/bench/plot.py docs/performance.md docs/performance.svg

bench_parts =
bench: shmd$(EXEEXT) tests/bench/bench$(EXEEXT) tests/bench/growth_fake$(EXEEXT)
	$(SHELL) $(top_srcdir)/tests/bench/run.sh tests/bench/bench$(EXEEXT) ./shmd$(EXEEXT) \
		$(abs_builddir)/bench.json $(bench_parts)

# What a request costs, counted: a table, and a guard against growth that nobody noticed. A change
# that is worth its instructions writes the baseline, too.
costs = $${PYTHON:-python3} $(top_srcdir)/tests/bench/costs.py ./shmd$(EXEEXT)
# What docs/performance.md shows: of the last `make bench`, and counted anew.
bench-page: shmd$(EXEEXT) tests/bench/same_each_time.la
	$${PYTHON:-python3} $(top_srcdir)/tests/bench/plot.py bench.json \
		--svg $(top_srcdir)/docs/performance.svg --page $(top_srcdir)/docs/performance.md
	$(costs) --page $(top_srcdir)/docs/performance.md
bench-costs: shmd$(EXEEXT) tests/bench/same_each_time.la
	$(costs)
check-instructions: shmd$(EXEEXT) tests/bench/same_each_time.la
	@$(costs) --check $(top_srcdir)/tests/bench/instructions.txt
baseline-instructions: shmd$(EXEEXT) tests/bench/same_each_time.la
	$(costs) --write $(top_srcdir)/tests/bench/instructions.txt

.PHONY: bench bench-page bench-costs check-instructions baseline-instructions
