#!/bin/sh
# SPDX-License-Identifier: MIT
# hello.sh write NAME fills a segment from standard input, hello.sh read NAME waits until it is filled and prints it;
# in any order, and also when the daemon is killed and started again meanwhile.
set -eu

# Runs a command until a daemon answers it.
lasting() {
    until "$@" >/dev/null; do
        [ $? = 3 ] || exit
        sleep 1
    done
}

case $#${1-} in
2write | 2read | 1fill) ;;
*) echo "usage: hello.sh write|read NAME" >&2; exit 2 ;;
esac

case $1 in
write)
    # `run` puts the command in its own place: this process holds the segment while it is filled.
    exec shmdctl run "$2" --size 4K --exclusive --not-ready -- sh "$0" fill
    ;;
fill)
    shmdctl write --serial "$SHMD_SERIAL"
    lasting shmdctl set --serial "$SHMD_SERIAL" --lifetime persistent
    lasting shmdctl ready --serial "$SHMD_SERIAL"
    ;;
read)
    shmdctl wait "$2" >/dev/null
    shmdctl read "$2" | tr -d '\0'
    ;;
esac
