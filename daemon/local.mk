# SPDX-License-Identifier: MIT
# The daemon's floors, each a library so that tests can link what they need and no more.
noinst_LTLIBRARIES += libutil.la libcore.la libstore.la libshmdaemon.la
libutil_la_SOURCES = \
	daemon/util/array.c daemon/util/array.h \
	daemon/util/cleanup.h \
	daemon/util/container_of.h \
	daemon/util/hash_table.c daemon/util/hash_table.h \
	daemon/util/siphash.c daemon/util/siphash.h

libstore_la_SOURCES = \
	daemon/store/bytes.h \
	daemon/store/contents.c daemon/store/contents.h \
	daemon/store/encoding.c daemon/store/encoding.h \
	daemon/store/header.c daemon/store/header.h \
	daemon/store/host.h \
	daemon/store/host_linux.c daemon/store/host_linux.h \
	daemon/store/journal.h \
	daemon/store/journal_directory.c daemon/store/journal_directory.h \
	daemon/store/journal_dump.c \
	daemon/store/journal_file.c daemon/store/journal_file.h \
	daemon/store/journal_live.c daemon/store/journal_live.h \
	daemon/store/journal_open.c \
	daemon/store/journal_place.c daemon/store/journal_place.h \
	daemon/store/journal_read.c daemon/store/journal_read.h \
	daemon/store/journal_rewrite.c daemon/store/journal_rewrite.h \
	daemon/store/journal_scan.c daemon/store/journal_scan.h \
	daemon/store/journal_state.c daemon/store/journal_state.h \
	daemon/store/journal_write.c \
	daemon/store/record_rules.c \
	daemon/store/serial_map.c daemon/store/serial_map.h \
	daemon/store/store.h
libstore_la_LIBADD = libutil.la libprotocol.la

libcore_la_SOURCES = \
	daemon/core/access.c daemon/core/access.h \
	daemon/core/adopt.c daemon/core/adopt.h \
	daemon/core/anchor.c daemon/core/anchor.h \
	daemon/core/caller.h \
	daemon/core/charge.c daemon/core/charge.h \
	daemon/core/segment_charge.c daemon/core/segment_charge.h \
	daemon/core/core.c daemon/core/core.h \
	daemon/core/create.c daemon/core/create.h \
	daemon/core/deadlines.c daemon/core/deadlines.h \
	daemon/core/declaration.c daemon/core/declaration.h \
	daemon/core/declare.c daemon/core/declare.h \
	daemon/core/disown.c daemon/core/disown.h \
	daemon/core/ends.c daemon/core/ends.h \
	daemon/core/event_log.c daemon/core/event_log.h \
	daemon/core/find.c daemon/core/find.h \
	daemon/core/hold.c daemon/core/hold.h \
	daemon/core/kernel.c daemon/core/kernel.h \
	daemon/core/kernel_refusal.c daemon/core/kernel_refusal.h \
	daemon/core/ledger.c daemon/core/ledger.h \
	daemon/core/ledger_batch.c daemon/core/ledger_batch.h \
	daemon/core/limits.h \
	daemon/core/list.c daemon/core/list.h \
	daemon/core/lookup.c daemon/core/lookup.h \
	daemon/core/new_name.c daemon/core/new_name.h \
	daemon/core/new_segment.c daemon/core/new_segment.h \
	daemon/core/news.c daemon/core/news.h \
	daemon/core/outcome.h \
	daemon/core/party.c daemon/core/party.h \
	daemon/core/quota.c daemon/core/quota.h \
	daemon/core/reconcile.c daemon/core/reconcile.h \
	daemon/core/ready.c daemon/core/ready.h \
	daemon/core/registry.c daemon/core/registry.h \
	daemon/core/removal.c daemon/core/removal.h \
	daemon/core/remove.c daemon/core/remove.h \
	daemon/core/restore.c daemon/core/restore.h \
	daemon/core/residency.c daemon/core/residency.h \
	daemon/core/segment.c daemon/core/segment.h \
	daemon/core/set.c daemon/core/set.h \
	daemon/core/ties.c daemon/core/ties.h \
	daemon/core/use.c daemon/core/use.h \
	daemon/core/verdict.c daemon/core/verdict.h \
	daemon/core/view.c daemon/core/view.h \
	daemon/core/wait.c daemon/core/wait.h \
	daemon/core/work.c daemon/core/work.h \
	daemon/util/cleanup.h
libcore_la_LIBADD = libutil.la libprotocol.la

libshmdaemon_la_SOURCES = \
	daemon/config_names.c daemon/config_names.h \
	daemon/config.c daemon/config.h \
	daemon/config_errors.c daemon/config_errors.h \
	daemon/configuration.c daemon/configuration.h \
	daemon/declared.c daemon/declared.h \
	daemon/declared_check.c \
	daemon/io/connection.c daemon/io/connection.h \
	daemon/io/failed_start.c daemon/io/failed_start.h \
	daemon/io/listener.c daemon/io/listener.h \
	daemon/io/loop.c daemon/io/loop.h \
	daemon/io/process_watch.c daemon/io/process_watch.h \
	daemon/io/service_manager.c daemon/io/service_manager.h \
	daemon/io/trim.c daemon/io/trim.h \
	daemon/io/signals.c daemon/io/signals.h \
	daemon/options.c daemon/options.h \
	daemon/rpc/audit.c daemon/rpc/audit.h \
	daemon/rpc/batch.c daemon/rpc/batch.h daemon/rpc/buffers.h \
	daemon/rpc/dispatch.c daemon/rpc/dispatch.h \
	daemon/rpc/handlers_events.c \
	daemon/rpc/handlers_info.c \
	daemon/rpc/handlers_metrics.c \
	daemon/rpc/handlers_reload.c \
	daemon/rpc/handlers_segments.c \
	daemon/rpc/log_budget.c daemon/rpc/log_budget.h \
	daemon/rpc/outbox.c daemon/rpc/outbox.h \
	daemon/rpc/outcome_to_error.c daemon/rpc/outcome_to_error.h \
	daemon/rpc/rpc.c daemon/rpc/rpc.h \
	daemon/rpc/session.c daemon/rpc/session.h \
	daemon/rpc/subscription.c daemon/rpc/subscription.h \
	daemon/rpc/turns.c daemon/rpc/turns.h \
	daemon/rpc/waits.c daemon/rpc/waits.h \
	daemon/shmd.c daemon/shmd.h \
	daemon/sys/clock.h daemon/sys/clock_linux.c \
	daemon/sys/machine.c daemon/sys/machine.h \
	daemon/sys/process.h daemon/sys/process_linux.c \
	daemon/sys/sysv.h daemon/sys/sysv_linux.c \
	daemon/util/journal_entry.c daemon/util/journal_entry.h \
	daemon/util/log.c daemon/util/log.h
libshmdaemon_la_CPPFLAGS = $(AM_CPPFLAGS) -DSHMD_CONFIG_DIR='"$(shmd_configdir)"'
libshmdaemon_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(INIH_CFLAGS) \
	$(SYSTEMD_CFLAGS) $(SHMD_PIE_CFLAGS)
libshmdaemon_la_LIBADD = libcore.la libstore.la $(EVENT_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS)

sbin_PROGRAMS += shmd
shmd_SOURCES = daemon/main.c
shmd_CFLAGS = $(AM_CFLAGS) $(SHMD_PIE_CFLAGS)
shmd_LDFLAGS = $(AM_LDFLAGS) $(SHMD_PIE_LDFLAGS)
shmd_LDADD = libshmdaemon.la
