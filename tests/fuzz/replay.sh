#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Replays the corpora of all fuzz targets: each seed and each past finding is a test point.
set -u
dir=${abs_top_builddir:?}/tests/fuzz
n=0
for target in answer config request scanner session state; do
    while IFS= read -r line; do
        case $line in
        ok\ * | not\ ok\ *)
            n=$((n + 1))
            printf '%s %d - %s: %s\n' "${line%% [0-9]*}" "$n" "$target" "${line#* - }"
            ;;
        1..*) ;;
        *) printf '# %s\n' "$line" ;;
        esac
    done < <(
        "$dir/replay_$target" "${abs_top_srcdir:?}/tests/fuzz/corpus/$target" 2>&1 ||
            echo "not ok 0 - it ended with status $?"
    )
done
printf '1..%d\n' "$n"
