#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmark with a directory for its sockets and states that goes away afterwards: on
# memory where there is some, as /run is on an ordinary system.
#   run.sh BENCH SHMD JSON [--quick] [PART...]
set -eu
bench=$1 shmd=$2 json=$3
shift 3
source=$(dirname "$0")/../..
base=/dev/shm
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
directory=$(mktemp -d "$base/shmd-bench.XXXXXX")
trap 'rm -rf "$directory"' EXIT
trap 'kill "$running" && wait "$running"; exit 1' HUP INT TERM
# The flood of another user must get in.
chmod 755 "$directory"
"$bench" --shmd "$shmd" --directory "$directory" --source "$source" \
    --programs "$(dirname "$bench")" --json "$json" "$@" &
running=$!
wait "$running"
echo "The same as JSON: $json"
