# SPDX-License-Identifier: MIT
# Everything runs under automake's parallel harness and speaks TAP: `make check` runs all tests,
# `make check-unit` the unit tests alone, `make check-valgrind` those under valgrind, `make coverage`
# those with gcov, and `make lint` checks the source. A new test is one line in one of the lists.

# Unit tests: a program each, from tests/unit/NAME.c. What they link with is LDADD, below.
unit_tests = \
	tests/unit/test_access \
	tests/unit/test_adopt \
	tests/unit/test_anchor \
	tests/unit/test_audit \
	tests/unit/test_cli_parse \
	tests/unit/test_cli_words \
	tests/unit/test_config \
	tests/unit/test_connection \
	tests/unit/test_contents \
	tests/unit/test_create \
	tests/unit/test_deadlines \
	tests/unit/test_declare \
	tests/unit/test_declared \
	tests/unit/test_disown \
	tests/unit/test_dispatch \
	tests/unit/test_doctor \
	tests/unit/test_errors \
	tests/unit/test_event_log \
	tests/unit/test_fake_sysv \
	tests/unit/test_hold \
	tests/unit/test_ties \
	tests/unit/test_json_arena \
	tests/unit/test_json_check \
	tests/unit/test_json_slice \
	tests/unit/test_journal \
	tests/unit/test_journal_damage \
	tests/unit/test_journal_faults \
	tests/unit/test_journal_host \
	tests/unit/test_journal_rewrite \
	tests/unit/test_jsonrpc \
	tests/unit/test_jsonrpc_client \
	tests/unit/test_list \
	tests/unit/test_log \
	tests/unit/test_find \
	tests/unit/test_hash_table \
	tests/unit/test_memory \
	tests/unit/test_message \
	tests/unit/test_methods \
	tests/unit/test_options \
	tests/unit/test_orphan \
	tests/unit/test_orphans \
	tests/unit/test_outbox \
	tests/unit/test_outcome_to_error \
	tests/unit/test_params \
	tests/unit/test_params_encode \
	tests/unit/test_plain \
	tests/unit/test_plain_answer \
	tests/unit/test_plain_text \
	tests/unit/test_progress \
	tests/unit/test_quota \
	tests/unit/test_reconcile \
	tests/unit/test_registry \
	tests/unit/test_removal \
	tests/unit/test_replace \
	tests/unit/test_reply \
	tests/unit/test_residency \
	tests/unit/test_rpc \
	tests/unit/test_scanner \
	tests/unit/test_segment_json \
	tests/unit/test_serial_map \
	tests/unit/test_session \
	tests/unit/test_set \
	tests/unit/test_shmd_h \
	tests/unit/test_siphash \
	tests/unit/test_subscribe \
	tests/unit/test_terms \
	tests/unit/test_top_draw \
	tests/unit/test_top_model \
	tests/unit/test_turns \
	tests/unit/test_facts \
	tests/unit/test_ledger \
	tests/unit/test_verdict \
	tests/unit/test_wait \
	tests/unit/test_writer

# One suite for each seam of the daemon, run over the real thing and over the fake.
contract_tests = \
	tests/contract/test_store \
	tests/contract/test_sysv
tests_contract_test_sysv_LDADD = libfakes.la libshmdaemon.la $(LDADD)

