#!/bin/bash
# SPDX-License-Identifier: MIT
# quickstart, in a tree of stubs: when it configures again, when it compiles everything again, and what
# it installs. And the help of each script that a newcomer types.
#
# The programs that it calls are stubs, and write what they do to $scratch/calls. So the compilers, the
# packages and the user of this machine do not matter.
set -u -o pipefail

top=${abs_top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/shmd-quickstart.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' INT TERM HUP
tree=$scratch/tree
count=0
failed=0

is() { # NAME GOT WANTED
    count=$((count + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $count - $1"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $count - $1"
    printf 'got:    %s\nwanted: %s\n%s\n' "$2" "$3" "$(cat "$scratch/output")" | sed 's/^/#   /'
}

# --- the stubs

stub() { # FILE, its text on standard input
    { echo '#!/bin/bash' && cat; } >"$1"
    chmod +x "$1"
}

make_programs() {
    local name
    mkdir "$scratch/bin"
    echo 12 >"$scratch/compiler"
    echo 'base 1 installed' >"$scratch/packages"
    echo 'libevent' >"$scratch/modules"
    : >"$scratch/missing"
    : >"$scratch/unavailable"
    for name in gcc cc clang; do
        # shellcheck disable=SC2016 # the stub expands it
        stub "$scratch/bin/$name" <<<'echo "a compiler, version $(cat "$STUBS/compiler")"'
    done
    for name in autoreconf autoconf automake libtoolize c++ python3 jq socat strace; do
        stub "$scratch/bin/$name" <<<'echo "version 1"'
    done
    stub "$scratch/bin/nproc" <<<'echo 1'
    stub "$scratch/bin/id" <<<'echo 0'
    # shellcheck disable=SC2016 # the stub expands it
    stub "$scratch/bin/pkg-config" <<<'cat "$STUBS/modules"'
    # About one package it says whether that is installed; without one it lists all.
    stub "$scratch/bin/dpkg-query" <<'END'
case ${*: -1} in
-f*) cat "$STUBS/packages" ;;
*) ! grep -qxF "${*: -1}" "$STUBS/missing" && printf installed ;;
esac
END
    # Much more than a pipe holds: SIGPIPE ends it when its reader stops early.
    stub "$scratch/bin/apt-cache" <<'END'
candidate=1.0
! grep -qxF "$2" "$STUBS/unavailable" || candidate='(none)'
printf '%s:\n  Candidate: %s\n' "$2" "$candidate"
for ((i = 0; i < 3000; i++)); do echo '   500 another line about the same package'; done
END
    stub "$scratch/bin/apt-get" <<'END'
while [ $# -gt 0 ] && [ "$1" != install ]; do shift; done
[ $# = 0 ] || echo "apt-get $*" >>"$STUBS/calls"
END
    stub "$scratch/bin/make" <<'END'
while [ $# -gt 0 ]; do
    [ "$1" != -C ] || cd "$2"
    shift
done
echo make >>"$STUBS/calls"
if [ -e "$STUBS/make-is-killed" ]; then
    echo half >one.o
    kill -9 "$PPID"
    exit 1
fi
[ -e one.o ] || echo compile >>"$STUBS/calls"
echo whole >one.o
[ ! -e "$STUBS/make-fails" ]
END
}

make_tree() {
    mkdir -p "$tree/daemon" "$tree/examples"
    cp "$top/quickstart" "$tree/"
    echo 'AC_INIT' >"$tree/configure.ac"
    echo 'all:' >"$tree/Makefile.am"
    echo 'a = 1' >"$tree/daemon/local.mk"
    # shellcheck disable=SC2016 # the stub expands it
    stub "$tree/examples/demo" <<<'echo demo >>"$STUBS/calls"'
    stub "$tree/autogen.sh" <<'END'
echo autogen >>"$STUBS/calls"
mkdir -p build-aux
cp "$STUBS/configure" configure
[ ! -e "$STUBS/autogen-fails" ] || exit 1
cp daemon/local.mk Makefile.in
END
    stub "$scratch/configure" <<'END'
echo "configure${2:+ }${*:2}" >>"$STUBS/calls"
touch config.log Makefile
[ ! -e "$STUBS/configure-is-killed" ] || { kill -9 "$PPID"; exit 1; }
touch config.status
END
}

# Everything that quickstart calls with these arguments, in one line.
calls() {
    : >"$scratch/calls"
    env -i "STUBS=$scratch" "PATH=$scratch/bin:/usr/bin:/bin" ${settings:+"$settings"} \
        "$tree/quickstart" "$@" >"$scratch/output" 2>&1 </dev/null
    paste -sd' ' "$scratch/calls"
}

again() { # WHY
    is "$1: it configures again" "$(calls)" 'configure make demo'
    is "$1: once only" "$(calls)" 'make demo'
}

anew() { # WHY
    is "$1: it configures and compiles again" "$(calls)" 'configure make compile demo'
    is "$1: once only" "$(calls)" 'make demo'
}

settings=
make_programs
make_tree

# --- the build

is 'the first time' "$(calls)" 'autogen configure make compile demo'
is 'the second time' "$(calls)" 'make demo'

echo 'libcmocka-dev 1.1 installed' >>"$scratch/packages"
again 'a package that came'
echo 'base 1 installed' >"$scratch/packages"
again 'a package that went'
echo 'base 2 installed' >"$scratch/packages"
again 'a package that was updated'
echo 'cmocka' >>"$scratch/modules"
again 'a library from elsewhere'

echo 13 >"$scratch/compiler"
anew 'another version of the compiler'
settings=CC=clang
anew 'another compiler'
settings=CFLAGS=-O0
anew 'other flags'
settings=
is 'other options' "$(calls test build --with-x)" 'configure --with-x make compile make'
is 'other options: once only' "$(calls test build --with-x)" 'make make'
anew 'no options again'
mv "$tree" "$scratch/elsewhere"
tree=$scratch/elsewhere
anew 'a tree that was moved'

echo 'a = 2' >"$tree/daemon/local.mk"
is 'an updated tree' "$(calls)" 'autogen configure make demo'
is 'an updated tree: once only' "$(calls)" 'make demo'
echo 'AC_OUTPUT' >>"$tree/configure.ac"
is 'an updated configure.ac' "$(calls | sed 's/ configure//')" 'autogen make demo'
is 'an updated configure.ac: once only' "$(calls)" 'make demo'

# --- what was left half-made

touch "$scratch/autogen-fails"
echo 'a = 3' >"$tree/daemon/local.mk"
is 'autogen.sh fails' "$(calls)" 'autogen'
rm "$scratch/autogen-fails"
is 'after autogen.sh failed' "$(calls)" 'autogen configure make demo'

touch "$scratch/configure-is-killed"
echo 'base 3 installed' >"$scratch/packages"
is 'configure is killed' "$(calls 2>/dev/null)" 'configure'
rm "$scratch/configure-is-killed"
is 'after configure was killed' "$(calls | sed 's/ compile//')" 'configure make demo'
is 'after configure was killed: once only' "$(calls)" 'make demo'

touch "$scratch/make-is-killed"
is 'make is killed' "$(calls 2>/dev/null)" 'make'
rm "$scratch/make-is-killed"
anew 'after make was killed'
is 'the object is whole' "$(cat "$tree/build/one.o")" whole

touch "$scratch/make-fails"
is 'make fails' "$(calls)" 'make'
rm "$scratch/make-fails"
is 'after make failed it only makes again' "$(calls)" 'make demo'

rm -r "$tree/build"
is 'the build directory went' "$(calls)" 'configure make compile demo'
rm "$tree/build/configured-for"
anew 'a directory that quickstart did not configure'

# --- packages

echo libjansson-dev >"$scratch/missing"
is 'a package is missing' "$(calls)" 'apt-get install --no-install-recommends libjansson-dev make demo'
printf '%s\n' libcmocka-dev bash-completion libpam-systemd >"$scratch/missing"
is 'packages for the tests' "$(calls test | sed 's/ make.*//')" \
    'apt-get install --no-install-recommends libcmocka-dev libpam-systemd bash-completion'
echo bash-completion >"$scratch/unavailable"
is 'an optional package that this Debian does not have' "$(calls test | sed 's/ make.*//')" \
    'apt-get install --no-install-recommends libcmocka-dev libpam-systemd'

# --- help, from another directory

# What SCRIPT prints, called from DIRECTORY; both are in the tree. The first line, and the exit status.
first_line() { # DIRECTORY, SCRIPT, ARGUMENT
    local text status
    text=$(cd "$top/$1" && "./$2" "$3" 2>"$scratch/output")
    status=$?
    printf '%s|%s' "${text%%$'\n'*}" "$status"
}

is 'the help of quickstart' "$(first_line examples ../quickstart --help)" \
    'Sets shmd up on a fresh Debian 12 or 13 that has nothing but git, and shows what it does:|0'
is 'the help of the demonstration' "$(first_line tests ../examples/demo --help)" \
    'Shows the main job of shmd: processes share a segment by its name, and it goes away with them.|0'
# A release does not have it.
[ ! -e "$top/tests/fresh/run.sh" ] ||
    is 'the help of the set-up on a fresh Debian' "$(first_line examples ../tests/fresh/run.sh --help)" \
    'Sets shmd up on a fresh, minimal Debian, as a newcomer does:|0'
is 'quickstart with a wrong argument' "$(first_line examples ../quickstart nonsense)" '|2'
is 'it says what is right' "$(head -n 1 "$scratch/output")" \
    'Sets shmd up on a fresh Debian 12 or 13 that has nothing but git, and shows what it does:'

echo "1..$count"
[ "$failed" = 0 ]
