#!/bin/bash
# SPDX-License-Identifier: MIT
# Every C file is as clang-format leaves it. Its versions format differently, so one version decides;
# with another one this check is skipped.
. "$(dirname "$0")/lib.sh"

version=14
formatter=$(command -v clang-format-$version || command -v clang-format) ||
    skip_all "clang-format is not installed (Debian: clang-format-$version)"
case $("$formatter" --version) in
*"version $version."*) ;;
*) skip_all "clang-format $version is not installed (Debian: clang-format-$version); $("$formatter" --version) is" ;;
esac

# One line for each file below $1 that differs from its format.
differing() {
    source_files "$1" | grep -E '\.[ch]$' | while IFS= read -r file; do
        (cd "$1" && "$formatter" --style=file --dry-run -Werror "$file" >"$scratch/out" 2>&1) ||
            echo "$file: run $formatter -i on it"
    done
    return 0
}

mkdir "$scratch/tree"
cp "$top/.clang-format" "$scratch/tree/"
printf 'int main( void ) { return 0 ; }\n' >"$scratch/tree/bad.c"
differing "$scratch/tree" >"$scratch/found"
catches 'a file that is not formatted' "$scratch/found"
"$formatter" --style=file -i "$scratch/tree/bad.c"
differing "$scratch/tree" >"$scratch/found"
verdict 'accepts the same file formatted' "$scratch/found"

differing "$top" >"$scratch/found"
verdict 'every C file is formatted' "$scratch/found"
finish
