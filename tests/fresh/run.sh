#!/bin/bash
# SPDX-License-Identifier: MIT
# Sets shmd up on a fresh, minimal Debian, as a newcomer does:
#
#   tests/fresh/run.sh [--release bookworm|trixie] [--user root|ordinary|container]
#                      [--way readme|plain|tarball|tools|packages|image]
#
#   readme     git clone, then the commands of README.md in its order, then its tour (the default)
#   plain      ./autogen.sh && ./configure && make && make check && make install
#   tarball    make dist, and the release built in its own directory and out of it
#   tools      the release's clang with warnings as errors, the lints, the analyses, distcheck
#   packages   the Debian packages: built twice, compared, installed, upgraded, purged; as root
#   image      what contrib/Containerfile says, by hand, and the daemon as the image runs it; as root
#
# --user and --way may be repeated. The ordinary user has sudo; `container` is root with the capabilities
# that Docker leaves to it. Without --user, root and the ordinary user do it. What is committed is cloned.
# The last line is the sum: N passed, N failed.
#
# It needs root and debootstrap, and this machine's apt must work: its sources of Debian, its proxies
# and its certificates are copied in. The systems are directories below ${TMPDIR:-/var/tmp}, with
# namespaces of their own; however this script ends, they and their mounts go away.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."
top=$PWD

die() {
    printf 'fresh: %s\n' "$*" >&2
    exit 1
}

say() {
    printf '\n--- fresh: %s\n' "$*"
}

# --- arguments

# The comment at the top. This directory is the tree's by now, so the path as it was called leads nowhere.
print_help() {
    sed -nE '3,/^[^#]/s/^# ?//p' tests/fresh/run.sh
}

release=bookworm
users=()
ways=()
while [ $# -gt 0 ]; do
    case "$1 ${2:-}" in
    '--release bookworm' | '--release trixie') release=$2 ;;
    '--user root' | '--user ordinary' | '--user container') users+=("$2") ;;
    '--way readme' | '--way plain' | '--way tarball' | '--way tools' | '--way packages' | '--way image') ways+=("$2") ;;
    '-h '* | '--help '*)
        print_help
        exit
        ;;
    *)
        print_help >&2
        exit 2
        ;;
    esac
    shift 2
