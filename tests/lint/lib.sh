# shellcheck shell=bash
# What the checks of the source stand on: TAP lines, the list of files, a directory that goes away.
# A check sources this file, calls `ok`, `problem` or `skip_all`, and ends in `finish`.
#
# Every check first shows on planted files that it can fail; only then is its verdict worth a line.

set -u -o pipefail

# shellcheck disable=SC2034 # for the check that sources this
top=${abs_top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
count=0
failed=0

scratch=$(mktemp -d "${TMPDIR:-/tmp}/shmd-lint.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' INT TERM HUP

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

# verdict NAME FILE: good when FILE is empty; what it holds is the diagnosis.
verdict() {
    count=$((count + 1))
    if [ -s "$2" ]; then
        failed=$((failed + 1))
        echo "not ok $count - $1"
        sed 's/^/#   /' "$2"
    else
        echo "ok $count - $1"
    fi
}

# catches NAME FILE: good when FILE, the diagnosis of a planted fault, is not empty.
catches() {
    count=$((count + 1))
    if [ -s "$2" ]; then
        echo "ok $count - catches $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - catches $1"
    fi
}

finish() {
    echo "1..$count"
    [ "$failed" = 0 ]
    exit
}

# The files of the source below $1, relative to it, one a line: what git tracks or would track; of a
# release, which has no git, everything that is not a build.
source_files() {
    if git -C "$1" rev-parse --is-inside-work-tree >/dev/null 2>&1 && [ -e "$1/.git" ]; then
        git -C "$1" ls-files --cached --others --exclude-standard | while IFS= read -r file; do
            [ ! -f "$1/$file" ] || printf '%s\n' "$file"
        done
    else
        (cd "$1" && find . \( -name .git -o -name 'build*' -o -name '_build' -o -name autom4te.cache \
            -o -name node_modules -o -name __pycache__ \) -prune -o -type f -print) | sed 's|^\./||'
    fi | LC_ALL=C sort
}
