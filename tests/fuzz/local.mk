# SPDX-License-Identifier: MIT
# Fuzz targets. `make check` replays their corpora under any compiler; `make fuzz`, in a tree that is
# configured with --enable-fuzzers CC=clang, runs each for fuzz_seconds.
fuzz_names = answer scanner request session state config
fuzz_replays = \
	tests/fuzz/replay_answer \
	tests/fuzz/replay_config \
	tests/fuzz/replay_request \
	tests/fuzz/replay_scanner \
	tests/fuzz/replay_session \
	tests/fuzz/replay_state
fuzz_tests = tests/fuzz/replay.sh
fuzz_seconds = 60

fuzz_libs = libshmdaemon.la libcore.la libprotocol.la $(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus $(fuzz_tests)

check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_tests)
tests_fuzz_replay_answer_SOURCES = tests/fuzz/fuzz_answer.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_answer_LDADD = $(fuzz_libs)
tests_fuzz_replay_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_config_LDADD = $(fuzz_libs)
tests_fuzz_replay_request_SOURCES = tests/fuzz/fuzz_request.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_request_LDADD = $(fuzz_libs)
tests_fuzz_replay_scanner_SOURCES = tests/fuzz/fuzz_scanner.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_scanner_LDADD = $(fuzz_libs)
tests_fuzz_replay_session_SOURCES = tests/fuzz/fuzz_session.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_session_LDADD = libcorefakes.la libfakes.la $(fuzz_libs) $(CMOCKA_LIBS)
tests_fuzz_replay_session_LDFLAGS = $(core_fixture_flags)
tests_fuzz_replay_state_SOURCES = tests/fuzz/fuzz_state.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_replay_state_LDADD = libjournalfakes.la $(fuzz_libs)

if FUZZERS
fuzz_targets = \
	tests/fuzz/fuzz_answer \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_request \
	tests/fuzz/fuzz_scanner \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_state
noinst_PROGRAMS += $(fuzz_targets)
tests_fuzz_fuzz_answer_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_answer_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_request_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_request_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_scanner_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_scanner_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_session_LDADD = libcorefakes.la libfakes.la $(fuzz_libs) $(CMOCKA_LIBS)
tests_fuzz_fuzz_session_LDFLAGS = $(core_fixture_flags) -fsanitize=fuzzer
tests_fuzz_fuzz_state_LDADD = libjournalfakes.la $(fuzz_libs)
tests_fuzz_fuzz_state_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

# Each target runs in as many processes as there are processors (fuzz_jobs). What is found new stays in
# fuzz-corpus/ of the build, with the log of each process; a finding goes to the source's corpus. Memory that
# was freed is kept for a short while and its owners are not remembered, for that takes most of the time:
# replay_NAME with a finding shows them.
fuzz_asan_options = quarantine_size_mb=8:malloc_context_size=2
fuzz_jobs = $$(nproc)
fuzz: all libfakes.la libjournalfakes.la
if FUZZERS
	@for name in $(fuzz_names); do \
		mkdir -p fuzz-corpus/$$name || exit 1; \
		rm -f fuzz-corpus/fuzz-*.log; \
		echo "== $$name for $(fuzz_seconds) s"; \
		(cd fuzz-corpus && ASAN_OPTIONS=$(fuzz_asan_options):$$ASAN_OPTIONS \
			../tests/fuzz/fuzz_$$name -jobs=$(fuzz_jobs) -workers=$(fuzz_jobs) \
			-max_total_time=$(fuzz_seconds) -max_len=8192 -timeout=20 -rss_limit_mb=2048 \
			-print_final_stats=1 -artifact_prefix=$$name- \
			-dict=$(abs_top_srcdir)/tests/fuzz/words.dict \
			$$name $(abs_top_srcdir)/tests/fuzz/corpus/$$name >/dev/null 2>&1) || \
			{ tail -n 60 fuzz-corpus/fuzz-*.log; exit 1; }; \
		awk -v name=$$name '/number_of_executed_units/ { n += $$2; jobs++ } \
			END { printf "%s: %d executions in %d processes\n", name, n, jobs; exit n == 0 }' \
			fuzz-corpus/fuzz-*.log || exit 1; \
	done
else
	@echo 'configure with --enable-fuzzers --enable-sanitizers CC=clang' >&2; exit 1
endif
EXTRA_DIST += tests/fuzz/words.dict

.PHONY: fuzz
