# SPDX-License-Identifier: MIT
# The units, the user and the directory of the system's instance; the units of a user's own.
EXTRA_DIST += \
	systemd/shmd.service.in systemd/user/shmd.service.in systemd/shmd.sysusers systemd/shmd.tmpfiles \
	systemd/user/shmd.preset

made_for_systemd = systemd/shmd.service systemd/user/shmd.service \
	systemd/sysusers.d/shmd.conf systemd/tmpfiles.d/shmd.conf systemd/user-preset/90-shmd.preset
CLEANFILES += $(made_for_systemd)

dist_doc_DATA += systemd/allow-locked.conf
if INSTALL_UNITS
systemdsystemunit_DATA = systemd/shmd.service
dist_systemdsystemunit_DATA = systemd/shmd.socket
systemduserunit_DATA = systemd/user/shmd.service
dist_systemduserunit_DATA = systemd/user/shmd.socket
sysusers_DATA = systemd/sysusers.d/shmd.conf
tmpfiles_DATA = systemd/tmpfiles.d/shmd.conf
userpresetdir = $(systemduserunitdir)-preset
userpreset_DATA = systemd/user-preset/90-shmd.preset
endif

systemd/shmd.service: $(top_srcdir)/systemd/shmd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
		$(substitute_paths) $(top_srcdir)/systemd/shmd.service.in >$@.tmp && mv $@.tmp $@

systemd/user/shmd.service: $(top_srcdir)/systemd/user/shmd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd/user && \
		$(substitute_paths) $(top_srcdir)/systemd/user/shmd.service.in >$@.tmp && mv $@.tmp $@

# Both directories want the package's name.
systemd/sysusers.d/shmd.conf: $(top_srcdir)/systemd/shmd.sysusers
	$(AM_V_GEN)$(MKDIR_P) systemd/sysusers.d && cp $(top_srcdir)/systemd/shmd.sysusers $@

systemd/tmpfiles.d/shmd.conf: $(top_srcdir)/systemd/shmd.tmpfiles
	$(AM_V_GEN)$(MKDIR_P) systemd/tmpfiles.d && cp $(top_srcdir)/systemd/shmd.tmpfiles $@

systemd/user-preset/90-shmd.preset: $(top_srcdir)/systemd/user/shmd.preset
	$(AM_V_GEN)$(MKDIR_P) systemd/user-preset && cp $(top_srcdir)/systemd/user/shmd.preset $@
