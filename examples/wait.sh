#!/bin/sh
# SPDX-License-Identifier: MIT
# Waits until a segment is complete and prints what is in it:
#
#   wait.sh NAME
#
# The exit status is shmdctl's: 9 when it took longer than a minute, 10 when its producer died while
# filling it.
set -eu

[ $# = 1 ] || { sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shmdctl wait "$1" --timeout 1m >/dev/null
# Held while it is read, so that it stays even if the producer dies now.
exec shmdctl hold "$1" -- shmdctl read "$1"
