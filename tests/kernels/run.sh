#!/bin/bash
# SPDX-License-Identifier: MIT
# Tests shmd on kernels of Debian's, and for other processors, under software emulation:
#
#   tests/kernels/run.sh BUILD_DIRECTORY [6.1] [6.12] [i386] [arm64] [PART...]
#
#   6.1, 6.12     Debian 12 and 13 booted in a virtual machine without a network (boot.py has the parts)
#   i386, arm64   the unit tests, cross-built and run: i386 by the machine itself where it can, else emulated
#
# Without any, all of them. `make check-kernels` runs it, `make check-kernels kernel=6.1` a part of it. The
# systems are kept in BUILD_DIRECTORY/kernels, about 5 GiB, and used again; `make distclean` removes them.
# What else is made goes away however this script ends.
#
# It needs root, debootstrap, e2fsprogs, qemu-system-x86 and qemu-user-static, and is skipped, with the
# reason, where they are missing. The last line is the sum: N passed, N failed, N skipped.
set -euo pipefail
shopt -s inherit_errexit
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/kernels
. "$here/debian.sh"

[ $# -gt 0 ] || { sed -nE '3,/^[^#]/s/^# ?//p' "$0"; exit 2; }
mkdir -p "$1/kernels"
store=$(cd "$1/kernels" && pwd)
shift
kernels=() processors=() parts=()
for word in "$@"; do
    case $word in
    6.1 | 6.12) kernels+=("$word") ;;
    i386 | arm64) processors+=("$word") ;;
    *) parts+=("$word") ;;
    esac
