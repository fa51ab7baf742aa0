# The attacks of one user on the service of another, against the real daemon. `make check-isolation` runs
# them, `make bench-isolation` measures them; those in isolation_tests are no part of `make check`.
isolation_programs = tests/isolation/flood tests/isolation/victim
check_PROGRAMS += $(isolation_programs)
tests_isolation_flood_SOURCES = tests/isolation/flood.c tests/isolation/support.c tests/isolation/support.h
tests_isolation_flood_LDADD =
tests_isolation_victim_SOURCES = tests/isolation/victim.c tests/isolation/support.c tests/isolation/support.h
tests_isolation_victim_LDADD =
CLEANFILES += bench-isolation.json
