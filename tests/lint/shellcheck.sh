#!/bin/bash
# Every shell script passes shellcheck.
. "$(dirname "$0")/lib.sh"

command -v shellcheck >/dev/null || skip_all 'shellcheck is not installed (Debian: shellcheck)'

# Scripts by their name or their first line; those that autotools copy in are not ours.
scripts() {
    source_files "$1" | grep -vE '^(build-aux/|configure$)' | while IFS= read -r file; do
        case $file in
        *.sh) echo "$file" ;;
        *) head -n 1 "$1/$file" | LC_ALL=C grep -qaE '^#! ?/(usr/)?bin/(env )?(ba|da)?sh' && echo "$file" ;;
        esac
    done
    return 0
}

complaints() {
    scripts "$1" | (cd "$1" && xargs -r -d '\n' shellcheck -x -P SCRIPTDIR --format=gcc) || true
}

mkdir "$scratch/tree"
# shellcheck disable=SC2016 # the planted script is to hold the variable
printf '#!/bin/bash\nrm -rf $1/x\n' >"$scratch/tree/bad"
complaints "$scratch/tree" >"$scratch/found"
catches 'an unquoted variable' "$scratch/found"

complaints "$top" >"$scratch/found"
verdict 'every script' "$scratch/found"
finish