done
if [ ${#kernels[@]} = 0 ] && [ ${#processors[@]} = 0 ]; then
    kernels=(6.1 6.12) processors=(i386 arm64)
fi

passed=0 failed=0 skipped=0

sum_up() {
    printf '\n%s passed, %s failed' "$passed" "$failed"
    [ "$skipped" = 0 ] || printf ', %s skipped' "$skipped"
    printf '\n'
}

# Skips all of it where PROGRAM, of Debian's PACKAGE, is missing.
need() { # PROGRAM, PACKAGE
    command -v "$1" >/dev/null || skip_all "$1 is not installed (Debian: $2)"
}

skip_all() {
    echo "skipped: $1"
    skipped=1
    sum_up
    exit 0
}

[ "$(id -u)" = 0 ] || skip_all 'it needs root, to make systems and to enter them'
need debootstrap debootstrap
need mkfs.ext4 e2fsprogs
[ ${#kernels[@]} = 0 ] || need qemu-system-x86_64 qemu-system-x86
[ ${#processors[@]} = 0 ] || need qemu-i386-static qemu-user-static

# --- a directory that goes away however this script ends

work=$(mktemp -d "$store/run.XXXXXX")

# It waits for this script to end, even by SIGKILL. Processes and mounts end with it.
# shellcheck disable=SC2016 # the guardian expands it
setsid --fork bash -c '
    while kill -0 "$1" 2>/dev/null; do sleep 0.2; done
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf --one-file-system "$2" 2>/dev/null && exit
        sleep 1
    done' guardian $$ "$work" </dev/null >/dev/null 2>&1 &
clean_up() {
    rm -rf --one-file-system "$work" || true
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# --- systems, made once

mapfile -t building < <("$top/quickstart" packages)
testing=(libcmocka-dev python3 jq socat netcat-openbsd xz-utils procps e2fsprogs)
booting=(linux-image-cloud-amd64 systemd-sysv udev dbus libpam-systemd initramfs-tools login passwd)

# What a system has besides its packages: a shell of root's on ttyS1 that is no login session, a login on
# ttyS2, and somebody who logs in there.
prepare_boot() {
    local root=$1
    printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
    echo kernels >"$root/etc/hostname"
    : >"$root/etc/machine-id"
    cat >"$root/etc/systemd/system/tests-shell.service" <<'END'
[Unit]
Description=The shell of the tests

[Service]
ExecStart=/bin/bash -c 'stty -echo -onlcr; echo the shell of the tests; while IFS= read -r line; do eval "$$line"; done'
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root TERM=dumb
WorkingDirectory=/
StandardInput=tty
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
TTYReset=yes
KillSignal=SIGKILL

[Install]
WantedBy=multi-user.target
END
    mkdir -p "$root/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultTimeoutStopSec=20s\n' >"$root/etc/systemd/system.conf.d/tests.conf"
    # shellcheck disable=SC2016 # the shell in the system expands it
    inside "$root" "$work" sh -ec '
        systemctl enable tests-shell.service serial-getty@ttyS2.service
        systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
            fstrim.timer man-db.timer systemd-timesyncd.service
        id -u alice >/dev/null 2>&1 || useradd --create-home --shell /bin/bash alice
        echo alice:alice | chpasswd
        rm -f /usr/sbin/policy-rc.d'
}

# Runs a step of making a system, unless it has been done just so: FILE says how. A step that failed may have
# left anything.
step() { # FILE, what it depends on, COMMAND...
    local file=$1 how=$2
    shift 2
    how="$how $* $(declare -f "$1" | sha256sum)"
    if [ "$(cat "$file" 2>/dev/null)" = "$how" ]; then
        return
    fi
    rm -f "$file"
    "$@" </dev/null >"$file.log" 2>&1 || { tail -n 20 "$file.log"; die "$1 has failed"; }
    echo "$how" >"$file"
}

# A system of RELEASE with packages, made by FUNCTION in a directory of that NAME.
system() { # NAME, FUNCTION, RELEASE, packages
    local directory=$store/$1
    mkdir -p "$directory"
    [ -e "$directory/made" ] || echo "making a Debian $3 in $directory"
    step "$directory/made" "$(declare -f make_system)" "$2" "$directory/root" "${@:3}"
}

make_anew() { # ROOT, RELEASE, packages
    rm -rf --one-file-system "$1"
    make_system "$2" "$1" "${@:3}"
}

# Of such a system, what boots.
make_bootable() {
    local directory=$1
    prepare_boot "$directory/root"
    cp "$directory"/root/boot/vmlinuz-* "$directory/vmlinuz"
    cp "$directory"/root/boot/initrd.img-* "$directory/initrd"
    truncate -s 3G "$directory/disk"
    mkfs.ext4 -q -F -d "$directory/root" "$directory/disk"
}

# The source: what git tracks or would, or all of a release.
copy_source() {
    mkdir "$1"
    if git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
        (cd "$top" && git ls-files -co --exclude-standard -z | tar --null -T - -c) | tar -x -C "$1"
    else
        cp -a "$top/." "$1"
    fi
}

# Takes the counts of the last line of what was printed.
count() { # NAME, FILE, STATUS
    if [[ $(tail -n 1 "$2") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
        [ "$3" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
    else
        failed=$((failed + 1))
        echo "not ok - $1 did not come to its end"
    fi
}

# --- kernels

test_kernel() {
    local kernel=$1 release status=0
    case $kernel in 6.1) release=bookworm ;; 6.12) release=trixie ;; esac
    system "$release" make_anew "$release" "${building[@]}" "${testing[@]}" "${booting[@]}"
    step "$store/$release/bootable" "$(cat "$store/$release/made") $(declare -f prepare_boot)" \
        make_bootable "$store/$release"
    rm -rf --one-file-system "$work/srv"
    mkdir "$work/srv"
    copy_source "$work/srv/shmd"
    echo "building for $kernel"
    # shellcheck disable=SC2016 # the shell in the system expands it
    inside "$store/$release/root" "$work/srv" sh -ec '
        cd /srv/shmd && ./autogen.sh && mkdir -p build && cd build
        ../configure --prefix=/usr --sysconfdir=/etc --localstatedir=/var
        make -j"$(nproc)" && make -j"$(nproc)" check TESTS= && make install DESTDIR=/srv/installed' \
        </dev/null >"$work/log" 2>&1 || { tail -n 30 "$work/log"; die "no build for $kernel"; }
    truncate -s 1G "$work/disk"
    mkfs.ext4 -q -F -d "$work/srv" "$work/disk"
    TMPDIR=$work python3 "$here/boot.py" "$kernel" "$store/$release" "$work/disk" "${parts[@]}" \
        </dev/null 2>&1 | tee "$work/output" || status=$?
    count "$kernel" "$work/output" "$status"
}

# --- other processors

# A Debian with a cross compiler, and the libraries of another processor instead of its own. They must have the
# versions of the system, and updates do not come for all processors at the same moment.
make_cross() { # ROOT, RELEASE, ARCHITECTURE, packages
    local root=$1 release=$2 architecture=$3 package
    local tools=() libraries=()
    for package in "${@:4}"; do
        case $package in
        lib*-dev) libraries+=("$package:$architecture") ;;
        *) tools+=("$package") ;;
        esac
    done
    make_anew "$root" "$release" "${tools[@]}"
    # shellcheck disable=SC2016 # the shell in the system expands it
    inside "$root" "$work" sh -ec '
        dpkg --add-architecture "$1"
        shift
        apt-get -q update
        apt-get -q -y install --no-install-recommends "$@"
        apt-get clean' sh "$architecture" "${libraries[@]}"
}

# Builds with warnings as errors, and runs the unit tests.
test_processor() {
    local processor=$1 host emulator status=0
    local libraries # where Debian has them
    case $processor in
    i386) host=i686-linux-gnu libraries=i386-linux-gnu emulator=qemu-i386-static ;;
    arm64) host=aarch64-linux-gnu libraries=aarch64-linux-gnu emulator=qemu-aarch64-static ;;
    esac
    system "$processor" make_cross bookworm/main "$processor" "${building[@]}" libc6-dev libcmocka-dev \
        "gcc-$host" qemu-user-static
    # A machine of 64 bits may run those of 32 itself, over its own kernel.
    [ "$processor" != i386 ] || ! "$store/i386/root/lib/$libraries/ld-linux.so.2" --version >/dev/null 2>&1 ||
        emulator=
    rm -rf --one-file-system "$work/srv"
    mkdir "$work/srv"
    copy_source "$work/srv/shmd"
    # shellcheck disable=SC2016 # the shell in the system expands them
    inside "$store/$processor/root" "$work/srv" sh -ec '
        cd /srv/shmd && ./autogen.sh >/dev/null 2>&1 && mkdir -p build && cd build
        export PKG_CONFIG_LIBDIR="/usr/lib/$3/pkgconfig:/usr/share/pkgconfig"
        ../configure --quiet --host="$1" --enable-werror PKG_CONFIG=pkg-config
        status=0
        make --silent -k -j"$(nproc)" || status=1
        make --silent -k -j"$(nproc)" check TESTS= || status=1
        # libtool knows which program is behind its script.
        make --silent check-unit LOG_COMPILER="${2:+./libtool --mode=execute $2}" || true
        for result in $(find . -name "*.trs"); do cat "$result"; done |
            sed -n "s/^:test-result: //p" >/srv/results
        find . -name "*.log" -exec grep -HE "^not ok" {} + || true
        exit $status' \
        sh "$host" "$emulator" "$libraries" </dev/null >"$work/output" 2>&1 || status=$?
    grep -E 'warning:|error:|undefined reference|^\./.*not ok|^(FAIL|ERROR)' "$work/output" || true
    [ "$status" = 0 ] || tail -n 20 "$work/output"
    touch "$work/srv/results"
    local good bad left_out
    good=$(grep -c '^PASS' "$work/srv/results") || true
    bad=$(grep -cE '^(FAIL|ERROR|XPASS)' "$work/srv/results") || true
    left_out=$(grep -c '^SKIP' "$work/srv/results") || true
    [ "$status" = 0 ] && [ "$good" != 0 ] || bad=$((bad + 1))
    echo "$processor: $good passed, $bad failed, $left_out skipped"
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left_out))
}

# bash has read all of it before it begins, for the tree may change meanwhile.
main() {
    local what start
    for what in "${kernels[@]}"; do
        start=$SECONDS
        test_kernel "$what"
        echo "$what: $((SECONDS - start)) s"
    done
    for what in "${processors[@]}"; do
        start=$SECONDS
        test_processor "$what"
        echo "$what: $((SECONDS - start)) s"
    done
    sum_up
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
main