# Tests that run the daemon and the command: `python3 FILE` or `bash FILE` prints TAP.
integration_tests = \
	tests/setup/test_ci.sh \
	tests/setup/test_quickstart.sh \
	tests/setup/test_without_ncurses.sh \
	tests/bench/test_plot.py \
	tests/mutants/test_mutants.py \
	tests/integration/test_access.py \
	tests/integration/test_adopt.py \
	tests/integration/test_chaos.py \
	tests/integration/test_classic.py \
	tests/integration/test_cookbook.py \
	tests/integration/test_completion.py \
	tests/integration/test_create.py \
	tests/integration/test_daemon.py \
	tests/integration/test_declared.py \
	tests/integration/test_doctor.py \
	tests/integration/test_events.py \
	tests/integration/test_examples.py \
	tests/integration/test_faults.py \
	tests/integration/test_gc.py \
	tests/integration/test_harness.py \
	tests/integration/test_missing.py \
	tests/integration/test_hello.py \
	tests/integration/test_hostile.py \
	tests/integration/test_info.py \
	tests/integration/test_json_rpc_table.py \
	tests/integration/test_kernel_facts.py \
	tests/integration/test_kills.py \
	tests/integration/test_leaks.py \
	tests/integration/test_library.py \
	tests/integration/test_lifetimes.py \
	tests/integration/test_limits.py \
	tests/integration/test_list.py \
	tests/integration/test_methods.py \
	tests/integration/test_manuals.py \
	tests/packages/test_claims.py \
	tests/packages/test_image.py \
	tests/packages/test_spec.py \
	tests/integration/test_metrics.py \
	tests/integration/test_mutations.py \
	tests/integration/test_out_of_band.py \
	tests/integration/test_pids.py \
	tests/integration/test_protocol_md.py \
	tests/integration/test_documents.py \
	tests/integration/test_disown.py \
	tests/integration/test_holding.py \
	tests/integration/test_holding_races.py \
	tests/integration/test_publish.py \
	tests/integration/test_trust.py \
	tests/integration/test_words.py \
	tests/integration/test_idle.py \
	tests/integration/test_readiness.py \
	tests/integration/test_replace.py \
	tests/integration/test_readme.py \
	tests/integration/test_reconcile.py \
	tests/integration/test_reload.py \
	tests/integration/test_restart.py \
	tests/integration/test_shmdctl.py \
	tests/integration/test_shmdctl_list.py \
	tests/integration/test_shmdctl_rm.py \
	tests/integration/test_shmdctl_top.py \
	tests/integration/test_shmdctl_daemon.py \
	tests/integration/test_store.py \
	tests/integration/test_target.py \
	tests/integration/test_wait_goes_on.py \
	tests/integration/test_wire.py \
	tests/interop/test_interop.py \
	tests/python/test_aio.py \
	tests/python/test_distribution.py \
	tests/python/test_lives.py \
	tests/python/test_package.py \
	tests/python/test_shared_memory.py \
	tests/interop/real/test_perl.py \
	tests/interop/real/test_php.py \
	tests/interop/real/test_postgresql.py \
	tests/interop/real/test_python_sysv_ipc.py \
	tests/interop/real/test_qt.py \
	tests/interop/real/test_xvfb.py

# Checks of the source itself: of the files that git tracks, or of those that a release lists. They
# need tools of one version, and so they are no part of `make check`.
lint_tests = \
	tests/lint/layers.sh \
	tests/lint/format.sh \
	tests/lint/wording.sh \
	tests/lint/promises.sh \
	tests/lint/spdx.sh \
	tests/lint/shellcheck.sh
EXTRA_DIST += tests/lint/lib.sh
lint:
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(lint_tests)'

# A release has no git, so it lists its files.
dist-hook:
	cd $(distdir) && find . -type f -print | sed 's|^\./||' | LC_ALL=C sort >files.tmp && \
		grep -v '^files\.tmp$$' files.tmp >tests/lint/files && rm files.tmp

# The circles of calls between files, told from what make has built here.
EXTRA_DIST += tests/lint/circles.sh
check-circles: all
	@abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' CC='$(CC)' \
		bash $(top_srcdir)/tests/lint/circles.sh

# The binary interface of libshmd against the file that tells it; `make baseline-abi` writes that anew.
EXTRA_DIST += tests/abi/check.sh tests/abi/without_growth.py tests/abi/libshmd.abi tests/abi/suppressions
abi_check = abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' bash $(top_srcdir)/tests/abi/check.sh
check-abi: libshmd.la
	@$(abi_check)
baseline-abi: libshmd.la
	@$(abi_check) renew

# The units under a real systemd, in a container.
systemd_tests = tests/systemd/test_systemd.py
check_PROGRAMS += tests/systemd/probe
tests_systemd_probe_LDADD =
EXTRA_DIST += $(systemd_tests) tests/systemd/container.py tests/systemd/this_machine.py tests/systemd/client.py

