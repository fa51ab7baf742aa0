# SPDX-License-Identifier: MIT
# `make check-kernels`: the kernels of Debian 12 and 13 in virtual machines, and other processors, under
# software emulation. It takes about an hour, so that it is no part of `make check`; `make check-kernels
# kernel=6.1` is a part of it, and kernel='6.1 reboot' a part of that (tests/kernels/run.sh).
EXTRA_DIST += tests/kernels/run.sh tests/kernels/debian.sh tests/kernels/boot.py

kernel =
check-kernels:
	PYTHONDONTWRITEBYTECODE=1 bash $(top_srcdir)/tests/kernels/run.sh '$(abs_builddir)' $(kernel)

distclean-local:
	rm -rf kernels

.PHONY: check-kernels
