# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Minimal systems of Debian in directories, made by debootstrap and entered in namespaces of their own.
# Sourced by the scripts here. It needs root, and this machine's apt must work: its archives of Debian,
# its proxies and its certificates are used.

die() {
    printf 'kernels: %s\n' "$*" >&2
    exit 1
}

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

# Runs a command as root in the system $1. What it mounts and starts ends with this script. $2 is a
# directory that is /srv there.
inside() {
    local root=$1 srv=$2
    shift 2
    # shellcheck disable=SC2016 # the shell in the namespaces expands them
    setpriv --pdeathsig KILL -- unshare --mount --propagation private --ipc --pid --fork --kill-child \
        sh -ec '
            root=$1 srv=$2
            shift 2
            mount --bind "$root" "$root"
            mount -t proc proc "$root/proc"
            mount -t tmpfs -o mode=755 tmpfs "$root/run"
            mount --rbind /dev "$root/dev"
            mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
            mount --bind "$srv" "$root/srv"
            exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
                DEBIAN_FRONTEND=noninteractive "$@"' sh "$root" "$srv" "$@"
}

# Makes the system $2 of the release $1 with the packages of the other arguments. `release/main` is without
# updates of any kind.
make_system() {
    local release=${1%/main} only=${1#*/} root=$2 main security
    shift 2
    [ -n "$(archives)" ] || apt-get -q update
    main=$(archives | sed -n 's/^Debian //p' | sed q)
    security=$(archives | sed -n 's/^Debian-Security //p' | sed q)
    [ -n "$main" ] || die "this machine's apt has no archive of Debian"
    debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$main"
    {
        echo "deb $main $release main"
        if [ "$only" != main ]; then
            echo "deb $main $release-updates main"
            [ -z "$security" ] || echo "deb $security $release-security main"
        fi
    } >"$root/etc/apt/sources.list"
    apt_settings >"$root/etc/apt/apt.conf.d/00machine"
    cp -r /etc/apt/auth.conf.d "$root/etc/apt/" 2>/dev/null || true
    cp -rL /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # no service starts
    chmod +x "$root/usr/sbin/policy-rc.d"
    # shellcheck disable=SC2016 # the shell in the system expands them
    inside "$root" "$root/srv" sh -ec '
        update-ca-certificates
        apt-get -q update
        apt-get -q -y install --no-install-recommends "$@"
        apt-get clean' sh "$@"
}
