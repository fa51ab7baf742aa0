#!/bin/sh
# Makes ./configure from configure.ac; needs autoconf, automake, libtool and autoconf-archive.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force "$@"
