#!/bin/bash
# SPDX-License-Identifier: MIT
# Every shell script passes shellcheck, and none takes SIGPIPE for an answer.
. "$(dirname "$0")/lib.sh"

command -v shellcheck >/dev/null || skip_all 'shellcheck is not installed (Debian: shellcheck)'

# Scripts by their name or their first line; those that autotools copy in are not ours.
scripts() {
    source_files "$1" | grep -vE '^(build-aux/|configure$)' | while IFS= read -r file; do
        case $file in
        *.sh) echo "$file" ;;
        *)
            LC_ALL=C awk 'NR == 1 { found = /^#! ?\/(usr\/)?bin\/(env )?(ba|da)?sh/; exit }
                END { exit !found }' "$1/$file" && echo "$file"
            ;;
        esac
    done
    return 0
}

complaints() {
    scripts "$1" | (cd "$1" && xargs -r -d '\n' shellcheck -x -P SCRIPTDIR --format=gcc) || true
}

# With pipefail the status of `PROGRAM | grep -q` is PROGRAM's whenever grep stops reading before it has
# written all: a match is taken for none, on some days only. So no script has such a pipe.
early_readers() {
    scripts "$1" | (cd "$1" && xargs -r -d '\n' grep -nHE \
        '^[^#]*\| *([A-Z_]+=[^ ]+ +)*(grep +(-[a-z]+ +)*-[a-zA-Z]*q|grep +.*--quiet|head\b)') || true
}

mkdir "$scratch/tree"
# shellcheck disable=SC2016 # the planted script is to hold the variable
printf '#!/bin/bash\nrm -rf $1/x\n' >"$scratch/tree/bad"
complaints "$scratch/tree" >"$scratch/found"
catches 'an unquoted variable' "$scratch/found"

while IFS= read -r line; do
    line=${line/@/|}
    printf '#!/bin/bash\nset -o pipefail\n%s\n' "$line" >"$scratch/tree/bad"
    early_readers "$scratch/tree" >"$scratch/found"
    catches "$line" "$scratch/found"
done <<'END'
apt-cache policy x @ grep -q Candidate
apt-cache policy x @ LC_ALL=C grep -i -Eq Candidate
find . @ head -n 1
END
# shellcheck disable=SC2016 # the planted script is to hold the variable
printf '#!/bin/bash\ngrep -q x <<<"$1"\n# a | grep -q b\n' >"$scratch/tree/bad"
early_readers "$scratch/tree" >"$scratch/found"
verdict 'accepts grep -q on a text' "$scratch/found"

complaints "$top" >"$scratch/found"
verdict 'every script' "$scratch/found"
early_readers "$top" >"$scratch/found"
verdict 'every pipe is read to its end' "$scratch/found"
finish