done
[ ${#users[@]} -gt 0 ] || users=(root ordinary)
[ ${#ways[@]} -gt 0 ] || ways=(readme)

[ "$(id -u)" = 0 ] || die 'it needs root, to make a system and to enter it'
command -v debootstrap >/dev/null || die 'debootstrap is missing (Debian: debootstrap)'
git rev-parse --verify --quiet HEAD >/dev/null || die 'this is no git tree, and it is a clone that is tested'
[ -z "$(git status --porcelain --untracked-files=no)" ] ||
    echo 'fresh: some changes are not committed, and are not tested' >&2

# --- a directory that goes away however this script ends

work=$(mktemp -d "${TMPDIR:-/var/tmp}/shmd-fresh.XXXXXX")

# It waits for this script to end, even by SIGKILL. The mounts are in namespaces that end with it.
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

# Runs a command in namespaces of its own, and ends it when this script ends.
isolated() {
    setpriv --pdeathsig KILL -- unshare --mount --propagation private --ipc --pid --fork --kill-child "$@"
}

# To be run isolated: enter.sh ROOT USER COMMAND... runs COMMAND as that kind of user in the system ROOT,
# with an empty environment. A root directory that is no mount would do for root, but no user namespace can be made
# in one.
cat >"$work/enter.sh" <<'END'
set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --bind "$(dirname "$0")/archives" "$root/var/cache/apt/archives"
cd "$root"
pivot_root . mnt
umount -l /mnt
docker=+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw
docker+=,+sys_chroot,+mknod,+audit_write,+setfcap
case $user in
root) cd /root && become=(env) ;;
container) cd /root && become=(setpriv "--bounding-set=-all,$docker" --inh-caps=-all) ;;
ordinary) cd ~newcomer && become=(setpriv --reuid=newcomer --regid=newcomer --init-groups) ;;
esac
exec "${become[@]}" env -i "$@"
END

# --- the base, made once

# The archives of Debian that this machine uses, a line each: label, address.
archives() {
    # shellcheck disable=SC2016 # apt expands them
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

# What this machine's apt knows of the way to them, as a file for another apt.
apt_settings() {
    apt-config dump | grep -E '^Acquire::(https?|ftp|Retries|Check-|ForceIPv)[^ ]* "[^"]' |
        grep -v 'Auto-Detect' || true
    [ -z "${http_proxy:-}" ] || echo "Acquire::http::Proxy \"$http_proxy\";"
    [ -z "${https_proxy:-}" ] || echo "Acquire::https::Proxy \"$https_proxy\";"
}

make_base() {
    local root=$1 main security
    if [ -z "$(archives)" ]; then
        apt-get -q update >"$work/log" || { cat "$work/log"; die 'apt-get update failed'; }
    fi
    main=$(archives | sed -n 's/^Debian //p' | sed q)
    security=$(archives | sed -n 's/^Debian-Security //p' | sed q)
    [ -n "$main" ] || die "this machine's apt has no archive of Debian"
    debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$main" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log"; die 'debootstrap failed'; }
    {
        echo "deb $main $release main"
        echo "deb $main $release-updates main"
        [ -z "$security" ] || echo "deb $security $release-security main"
    } >"$root/etc/apt/sources.list"
    apt_settings >"$root/etc/apt/apt.conf.d/00machine"
    cp -r /etc/apt/auth.conf.d "$root/etc/apt/" 2>/dev/null || true
    cp -rL /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # no service starts
    chmod +x "$root/usr/sbin/policy-rc.d"
    isolated bash "$work/enter.sh" "$root" root PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec '
        export DEBIAN_FRONTEND=noninteractive
        update-ca-certificates
        apt-get -q update
        apt-get -q -y install --no-install-recommends git sudo
        useradd --create-home --shell /bin/bash newcomer
        echo "newcomer ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/newcomer' >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log"; die 'the base could not be completed'; }
}

# --- a run

passed=0
failed=0
skipped=0

# A system of its own for USER, who goes WAY; the last line of its output has the counts.
run() { # user, way
    local root=$work/root line
    cp -a "$work/base" "$root"
    git clone --quiet --bare --no-local "$top" "$root/srv/shmd.git"
    cp "$top/tests/fresh/inside.sh" "$root/srv/"
    [ "$1" != ordinary ] || chroot "$root" chown -R newcomer: /srv
    isolated bash "$work/enter.sh" "$root" "$1" bash /srv/inside.sh "$2" </dev/null 2>&1 |
        tee "$work/output" || true
    line=$(tail -n 1 "$work/output")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + BASH_REMATCH[3]))
    else
        failed=$((failed + 1))
        echo "not ok - the run as $1, $2, did not come to its end"
    fi
    rm -rf --one-file-system "$root"
}

# bash has read all of it before it begins, for the tree may change meanwhile.
main() {
    local way user start
    SECONDS=0
    say "a minimal Debian $release; commit $(git rev-parse --short HEAD)"
    mkdir -p "$work/archives/partial"
    make_base "$work/base"
    echo "made in $SECONDS s"
    for way in "${ways[@]}"; do
        for user in "${users[@]}"; do
            say "Debian $release, user $user, way $way"
            start=$SECONDS
            run "$user" "$way"
            echo "Debian $release, user $user, way $way: $((SECONDS - start)) s"
        done
    done

    printf '\n%s passed, %s failed' "$passed" "$failed"
    [ "$skipped" = 0 ] || printf ', %s skipped' "$skipped"
    printf '\n'
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
main
