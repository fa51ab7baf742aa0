#!/bin/bash
# SPDX-License-Identifier: MIT
# .ci/run, in a tree of stubs: which fresh systems it sets shmd up on, what the day decides, and when it fails.
set -u -o pipefail

top=${abs_top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
[ -e "$top/.ci/run" ] || { echo '1..0 # SKIP a release has no .ci/run' && exit 0; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/shmd-ci.XXXXXX")
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

stub() { # FILE, its text on standard input
    mkdir -p "${1%/*}"
    { echo '#!/bin/bash' && cat; } >"$1"
    chmod +x "$1"
}

mkdir -p "$tree/.ci"
cp "$top/.ci/run" "$tree/.ci/"
stub "$tree/quickstart" <<'END'
echo '2 passed, 0 failed, 1 skipped'
END
stub "$tree/tests/fresh/run.sh" <<'END'
echo "$*" >>"$STUBS/fresh"
[ -e "$STUBS/fresh-fails" ] || { echo '3 passed, 0 failed' && exit; }
echo '2 passed, 1 failed'
exit 1
END
stub "$tree/build/tests/simulation/simulate" <<<'exit 0'
mkdir "$tree/build-sanitizers"
# The machine's own programs, but for those that the tests below take away.
mkdir "$scratch/bin" "$scratch/machine"
find /usr/bin /bin -maxdepth 1 ! -type d -exec ln -sf -t "$scratch/machine" {} + 2>/dev/null
for name in abidiff debootstrap zsh fish node npm rpmspec rpmlint promtool Xvfb valgrind git; do
    rm -f "$scratch/machine/$name"
    stub "$scratch/bin/$name" <<<'exit 0'
done
# shellcheck disable=SC2016 # the stub expands it
stub "$scratch/bin/apt-get" <<'END'
echo "$*" >>"$STUBS/asked"
[[ $* != *install* ]] || "$CI_POLICY" || echo "$?" >>"$STUBS/policies"
exit 100
END
# shellcheck disable=SC2016 # the stub expands it
stub "$scratch/bin/make" <<'END'
[ ! -e "$STUBS/make-fails" ] || case $* in *check-circles*) exit 1 ;; esac
[ ! -e "$STUBS/check-is-skipped" ] || case $* in *check-abi*) cat "$STUBS/check-is-skipped" ;; esac
END
# shellcheck disable=SC2016 # the stub expands it
stub "$scratch/bin/dpkg-query" <<'END'
[ ! -e "$STUBS/lacks-${!#}" ] && printf installed
END
stub "$scratch/bin/date" <<'END'
case $* in
*%j*) cat "$STUBS/day" ;;
*) exec /bin/date "$@" ;;
esac
END

# The exit status. In $scratch/fresh is how the fresh systems were asked for.
run() { # CI_TURN, or nothing
    : >"$scratch/fresh"
    env -i "STUBS=$scratch" "CI_POLICY=$scratch/policy-rc.d" "PATH=$scratch/bin:$scratch/machine" ${1:+"CI_TURN=$1"} \
        "$tree/.ci/run" >"$scratch/output" 2>&1 </dev/null
    echo $?
}

turn_of_today() {
    sed -n 's/^by turns, today: \([a-z]*\) .*/\1/p' "$scratch/output"
}

echo 001 >"$scratch/day"
for turn in 'plain|--release bookworm --user ordinary --way plain' \
    'tarball|--release bookworm --user root --way tarball' \
    'trixie|--release trixie --user root --way readme --way tools' \
    'container|--release bookworm --user container --way readme' \
    'packages|--release bookworm --user root --way packages --way image'; do
    is "${turn%%|*}: it succeeds" "$(run "${turn%%|*}")" 0
    is "${turn%%|*}: the order of README.md always, and this" "$(paste -sd'|' "$scratch/fresh")" \
        "--release bookworm --way readme|${turn#*|}"
done

