# SPDX-License-Identifier: MIT
# The client library and the command. libshmd's ABI is LIBSHMD_VERSION in configure.ac: current,
# revision, age; a name that is exported is one in libshmd.map, and no other.
lib_LTLIBRARIES += libshmd.la
libshmd_la_SOURCES = \
	client/attach.c \
	client/attachments.c \
	client/calls.c \
	client/connection.c \
	client/failure.c \
	client/failure_text.c \
	client/fill.c \
	client/find.c \
	client/held.c \
	client/internal.h \
	client/pipeline.c \
	client/reconnect.c \
	client/results.c \
	client/stream.c \
	client/trust.c \
	client/unanswered.c
libshmd_la_LIBADD = libstart.la libprotocol.la
libshmd_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(LIBSHMD_VERSION) -no-undefined \
	-Wl,--version-script=$(top_srcdir)/client/libshmd.map
libshmd_la_DEPENDENCIES = libstart.la libprotocol.la client/libshmd.map
include_HEADERS += client/shmd.h client/shmd.hpp
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = client/shmd.pc
EXTRA_DIST += client/libshmd.map

# What the library and the command both say.
noinst_LTLIBRARIES += libstart.la
libstart_la_SOURCES = client/start.c client/start.h
libstart_la_CPPFLAGS = $(AM_CPPFLAGS) -DSHMD_SBINDIR='"$(sbindir)"'

bin_PROGRAMS += shmdctl
shmdctl_SOURCES = \
	client/cli/advice.c client/cli/advice.h \
	client/cli/ask.c \
	client/cli/child.c client/cli/child.h \
	client/cli/columns.c client/cli/columns.h \
	client/cli/cli.h \
	client/cli/cmd_complete.c \
	client/cli/cmd_create.c \
	client/cli/cmd_doctor.c \
	client/cli/cmd_events.c \
	client/cli/cmd_gc.c \
	client/cli/cmd_hold.c \
	client/cli/cmd_info.c \
	client/cli/cmd_list.c \
	client/cli/cmd_memory.c \
	client/cli/cmd_reload.c \
	client/cli/cmd_ps.c \
	client/cli/cmd_rm.c \
	client/cli/cmd_run.c \
	client/cli/cmd_segment.c \
	client/cli/cmd_top.c \
	client/cli/cmd_wait.c \
	client/cli/commands.c \
	client/cli/daemon_choice.c client/cli/daemon_choice.h \
	client/cli/daemons.c client/cli/daemons.h \
	client/cli/declared_facts.c client/cli/declared_facts.h \
	client/cli/doctor_config.c client/cli/doctor_config.h \
	client/cli/doctor_ask.c \
	client/cli/doctor_checks.c client/cli/doctor_checks.h \
	client/cli/doctor_facts.c client/cli/doctor_facts.h \
	client/cli/doctor_limits.c client/cli/doctor_limits.h \
	client/cli/doctor_orphans.c client/cli/doctor_orphans.h \
	client/cli/doctor_say.h \
	client/cli/format.c client/cli/format.h \
	client/cli/gc.h \
	client/cli/gc_report.c \
	client/cli/help.c client/cli/help.h \
	client/cli/hints.c client/cli/hints.h \
	client/cli/json_pick.c client/cli/json_pick.h \
	client/cli/kernel_segments.c client/cli/kernel_segments.h \
	client/cli/logind_conf.c client/cli/logind_conf.h \
	client/cli/main.c \
	client/cli/meant.c client/cli/meant.h \
	client/cli/near.c client/cli/near.h \
	client/cli/option_values.c client/cli/option_values.h \
	client/cli/options.c \
	client/cli/orphans.c client/cli/orphans.h \
	client/cli/other_daemons.c client/cli/other_daemons.h \
	client/cli/output.c client/cli/output.h \
	client/cli/parse.c client/cli/parse.h \
	client/cli/plain_text.c client/cli/plain_text.h \
	client/cli/process_command.c client/cli/process_command.h \
	client/cli/progress.c client/cli/progress.h \
	client/cli/report.c \
	client/cli/rm_many.c client/cli/rm_many.h \
	client/cli/rm_one.c client/cli/rm_one.h \
	client/cli/table.c client/cli/table.h \
	client/cli/target_text.c client/cli/target_text.h \
	client/cli/targets.c client/cli/targets.h \
	client/cli/top_model.c client/cli/top_model.h \
	client/cli/top_once.c client/cli/top_once.h \
	client/cli/top_tables.c client/cli/top_tables.h \
	client/cli/top_view.c client/cli/top_view.h \
	client/cli/unknown.c client/cli/unknown.h \
	client/cli/waiters.c client/cli/waiters.h
