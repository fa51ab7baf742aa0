#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the packages of debian/ on a fresh Debian, twice, and installs, upgrades, removes and purges them.
# It changes the system that it runs on, so that should be one of tests/fresh/run.sh: make check-packages.
#
# The last line is the sum: N passed, N failed, N skipped.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

passed=0
failed=0
skipped=0
work=$(mktemp -d /var/tmp/shmd-packages.XXXXXX)
daemon=
clean_up() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT

# check NAME COMMAND...: good when COMMAND is; what it says is shown when not. One that cannot be done here ends with
# 77 and says why in its last line. That a program is missing is no such reason: what is needed was installed.
check() {
    local name=$1 status=0
    shift
    "$@" >"$work/output" 2>&1 || status=$?
    [ "$status" != 77 ] || [[ $(tail -n 1 "$work/output") != *' is not installed '* ]] || status=1
    case $status in
    0)
        passed=$((passed + 1))
        echo "ok - $name"
        ;;
    77)
        skipped=$((skipped + 1))
        echo "skipped - $name: $(tail -n 1 "$work/output")"
        ;;
    *)
        failed=$((failed + 1))
        echo "not ok - $name"
        tail -n 60 "$work/output" | sed 's/^/#   /'
        ;;
    esac
}

apt() {
    apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@"
}

# --- building

# build DIRECTORY OPTIONS: of what is committed, in a directory of its own.
build() {
    mkdir -p "$1/shmd" && git archive HEAD | tar -C "$1/shmd" -xf - &&
        (cd "$1/shmd" && DEB_BUILD_OPTIONS=$2 dpkg-buildpackage -us -uc -b)
}

# The same again at another time and place, by another kind of user.
build_elsewhere() {
    (umask 077 && TZ=Pacific/Kiritimati LC_ALL=C build "$work/a/place/elsewhere" nocheck)
}

same_packages() {
    local package
    for package in "$work"/here/*.deb; do
        cmp "$package" "$work/a/place/elsewhere/${package##*/}" || return
    done
}

# --- what is installed

packages() { # DIRECTORY
    find "$1" -name '*.deb' ! -name '*-dbgsym_*' | sort
}

install_all() { # DIRECTORY
    local list
    mapfile -t list < <(packages "$1")
    [ "${#list[@]}" = 5 ] && apt install "${list[@]}"
}

# The same packages with the next version.
make_newer() {
    local package
    mkdir "$work/newer"
    while IFS= read -r package; do
        dpkg-deb -R "$package" "$work/unpacked" &&
            sed -i -E 's/^(Version: .*)/\1+next/; s/(libshmd0 \(= [^)]*)\)/\1+next)/' "$work/unpacked/DEBIAN/control" &&
            dpkg-deb -b "$work/unpacked" "$work/newer/${package##*/}" && rm -r "$work/unpacked" || return
    done < <(packages "$work/here")
}

start_daemon() {
    local try
    setpriv --reuid=shmd --regid=shmd --clear-groups /usr/sbin/shmd 2>"$work/daemon.log" &
    daemon=$!
    for try in $(seq 600); do
        [ ! -S /run/shmd/shmd.sock ] || return 0
        sleep 0.1
    done
    echo "no socket after $try tries"
    cat "$work/daemon.log"
    return 1
}

nobody_may_log_in() {
    [[ $(getent passwd shmd) == *:/run/shmd:*nologin ]]
}

only_the_socket_is_enabled() {
    local links
    links=$(find /etc/systemd -name '*shmd*')
    echo "$links"
    [ "$links" = /etc/systemd/system/sockets.target.wants/shmd.socket ]
}

nothing_is_left() {
    local left
    left=$(find / -xdev \
        \( -path /proc -o -path /srv -o -path "$work" -o -path /var/cache/apt -o -path "$PWD" \) -prune -o \
        \( -name '*shmd*' -a ! -name 'shmd-packages*' \) -print)
    left+=$(find /run -name '*shmd*')
    echo "$left"
    [ -z "$left" ]
}

check 'the tools are there' apt install devscripts dpkg-dev git lintian
check 'what it needs to be built is there' apt build-dep ./
check 'dpkg-buildpackage, with the unit tests' build "$work/here" ''
check 'dpkg-buildpackage elsewhere' build_elsewhere
check 'the packages are the same, byte for byte' same_packages
check 'lintian has no error and no warning' \
    lintian --allow-root --fail-on error,warning "$work"/here/shmd_*.changes
cat "$work/output"

check 'installed' install_all "$work/here"
check 'sysusers made the user' nobody_may_log_in
check 'tmpfiles made the directory' test "$(stat -c '%U:%a' /run/shmd 2>&1)" = shmd:755
check 'only the socket is enabled' only_the_socket_is_enabled
check 'the manuals are there' test -e /usr/share/man/man8/shmd.8.gz -a -e /usr/share/man/man1/shmdctl.1.gz
check 'the daemon starts' start_daemon
check 'the command works' shmdctl create kept --size 4K
check 'Python works' python3 -c 'import shmd; shmd.publish("python", 4096).ready()'
mkdir "$work/classic" "$work/library"
check 'autopkgtest: library' env AUTOPKGTEST_TMP="$work/library" debian/tests/library
check 'autopkgtest: classic' env AUTOPKGTEST_TMP="$work/classic" debian/tests/classic
check 'what boots a systemd' apt install dbus systemd systemd-container
check 'autopkgtest: service' python3 tests/packages/service.py

check 'the next version is made' make_newer
check 'upgraded' install_all "$work/newer"
check 'the segments are still there' shmdctl stat kept python
check 'removed' apt remove shmd shmdctl libshmd0 libshmd-dev python3-shmd
check 'what the daemon knows is kept' test -d /run/shmd
kill "$daemon" && wait "$daemon"
daemon=
check 'purged' dpkg --purge shmd shmdctl libshmd0 libshmd-dev python3-shmd
check 'nothing is left of it' nothing_is_left
ipcrm --all=shm

printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
