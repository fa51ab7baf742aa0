# SPDX-License-Identifier: MIT
# `make analyse`: clang-tidy, gcc's analyzer and cppcheck over the C of the tree. It is no part of
# `make check`: the tools are large, and their versions differ in what they find.
analyses = \
	tests/analysis/clang_tidy.py \
	tests/analysis/cppcheck.py \
	tests/analysis/gcc.py
EXTRA_DIST += .clang-tidy $(analyses) tests/analysis/accepted tests/analysis/analysis.py tests/analysis/commands.py
CLEANFILES += compile_commands.json

# The compiler's commands are what make would run if every source had changed.
analyse: config.h
	@sources=$$(cd $(srcdir) && find protocol daemon client examples tests -name '*.c') && \
	assume= && for source in $$sources; do assume="$$assume -W $(srcdir)/$$source"; done && \
	$(MAKE) --no-print-directory -n V=1 $$assume all-am $(check_LTLIBRARIES) $(check_PROGRAMS) $(EXTRA_PROGRAMS) | \
		python3 $(srcdir)/tests/analysis/commands.py $(srcdir) >compile_commands.json
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(analyses)'

.PHONY: analyse
