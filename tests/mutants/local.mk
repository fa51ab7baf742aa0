# SPDX-License-Identifier: MIT
# Small changes of the daemon that break a promise, each of which a test must find. In mutants_seconds, if
# that is not 0, as many as it allows; mutants_killer is a command that stands for all tests.
mutants = *
mutants_seconds = 0
mutants_jobs = 1
mutants_killer =
mutants_configure = ../source/configure -q --disable-hardening CFLAGS=-O0
EXTRA_DIST += tests/mutants
run_mutants = cc='$(CC)'; case $$cc in ccache*) ;; *) ! command -v ccache >/dev/null || cc="ccache $$cc" ;; esac; \
	PYTHONDONTWRITEBYTECODE=1 python3 $(top_srcdir)/tests/mutants/run.py \
	--mutants $(top_srcdir)/tests/mutants --source $(top_srcdir) --make 'make -s' --only '$(mutants)' \
	--seconds $(mutants_seconds) --jobs $(mutants_jobs)
mutants:
	@$(run_mutants) --work mutants.work --configure "$(mutants_configure) CC='$$cc'" \
		--targets mutants-build --more '$(unit_tests) $(contract_tests)' --killer '$(mutants_killer)'

# Only the tests of the real programs, and no unit test. It tells which mutants name none of these.
mutants-outside:
	@$(run_mutants) --work mutants.work --configure "$(mutants_configure) CC='$$cc'" \
		--targets mutants-build --outside

# Those of core/, rpc/ and store/ against the simulation alone, which has a minute for each. A mutant that
# it cannot find says why.
mutants-simulation:
	@$(run_mutants) --work mutants.work/simulation --configure "../source/configure -q CC='$$cc'" \
		--within 'daemon/core daemon/rpc daemon/store' --targets tests/simulation/simulate \
		--killer-needs tests/simulation/simulate --killer-says '^seed [0-9]+ fails: ' \
		--killer-excuses --least-share 90 \
		--killer 'tests/simulation/simulate --no-script --seconds 60 --seed 1'

# What scripts among the tests need of a build.
mutants-build: all
	$(MAKE) $(AM_MAKEFLAGS) $(isolation_programs)

clean-local: clean-mutants
clean-mutants:
	rm -rf mutants.work

.PHONY: clean-mutants mutants mutants-build mutants-outside mutants-simulation
