# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What all checks of the source use: TAP lines, the list of the source files, a temporary directory.
# A check sources this file, calls `verdict`, `catches` or `skip_all`, and ends with `finish`.
#
# Every check first shows on planted files that it can fail. Only then does its verdict count.

set -u -o pipefail

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

# The files of the source below $1, relative to it, one a line. In the tree they are those that git
# tracks, and in a release those of its own list; what a build has made is never among them. A planted
# tree below $scratch is taken whole.
source_files() {
    case $1 in
    "$scratch"/*) (cd "$1" && find . -type f -print) | sed 's|^\./||' ;;
    *) tracked_files "$1" | while IFS= read -r file; do
        [ ! -f "$1/$file" ] || printf '%s\n' "$file"
    done ;;
    esac | LC_ALL=C sort
}

tracked_files() {
    if [ -e "$1/.git" ]; then
        git -C "$1" ls-files --cached
    else
        cat "$1/tests/lint/files"
    fi
}

if [ -e "$top/.git" ] && ! command -v git >/dev/null; then
    skip_all 'git is not installed (Debian: git), and it knows which files are the source'
elif ! tracked_files "$top" >"$scratch/files" 2>"$scratch/files.error"; then
    [ ! -e "$top/.git" ] || { echo "Bail out! $(cat "$scratch/files.error")" && exit 99; }
    skip_all 'this copy of the source has neither git nor the list of files that a release has'
fi