# What tests need and what is not a test.
EXTRA_DIST += $(integration_tests) $(lint_tests)
EXTRA_DIST += tests/integration/journal_file.py
EXTRA_DIST += tests/packages/containerfile.py tests/packages/image.py
EXTRA_DIST += tests/integration/harness.py tests/integration/machine.py tests/integration/sysv.py tests/integration/tap.py
EXTRA_DIST += tests/integration/missing.py
EXTRA_DIST += tests/integration/chaos.py tests/integration/peers.py tests/integration/smallfs.py tests/integration/tracing.py
EXTRA_DIST += tests/integration/command.py tests/integration/terminal.py tests/integration/fake_daemon.py
check_headers = tests/unit/support.h \
	tests/unit/core_case.h tests/unit/rpc_case.h
EXTRA_DIST += $(check_headers)

LDADD = libprotocol.la $(CMOCKA_LIBS) $(JANSSON_LIBS)

# libshmd as its users have it, for test_library.py.
check_PROGRAMS += tests/integration/library tests/integration/pipelined
tests_integration_library_LDADD = libshmd.la
tests_integration_pipelined_LDADD = libshmd.la
EXTRA_DIST += tests/integration/library_checks.h tests/integration/wrapped.cpp
EXTRA_DIST += tests/integration/programs.py tests/python/package.py
EXTRA_DIST += tests/interop/real/real.py tests/interop/real/shared_memory.cpp

# For test_gc.py and test_doctor.py: -rpath makes libtool build what can be loaded.
check_LTLIBRARIES += tests/integration/later.la
tests_integration_later_la_SOURCES = tests/integration/later.c
tests_integration_later_la_LDFLAGS = -module -avoid-version -rpath $(abs_builddir)

# Programs that know nothing of shmd, for test_classic.py.
classic_programs = \
	tests/integration/classic/creator \
	tests/integration/classic/reader \
	tests/integration/classic/remover \
	tests/integration/classic/writer
check_PROGRAMS += $(classic_programs)
tests_integration_classic_creator_LDADD =
tests_integration_classic_reader_LDADD =
tests_integration_classic_remover_LDADD =
tests_integration_classic_writer_LDADD =

# Kernel, clock and other things that do as a test says.
check_LTLIBRARIES += libfakes.la
libfakes_la_SOURCES = \
	tests/fakes/fake_clock.c tests/fakes/fake_clock.h \
	tests/fakes/fake_store.c tests/fakes/fake_store.h \
	tests/fakes/fake_sysv.c tests/fakes/fake_sysv.h
tests_unit_test_cli_parse_SOURCES = tests/unit/test_cli_parse.c client/cli/format.c client/cli/parse.c
tests_unit_test_cli_words_SOURCES = tests/unit/test_cli_words.c client/cli/meant.c client/cli/near.c
tests_unit_test_plain_text_SOURCES = tests/unit/test_plain_text.c client/cli/plain_text.c
tests_unit_test_progress_SOURCES = tests/unit/test_progress.c client/cli/format.c client/cli/progress.c
tests_unit_test_doctor_SOURCES = tests/unit/test_doctor.c client/cli/doctor_checks.c client/cli/format.c \
	client/cli/declared_facts.c client/cli/doctor_config.c client/cli/doctor_facts.c client/cli/doctor_limits.c \
	client/cli/doctor_orphans.c client/cli/kernel_segments.c client/cli/logind_conf.c client/cli/parse.c \
	client/cli/plain_text.c
tests_unit_test_doctor_CPPFLAGS = $(AM_CPPFLAGS) -DSHMD_CONFIG_DIR='"/etc/shmd"'
top_model_sources = client/cli/top_model.c client/cli/top_view.c
tests_unit_test_top_model_SOURCES = tests/unit/test_top_model.c $(top_model_sources)
tests_unit_test_top_draw_SOURCES = tests/unit/test_top_draw.c $(top_model_sources) client/cli/format.c \
	client/cli/plain_text.c client/cli/table.c client/cli/top_draw.c client/cli/top_tables.c
