#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure from configure.ac.
set -e
cd "$(dirname "$0")"
need() {
    command -v "$1" >/dev/null 2>&1 || { echo "autogen.sh: $1 is missing (Debian: $2)" >&2; exit 1; }
}
need autoreconf autoconf
need aclocal automake
need libtoolize libtool
exec autoreconf --install --force "$@"
