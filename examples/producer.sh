#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts a file into a segment by name and keeps it there for as long as this process lives:
#
#   producer.sh NAME FILE
#
# wait.sh, which waits for NAME, gets it when it is complete, or an error if this process dies before.
set -eu

if [ "${1-}" != --fill ]; then
    [ $# = 2 ] || { sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
    size=$(wc -c <"$2")
    # `run` puts the command in its own place, so that it is this very process that holds the
    # segment. The command is this script again.
    exec shmdctl run "$1" --size "$size" --exclusive --not-ready -- sh "$0" --fill "$2"
fi

shmdctl write --serial "$SHMD_SERIAL" <"$2"
shmdctl ready --serial "$SHMD_SERIAL" >/dev/null
echo "producer $$: $SHMD_NAME is ready, segment $SHMD_SHMID"
# Not as a child: it would be left behind when this process is killed.
exec sleep infinity
