#!/bin/sh
# SPDX-License-Identifier: MIT
# Sums the lines of an lcov file for `make coverage`: coverage.sh FILE SOURCE_DIR LEAST DIR...
# prints one line a DIR of the source, with the files of it that are below LEAST percent, and fails
# when a whole DIR is, or is not in the file at all.
set -eu

info=$1 least=$3
src=$(cd "$2" && pwd -P)
shift 3

failed=0
for dir in "$@"; do
    awk -v dir="$dir" -v least="$least" -v prefix="SF:$src/" '
        index($0, "SF:") == 1 {
            file = index($0, prefix) == 1 ? substr($0, length(prefix) + 1) : ""
            counts = index(file, dir "/") == 1
        }
        index($0, "LF:") == 1 { found = substr($0, 4) }
        index($0, "LH:") == 1 { hit = substr($0, 4) }
        $0 == "end_of_record" && counts {
            lines += found; hits += hit
            if (100 * hit < least * found)
                printf "  %5.1f %%  %s (%d of %d lines)\n", 100 * hit / found, file, hit, found
        }
        END {
            printf "%7.1f %%  %s (%d of %d lines)\n", lines ? 100 * hits / lines : 0, dir, hits, lines
            exit !lines || 100 * hits < least * lines
        }' "$info" || {
        echo "coverage: $dir is below $least %" >&2
        failed=1
    }
done
exit $failed
