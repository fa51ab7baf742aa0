#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test under valgrind, for `make check-valgrind`: valgrind.sh PROGRAM. The program's output
# stays as it is, what valgrind found goes to standard error, and the status is 9 when it found
# anything. Older valgrinds do not count a leaked descriptor as an error, so those are counted here.
set -u

log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT

${VALGRIND:-valgrind} --quiet --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
    --track-fds=yes --error-exitcode=9 --log-file="$log" "$@"
status=$?

# A descriptor that was there from the start says so on the line after its own. Standard ones have
# no "Open file descriptor" line in older versions and are below 3 in newer ones.
leaked=$(awk '
    /Open (file descriptor|AF_[A-Z0-9]+ socket) [0-9]+:/ {
        match($0, /(descriptor|socket) [0-9]+:/)
        fd = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", fd)
        open[fd] = 1; last = fd; next
    }
    /<inherited from parent>/ { delete open[last] }
    END { n = 0; for (fd in open) n += fd > 2; print n }' "$log")

if [ "$status" -eq 9 ] || [ "$leaked" -gt 0 ]; then
    cat "$log" >&2
    [ "$leaked" -eq 0 ] || echo "valgrind.sh: $leaked descriptors were left open" >&2
    exit 9
fi
exit "$status"
