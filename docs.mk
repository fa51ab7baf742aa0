# SPDX-License-Identifier: MIT
# Manual pages of the daemon, and how every page named *.N.in gets the paths of this build.
EXTRA_DIST += protocol/PROTOCOL.md daemon/shmd.8.in daemon/shmd.conf.5.in

# What docs/ has pictures of, and what makes them: as text, and on terminals.
EXTRA_DIST += docs/make/architecture.py docs/make/screens.py
pictures:
	python3 $(top_srcdir)/docs/make/architecture.py >architecture.svg.tmp
	mv architecture.svg.tmp $(top_srcdir)/docs/architecture.svg
	abs_top_builddir='$(abs_top_builddir)' python3 $(top_srcdir)/docs/make/screens.py >screens.md.tmp
	mv screens.md.tmp $(top_srcdir)/docs/screens.md
.PHONY: pictures

man_MANS += daemon/shmd.8 daemon/shmd.conf.5
CLEANFILES += daemon/shmd.8 daemon/shmd.conf.5

substitute_paths = $(SED) \
	-e 's|@bindir[@]|$(bindir)|g' \
	-e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@shmd_configdir[@]|$(shmd_configdir)|g' \
	-e 's|@PACKAGE_VERSION[@]|$(PACKAGE_VERSION)|g'

daemon/shmd.8: $(top_srcdir)/daemon/shmd.8.in Makefile
	$(AM_V_GEN)$(MKDIR_P) daemon && $(substitute_paths) $(top_srcdir)/daemon/shmd.8.in >$@.tmp && mv $@.tmp $@

daemon/shmd.conf.5: $(top_srcdir)/daemon/shmd.conf.5.in Makefile
	$(AM_V_GEN)$(MKDIR_P) daemon && $(substitute_paths) $(top_srcdir)/daemon/shmd.conf.5.in >$@.tmp && mv $@.tmp $@
