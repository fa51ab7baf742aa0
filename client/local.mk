# The client library and the command. libshmd's ABI is LIBSHMD_VERSION in configure.ac: current,
# revision, age; a name that is exported is one in libshmd.map, and no other.
lib_LTLIBRARIES += libshmd.la
libshmd_la_SOURCES = \
	client/attach.c \
	client/calls.c \
	client/connection.c \
	client/internal.h \
	client/results.c
libshmd_la_LIBADD = libprotocol.la
libshmd_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(LIBSHMD_VERSION) -no-undefined \
	-Wl,--version-script=$(top_srcdir)/client/libshmd.map
libshmd_la_DEPENDENCIES = libprotocol.la client/libshmd.map
include_HEADERS += client/shmd.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = client/shmd.pc
EXTRA_DIST += client/libshmd.map

bin_PROGRAMS += shmdctl
shmdctl_SOURCES = \
	client/cli/cli.h \
	client/cli/cmd_events.c \
	client/cli/cmd_hold.c \
	client/cli/cmd_info.c \
	client/cli/cmd_list.c \
	client/cli/cmd_memory.c \
	client/cli/cmd_segment.c \
	client/cli/commands.c \
	client/cli/main.c \
	client/cli/options.c \
	client/cli/output.c client/cli/output.h \
	client/cli/parse.c client/cli/parse.h \
	client/cli/report.c
shmdctl_CFLAGS = $(AM_CFLAGS) $(SHMD_PIE_CFLAGS) $(SMARTCOLS_CFLAGS)
shmdctl_LDFLAGS = $(AM_LDFLAGS) $(SHMD_PIE_LDFLAGS)
shmdctl_LDADD = libshmd.la libprotocol.la $(SMARTCOLS_LIBS)