turns=
for day in 008 009 100 366; do # with zeros before it, a number is not octal
    echo "$day" >"$scratch/day"
    run >/dev/null
    turns+=" $(turn_of_today)"
done
is 'the day decides, and is printed' "$turns" ' container packages plain tarball'
is 'a turn that there is not' "$(run nonsense)" 1

touch "$scratch/fresh-fails"
is 'tests that fail' "$(run plain)" 1
is 'tests that fail: the sum' "$(sed -nE '$s/.* ([0-9]+ failed).*/\1/p' "$scratch/output")" '2 failed'
rm "$scratch/fresh-fails"

for name in abidiff fish promtool; do
    mv "$scratch/bin/$name" "$scratch/$name"
    is "without $name" "$(run plain)" 1
    is "without $name: why" "$(grep -c "^$name cannot be had" "$scratch/output")" 1
    mv "$scratch/$name" "$scratch/bin/$name"
done
touch "$scratch/lacks-qtbase5-dev"
is 'without a library' "$(run plain)" 1
is 'without a library: why' "$(grep -c '^qtbase5-dev cannot be had' "$scratch/output")" 1
rm "$scratch/lacks-qtbase5-dev"
is 'they were asked for' \
    "$(grep -cE 'install.* (abigail-tools|fish|qtbase5-dev)$|download prometheus$' "$scratch/asked")" 4
is 'no service may start then' "$(sort -u "$scratch/policies")" 101
is 'no policy stays' "$([ -e "$scratch/policy-rc.d" ] || echo none)" none
stub "$scratch/policy-rc.d" <<<'exit 102'
mv "$scratch/bin/fish" "$scratch/fish"
run plain >/dev/null
mv "$scratch/fish" "$scratch/bin/fish"
is "the machine's own policy holds" "$(tail -n 1 "$scratch/policies")" 102
is "the machine's own policy stays" "$([ -x "$scratch/policy-rc.d" ] && echo there)" there
rm "$scratch/policy-rc.d"
for log in "$tree/build-sanitizers/tests/test_x.log" "$tree/build/tests/lint/x.log"; do
    mkdir -p "${log%/*}"
    for line in 'ok 1 - X.test # SKIP strace is not installed (Debian: strace)' \
        '1..0 # SKIP numpy is not installed (Debian: python3-numpy)'; do
        echo "$line" >"$log"
        is "it fails for ${line/ # SKIP/, skipped:}" "$(run plain)" 1
    done
    echo 'ok 1 - X.test # SKIP this needs a kernel that promtool does not' >"$log"
    is 'a test that was skipped for another reason' "$(run plain)" 0
done
mv "$tree/build-sanitizers" "$scratch/aside"
is 'nobody knows what was skipped' "$(run plain)" 1
mv "$scratch/aside" "$tree/build-sanitizers"

for line in '1..0 # SKIP abidiff is not installed (Debian: abigail-tools)' \
    "skipped: valgrind is not installed (Debian: valgrind)"$'\n''0 passed, 0 failed, 1 skipped'; do
    echo "$line" >"$scratch/check-is-skipped"
    line=${line/ # SKIP/, skipped:}
    is "a step that was skipped: ${line%%$'\n'*}" "$(run plain)" 1
done
echo '1..0 # SKIP there is none' >"$scratch/check-is-skipped"
is 'a step that was skipped' "$(run plain)" 0
is 'a step that was skipped: the sum' "$(sed -nE '$s/.* ([0-9]+ skipped).*/\1/p' "$scratch/output")" '5 skipped'
rm "$scratch/check-is-skipped"

touch "$scratch/make-fails"
is 'a step that fails without counts' "$(run plain)" 1
is 'a step that fails without counts: the sum' "$(sed -nE '$s/.* ([0-9]+ failed).*/\1/p' "$scratch/output")" '1 failed'

echo "1..$count"
[ "$failed" = 0 ]