shmdctl_CPPFLAGS = $(AM_CPPFLAGS) -DSHMD_CONFIG_DIR='"$(shmd_configdir)"'
shmdctl_CFLAGS = $(AM_CFLAGS) $(SHMD_PIE_CFLAGS)
shmdctl_LDFLAGS = $(AM_LDFLAGS) $(SHMD_PIE_LDFLAGS)
shmdctl_LDADD = libshmd.la libstart.la libprotocol.la
# The full screen of top.
live_sources = \
	client/cli/top_draw.c client/cli/top_draw.h \
	client/cli/top_feed.c client/cli/top_feed.h \
	client/cli/top_live.c client/cli/top_live.h \
	client/cli/top_terminal.c client/cli/top_terminal.h
if HAVE_NCURSES
shmdctl_SOURCES += $(live_sources)
shmdctl_CPPFLAGS += $(NCURSES_CFLAGS)
shmdctl_LDADD += $(NCURSES_LIBS)
else
EXTRA_DIST += $(live_sources)
endif

# libshmd's pages; a name in a page's NAME is a page as well, which refers to it.
library_pages = \
	client/man/shmd.3 \
	client/man/shmd_adopt.3 \
	client/man/shmd_attach.3 \
	client/man/shmd_attachments.3 \
	client/man/shmd_call.3 \
	client/man/shmd_connect.3 \
	client/man/shmd_create.3 \
	client/man/shmd_events.3 \
	client/man/shmd_info.3 \
	client/man/shmd_list.3 \
	client/man/shmd_segment.3 \
	client/man/shmd_send.3 \
	client/man/shmd_stat.3 \
	client/man/shmd_trust.3 \
	client/man/shmd_wait.3
dist_man_MANS = $(library_pages)
# `PAGE NAME` for each name that is not its page's own.
library_page_names = cd $(top_srcdir) && $(AWK) '/^\.Sh NAME/ { inside = 1; next } /^\.Sh/ { inside = 0 } \
	inside && $$1 == ".Nm" { n = split(FILENAME, path, "/"); if ($$2 ".3" != path[n]) print path[n], $$2 }' $(library_pages)

man_MANS += client/cli/shmdctl.1
CLEANFILES += client/cli/shmdctl.1
client/cli/shmdctl.1: $(top_srcdir)/client/cli/shmdctl.1.in Makefile
	$(AM_V_GEN)$(MKDIR_P) client/cli && $(substitute_paths) $(top_srcdir)/client/cli/shmdctl.1.in >$@.tmp && mv $@.tmp $@

# Installed under the command's name, which is how bash finds it.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_zshcompletion_DATA = client/cli/completion/_shmdctl
dist_fishcompletion_DATA = client/cli/completion/shmdctl.fish
EXTRA_DIST += client/cli/shmdctl.1.in client/cli/completion/shmdctl.bash
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(top_srcdir)/client/cli/completion/shmdctl.bash '$(DESTDIR)$(bashcompletiondir)/shmdctl'
	$(MKDIR_P) '$(DESTDIR)$(man3dir)'
	$(library_page_names) | while read page name; do \
		echo ".so man3/$$page" >'$(DESTDIR)$(man3dir)'/$$name.3 || exit; done
uninstall-local:
	rm -f '$(DESTDIR)$(bashcompletiondir)/shmdctl'
	$(library_page_names) | while read page name; do rm -f '$(DESTDIR)$(man3dir)'/$$name.3; done
