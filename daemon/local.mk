# The daemon's floors, each a library so that tests can link what they need and no more.
noinst_LTLIBRARIES += libcore.la libshmdaemon.la
libcore_la_SOURCES = \
	daemon/core/access.c daemon/core/access.h \
	daemon/core/adopt.c daemon/core/adopt.h \
	daemon/core/anchor.c daemon/core/anchor.h \
	daemon/core/caller.h \
	daemon/core/charge.c daemon/core/charge.h \
	daemon/core/core.c daemon/core/core.h \
	daemon/core/create.c daemon/core/create.h \
	daemon/core/deadlines.c daemon/core/deadlines.h \
	daemon/core/declare.c daemon/core/declare.h \
	daemon/core/event_log.c daemon/core/event_log.h \
	daemon/core/expiry.c daemon/core/expiry.h \
	daemon/core/hold.c daemon/core/hold.h \
	daemon/core/holder.c daemon/core/holder.h \
	daemon/core/kernel_refusal.c daemon/core/kernel_refusal.h \
	daemon/core/limits.h \
	daemon/core/list.c daemon/core/list.h \
	daemon/core/lookup.c daemon/core/lookup.h \
	daemon/core/outcome.h \
	daemon/core/quota.c daemon/core/quota.h \
	daemon/core/reconcile.c daemon/core/reconcile.h \
	daemon/core/registry.c daemon/core/registry.h \
	daemon/core/removal.c daemon/core/removal.h \
	daemon/core/residency.c daemon/core/residency.h \
	daemon/core/segment.c daemon/core/segment.h \
	daemon/core/segment_index.c daemon/core/segment_index.h \
	daemon/core/set.c daemon/core/set.h \
	daemon/core/store.h \
	daemon/core/turn.c daemon/core/turn.h \
	daemon/core/undo.c daemon/core/undo.h \
	daemon/core/verdict.c daemon/core/verdict.h \
	daemon/core/view.c daemon/core/view.h \
	daemon/core/wait.c daemon/core/wait.h \
	daemon/util/cleanup.h \
	daemon/util/siphash.c daemon/util/siphash.h
libcore_la_LIBADD = libprotocol.la

libshmdaemon_la_SOURCES = \
	daemon/config.c daemon/config.h \
	daemon/declared.c daemon/declared.h \
	daemon/declared_check.c \
	daemon/io/connection.c daemon/io/connection.h \
	daemon/io/listener.c daemon/io/listener.h \
	daemon/io/loop.c daemon/io/loop.h \
	daemon/io/process_watch.c daemon/io/process_watch.h \
	daemon/io/service_manager.c daemon/io/service_manager.h \
	daemon/io/signals.c daemon/io/signals.h \
	daemon/options.c daemon/options.h \
	daemon/rpc/audit.c daemon/rpc/audit.h \
	daemon/rpc/dispatch.c daemon/rpc/dispatch.h \
	daemon/rpc/handlers_events.c \
	daemon/rpc/handlers_info.c \
	daemon/rpc/handlers_segments.c \
	daemon/rpc/outcome_to_error.c daemon/rpc/outcome_to_error.h \
	daemon/rpc/rpc.c daemon/rpc/rpc.h \
	daemon/rpc/session.c daemon/rpc/session.h \
	daemon/rpc/subscription.c daemon/rpc/subscription.h \
	daemon/shmd.c daemon/shmd.h \
	daemon/store/check.c \
	daemon/store/collect.c \
	daemon/store/database.c \
	daemon/store/database.h \
	daemon/store/load.c \
	daemon/store/mark.c \
	daemon/store/mark.h \
	daemon/store/row.c \
	daemon/store/row.h \
	daemon/store/schema.c \
	daemon/store/store_open.c \
	daemon/store/store_sqlite.c \
	daemon/store/store_sqlite.h \
	daemon/sys/clock.h daemon/sys/clock_linux.c \
	daemon/sys/machine.c daemon/sys/machine.h \
	daemon/sys/process.h daemon/sys/process_linux.c \
	daemon/sys/sysv.h daemon/sys/sysv_linux.c \
	daemon/util/log.c daemon/util/log.h
libshmdaemon_la_CPPFLAGS = $(AM_CPPFLAGS) -DSHMD_CONFIG_DIR='"$(shmd_configdir)"'
libshmdaemon_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(SQLITE_CFLAGS) $(INIH_CFLAGS) \
	$(SYSTEMD_CFLAGS) $(SHMD_PIE_CFLAGS)
libshmdaemon_la_LIBADD = libcore.la $(EVENT_LIBS) $(SQLITE_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS)

sbin_PROGRAMS += shmd
shmd_SOURCES = daemon/main.c
shmd_CFLAGS = $(AM_CFLAGS) $(SHMD_PIE_CFLAGS)
shmd_LDFLAGS = $(AM_LDFLAGS) $(SHMD_PIE_LDFLAGS)
shmd_LDADD = libshmdaemon.la
