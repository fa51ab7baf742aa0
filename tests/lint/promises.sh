#!/bin/bash
# SPDX-License-Identifier: MIT
# Every promise of SECURITY.md names a test that is there.
. "$(dirname "$0")/lib.sh"

# The tests that document $1 names and tree $2 does not have.
missing() {
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    grep -oE '`test_[a-z_]+\.py: [A-Za-z]+\.test_[a-z0-9_]+`' "$1" | tr -d '`' | sort -u |
        while IFS= read -r name; do
            module=${name%%:*}
            test=${name#*: }
            file=$(source_files "$2" | sed -n "s|^tests/.*/$module\$|$2/&|p")
            # The body of the class: from its line to the next that is not indented.
            if [ -z "$file" ] ||
                ! awk -v c="${test%.*}" '/^[^ \t#]/ { inside = $0 ~ "^class " c "[(:]" } inside' "$file" |
                    grep "def ${test#*.}(" >/dev/null; then
                echo "$name"
            fi
        done
}

sed 's/test_remove_is_stale/test_remove_is_stale_not/' "$top/SECURITY.md" >"$scratch/planted"
missing "$scratch/planted" "$top" >"$scratch/found"
catches 'a test that is not there' "$scratch/found"

missing "$top/SECURITY.md" "$top" >"$scratch/found"
verdict 'every test that SECURITY.md names' "$scratch/found"
finish
