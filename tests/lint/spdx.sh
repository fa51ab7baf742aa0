#!/bin/bash
# SPDX-License-Identifier: MIT
# Every source file says under which licence it is, in one of its first three lines, as SPDX writes it.
. "$(dirname "$0")/lib.sh"

# LICENSE begins with "MIT License".
licence=$(sed -n '1s/ License$//p' "$top/LICENSE")
line="SPDX-License-Identifier: $licence"

# Files that a compiler, an interpreter, make, systemd, a packager or man reads, and that can have a comment.
sources() {
    source_files "$1" | grep -v '^tests/fuzz/corpus/' | while IFS= read -r file; do
        case $file in
        build-aux/* | configure) continue ;; # in a release, and others' work
        *.c | *.h | *.cpp | *.hpp | *.py | *.sh | *.js | *.mk | *.bash | *.fish) ;;
        configure.ac | Makefile.am | */_shmdctl) ;;
        *.[1-8] | *.[1-8].in | *.map | *.pc.in | *.toml | *.yml | *.spec | *.rpmlintrc | */Containerfile) ;;
        *.service | *.service.in | *.socket | *.timer | systemd/*) ;;
        # An empty file says nothing.
        *) [ "$(head -c 2 "$1/$file" | tr -d '\0')" = '#!' ] || continue ;;
        esac
        [ ! -s "$1/$file" ] || printf '%s\n' "$file"
    done
}

without_licence() {
    sources "$1" | while IFS= read -r file; do
        head -n 3 "$1/$file" | grep -F "$line" >/dev/null ||
            echo "$file: its first line, or the one below #!, is to be a comment: $line"
    done
    return 0
}

mkdir "$scratch/tree"
printf '.Dd today\n' >"$scratch/tree/x.3"
without_licence "$scratch/tree" >"$scratch/found"
catches 'a manual without it' "$scratch/found"
rm "$scratch/tree/x.3"
printf 'int x;\n' >"$scratch/tree/x.c"
without_licence "$scratch/tree" >"$scratch/found"
catches 'a C file without it' "$scratch/found"
printf '#!/bin/sh\necho\n' >"$scratch/tree/x"
rm "$scratch/tree/x.c"
without_licence "$scratch/tree" >"$scratch/found"
catches 'a script without it' "$scratch/found"
printf '#!/bin/sh\n# %s\n' "SPDX-License-Identifier: other" >"$scratch/tree/x"
without_licence "$scratch/tree" >"$scratch/found"
catches 'another licence than that of LICENSE' "$scratch/found"
printf '#!/bin/sh\n# %s\n' "$line" >"$scratch/tree/x"
printf 'text\n' >"$scratch/tree/x.md"
without_licence "$scratch/tree" >"$scratch/found"
verdict 'accepts one that has it, and a text' "$scratch/found"

without_licence "$top" >"$scratch/found"
verdict 'every source file' "$scratch/found"
finish