tests_unit_test_top_draw_LDADD = libshmd.la $(LDADD)
tests_unit_test_orphans_SOURCES = tests/unit/test_orphans.c client/cli/kernel_segments.c client/cli/orphans.c
tests_unit_test_fake_sysv_LDADD = libfakes.la $(LDADD)
tests_unit_test_access_LDADD = libcore.la $(LDADD)
tests_unit_test_config_LDADD = libshmdaemon.la $(LDADD)
tests_unit_test_deadlines_LDADD = libcore.la $(LDADD)
tests_unit_test_declared_LDADD = libshmdaemon.la $(LDADD)
tests_unit_test_event_log_LDADD = libcore.la $(LDADD)
tests_unit_test_log_SOURCES = tests/unit/test_log.c daemon/util/journal_entry.c daemon/util/log.c
tests_unit_test_log_LDADD = $(SYSTEMD_LIBS) $(LDADD)
tests_unit_test_options_LDADD = libshmdaemon.la $(LDADD)
tests_unit_test_shmd_h_LDADD = libshmd.la $(LDADD)
tests_unit_test_quota_LDADD = libcore.la $(LDADD)
tests_unit_test_registry_LDADD = libcore.la $(LDADD)
tests_unit_test_hash_table_LDADD = libutil.la $(LDADD)
tests_unit_test_siphash_LDADD = libcore.la $(LDADD)
tests_unit_test_turns_LDADD = libfakes.la libshmdaemon.la $(LDADD)
tests_unit_test_residency_LDADD = libfakes.la libcore.la $(LDADD)
tests_unit_test_verdict_LDADD = libcore.la $(LDADD)

# A journal on a directory in memory that a test can break.
check_LTLIBRARIES += libjournalfakes.la
libjournalfakes_la_SOURCES = \
	tests/fakes/fake_host.c tests/fakes/fake_host.h \
	tests/fakes/journal_world.c tests/fakes/journal_world.h
check_headers += tests/unit/journal_case.h
journal_world = libjournalfakes.la libstore.la $(LDADD)
tests_unit_test_journal_LDADD = $(journal_world)
tests_unit_test_journal_damage_LDADD = $(journal_world)
tests_unit_test_journal_faults_LDADD = $(journal_world)
tests_unit_test_journal_rewrite_LDADD = $(journal_world)
tests_unit_test_journal_host_LDADD = libstore.la $(LDADD)
tests_contract_test_store_LDADD = libfakes.la $(journal_world)
tests_unit_test_contents_LDADD = libstore.la $(LDADD)
tests_unit_test_serial_map_LDADD = libstore.la $(LDADD)

# A core on fakes, with memory that runs out on cue.
check_LTLIBRARIES += libcorefakes.la
libcorefakes_la_SOURCES = \
	tests/fakes/allocators.h \
	tests/fakes/change.c tests/fakes/change.h \
	tests/fakes/core_checks.c \
	tests/fakes/core_fixture.c tests/fakes/core_fixture.h \
	tests/fakes/fake_memory.c tests/fakes/fake_memory.h \
	tests/fakes/fake_processes.c tests/fakes/fake_processes.h
check_LTLIBRARIES += librpcfakes.la
librpcfakes_la_SOURCES = tests/fakes/rpc_fixture.c tests/fakes/rpc_fixture.h
rpc_fixture = librpcfakes.la libcorefakes.la libfakes.la libshmdaemon.la $(LDADD)
core_fixture = libcorefakes.la libfakes.la libcore.la libstore.la $(LDADD)
core_fixture_flags = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=tsearch
tests_unit_test_create_LDADD = $(core_fixture)
tests_unit_test_create_LDFLAGS = $(core_fixture_flags)
tests_unit_test_set_LDADD = $(core_fixture)
tests_unit_test_set_LDFLAGS = $(core_fixture_flags)
tests_unit_test_hold_LDADD = $(core_fixture)
tests_unit_test_hold_LDFLAGS = $(core_fixture_flags)
tests_unit_test_facts_LDADD = $(core_fixture)
tests_unit_test_facts_LDFLAGS = $(core_fixture_flags)
tests_unit_test_ledger_LDADD = $(core_fixture)
tests_unit_test_ledger_LDFLAGS = $(core_fixture_flags)
tests_unit_test_list_LDADD = $(core_fixture)
tests_unit_test_list_LDFLAGS = $(core_fixture_flags)
tests_unit_test_find_LDADD = $(core_fixture)
tests_unit_test_find_LDFLAGS = $(core_fixture_flags)
tests_unit_test_removal_LDADD = $(core_fixture)
tests_unit_test_removal_LDFLAGS = $(core_fixture_flags)
tests_unit_test_anchor_LDADD = $(core_fixture)
tests_unit_test_anchor_LDFLAGS = $(core_fixture_flags)
tests_unit_test_reconcile_LDADD = $(core_fixture)
tests_unit_test_reconcile_LDFLAGS = $(core_fixture_flags)
tests_unit_test_adopt_LDADD = $(core_fixture)
tests_unit_test_adopt_LDFLAGS = $(core_fixture_flags)
tests_unit_test_disown_LDADD = $(core_fixture)
tests_unit_test_disown_LDFLAGS = $(core_fixture_flags)
tests_unit_test_replace_LDADD = $(core_fixture)
tests_unit_test_replace_LDFLAGS = $(core_fixture_flags)
tests_unit_test_wait_LDADD = $(core_fixture)
tests_unit_test_wait_LDFLAGS = $(core_fixture_flags)
tests_unit_test_declare_LDADD = $(core_fixture)
tests_unit_test_declare_LDFLAGS = $(core_fixture_flags)
tests_unit_test_ties_LDADD = $(core_fixture)
tests_unit_test_ties_LDFLAGS = $(core_fixture_flags)
tests_unit_test_session_LDADD = $(rpc_fixture)
tests_unit_test_session_LDFLAGS = $(core_fixture_flags)
tests_unit_test_connection_LDADD = $(rpc_fixture)
tests_unit_test_connection_LDFLAGS = $(core_fixture_flags) \
	-Wl,--wrap=send,--wrap=recv,--wrap=log_hold,--wrap=log_release,--wrap=log_entry,--wrap=rpc_publish
