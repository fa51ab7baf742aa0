#!/bin/bash
# SPDX-License-Identifier: MIT
# Where ncurses is not installed, as pkg-config has it here: configure and make work, and what needs it says so.
set -u -o pipefail

top=${abs_top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
[ ! -e "$top/config.status" ] || { echo '1..0 # SKIP the source tree itself is configured' && exit 0; }
pkg_config=$(command -v pkg-config) ||
    { echo '1..0 # SKIP pkg-config is not installed (Debian: pkg-config)' && exit 0; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/shmd-ncurses.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' INT TERM HUP
count=0
failed=0

check() { # NAME COMMAND...
    local name=$1
    shift
    count=$((count + 1))
    if "$@" >>"$scratch/output" 2>&1; then
        echo "ok $count - $name"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $count - $name"
    tail -n 20 "$scratch/output" | sed 's/^/#   /'
}

cat >"$scratch/pkg-config" <<END
#!/bin/sh
for word; do
    case \$word in *ncurses*) exit 1 ;; esac
done
exec "$pkg_config" "\$@"
END
chmod +x "$scratch/pkg-config"

configure() {
    PKG_CONFIG=$scratch/pkg-config "$top/configure" CFLAGS=-O0 "$@" >"$scratch/configured" 2>&1
}
says() { # WORDS COMMAND...: it fails, and its output has WORDS
    local words=$1
    shift
    ! "$@" >"$scratch/said" 2>&1 && grep -qF -e "$words" "$scratch/said"
}
refuses() {
    ! configure --with-ncurses && grep -q 'apt-get install libncurses-dev' "$scratch/configured"
}

# The jobs and options of the make that runs this are not this one's.
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir "$scratch/build"
cd "$scratch/build" || exit 99
check 'what was asked for and is missing is named' refuses
check 'configure goes on without it' configure
check 'configure says so' grep -q 'ncurses no' "$scratch/configured"
check 'shmdctl is built' make -j2 shmdctl
check 'top says what is missing' says 'built without ncurses' ./shmdctl --socket "$scratch/none" top
check 'top says what to do' grep -q -e '--once .*libncurses-dev' "$scratch/said"
check 'top --once does not need it' says 'cannot reach the daemon' ./shmdctl --socket "$scratch/none" top --once
echo "1..$count"
[ "$failed" = 0 ]
