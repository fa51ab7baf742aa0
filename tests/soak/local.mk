# `make soak` is too long for a test: everything at once, with clients killed all the time.
soak_seconds = 900
EXTRA_DIST += tests/soak/soak.py
soak: shmd$(EXEEXT)
	abs_top_builddir='$(abs_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		python3 $(top_srcdir)/tests/soak/soak.py --seconds $(soak_seconds)

.PHONY: soak