tests_unit_test_rpc_LDADD = $(rpc_fixture)
tests_unit_test_rpc_LDFLAGS = $(core_fixture_flags)
tests_unit_test_subscribe_LDADD = $(rpc_fixture)
tests_unit_test_subscribe_LDFLAGS = $(core_fixture_flags)
tests_unit_test_memory_LDADD = $(rpc_fixture)
tests_unit_test_memory_LDFLAGS = $(core_fixture_flags)
tests_unit_test_dispatch_LDADD = $(rpc_fixture)
tests_unit_test_dispatch_LDFLAGS = $(core_fixture_flags)
tests_unit_test_audit_LDADD = $(rpc_fixture)
tests_unit_test_audit_LDFLAGS = $(core_fixture_flags) -Wl,--wrap=log_entry,--wrap=log_line
tests_unit_test_outbox_LDADD = libshmdaemon.la $(LDADD)
tests_unit_test_outbox_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc
tests_unit_test_outcome_to_error_LDADD = $(rpc_fixture)
tests_unit_test_outcome_to_error_LDFLAGS = $(core_fixture_flags)

# Where the log's entries go, and how often it looks.
tests_unit_test_log_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getenv,--wrap=sendmmsg

# Users and groups, and memory that runs out when the test says so.
tests_unit_test_config_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getgrnam -Wl,--wrap=getpwnam
tests_unit_test_deadlines_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=reallocarray
tests_unit_test_event_log_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc
tests_unit_test_jsonrpc_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc
tests_unit_test_message_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=realloc
tests_unit_test_quota_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc,--wrap=tsearch
tests_unit_test_registry_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc,--wrap=reallocarray
tests_unit_test_scanner_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc
tests_unit_test_writer_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests) $(contract_tests)
AM_CFLAGS += $(CMOCKA_CFLAGS)
TESTS += $(unit_tests) $(contract_tests)
check-unit: $(check_LTLIBRARIES) $(unit_tests) $(contract_tests)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(unit_tests) $(contract_tests)'
else
check-local check-unit:
	@echo 'The unit tests did not run: cmocka was not there at configure time (Debian: libcmocka-dev).' >&2; exit 1
endif
TESTS += $(integration_tests) $(systemd_tests)

# What check-valgrind and coverage call.
EXTRA_DIST += tests/coverage.sh tests/valgrind.sh

TEST_EXTENSIONS = .sh .py
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
SH_LOG_DRIVER = $(tap_driver)
SH_LOG_COMPILER = bash
PY_LOG_DRIVER = $(tap_driver)
PY_LOG_COMPILER = python3
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; \
	UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS;

.PHONY: check-unit check-circles check-abi baseline-abi lint
