#!/bin/bash
# SPDX-License-Identifier: MIT
# What a newcomer types, on the system that run.sh has made: inside.sh readme|plain|tarball|tools|packages|image
#
# Each command has an empty environment; where no quickstart is at work, it has the PATH of a login. The
# last line is the sum: N passed, N failed, N skipped.


# shellcheck disable=SC2016 # the shell that a line is typed into expands it
set -uo pipefail
way=$1
passed=0
failed=0
skipped=0
login=()
output=$(mktemp)
trap 'rm -f "$output"' EXIT

result() { # NAME, STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1: it ended with $2"
    fi
}

# Runs a line as it would be typed. Where it ends with counts, they are counted instead of the line.
typed() {
    local status=0
    printf '\n$ %s\n' "$1"
    env -i "${login[@]}" bash -c "$1" </dev/null >"$output" 2>&1 || status=$?
    # The results of single test programs are of interest only when one failed.
    grep -vE '^(PASS|SKIP): ' "$output" | tail -n 150
    if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
        [ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || result "$1" "$status"
    else
        result "$1" "$status"
    fi
    return "$status"
}

log_in() {
    login=(PATH=/usr/local/bin:/usr/bin:/bin)
    [ "$(id -u)" != 0 ] || login=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
}

as_root() {
    if [ "$(id -u)" = 0 ]; then echo "$1"; else echo "sudo $1"; fi
}

# Which tests were skipped, and why.
tell_skipped() {
    find . -name '*.log' ! -name check.log ! -name test-suite.log -exec grep -HE '^ok .* # SKIP|^1\.\.0 # SKIP' {} + |
        sed -E 's/^.*\/([a-z_]+)\.log:(ok [0-9]+ - |1\.\.0 # SKIP)/skipped: \1 /' | sort -u
}

# The counts of `make check`, which has written a file of results for each test program.
count_results() {
    local counts
    counts=$(find . -name '*.trs' -exec cat {} +)
    passed=$((passed + $(grep -c '^:test-result: PASS' <<<"$counts")))
    failed=$((failed + $(grep -cE '^:test-result: (FAIL|XPASS)' <<<"$counts")))
    skipped=$((skipped + $(grep -c '^:test-result: SKIP' <<<"$counts")))
}

nothing_is_left() {
    local left=0
    [ "$(wc -l </proc/sysvipc/shm)" = 1 ] || { cat /proc/sysvipc/shm; left=1; }
    result 'no segment is left' "$left"
    left=0
    [ -z "$(git status --porcelain)" ] || { git status --short; left=1; }
    result 'git sees nothing new' "$left"
}

# The commands of the README's tour: what follows a prompt, to the end of its quotes. A reader types
# slowly, so a command in the background has begun when the next one comes.
tour_commands() {
    awk -v quote="'" '
        /^    / {
            line = substr($0, 5)
            if (!quoted && line !~ /^\$ /)
                next
            if (!quoted)
                line = substr(line, 3)
            print line
            if (gsub(quote, quote, line) % 2)
                quoted = !quoted
            if (!quoted && line ~ /&$/)
                print "sleep 1"
        }' README.md
}

tour() {
    local script status=0
    log_in
    script=$(tour_commands)
    [ -n "$script" ] || { result 'README.md has a tour' 1; return; }
    printf '\n$ # the tour of README.md\n'
    env -i "${login[@]}" timeout 300 bash -e -m -c "$script" </dev/null >"$output" 2>&1 || status=$?
    tail -n 100 "$output"
    result 'the tour of README.md' "$status"
}

readme() {
    local command commands
    mapfile -t commands < <(sed -nE 's/^ {4}(\.\/quickstart( test)?)( +#.*)?$/\1/p' README.md)
    result 'README.md names the two commands' "$([ "${#commands[@]}" = 2 ]; echo $?)"
    for command in "${commands[@]}"; do
        typed "$command"
    done
    tell_skipped
    tour
}

install_packages() {
    typed "$(as_root apt-get) -q -y install --no-install-recommends \$(./quickstart packages test)"
}

plain() {
    log_in
    install_packages
    typed './autogen.sh && ./configure && make'
    typed 'make check'
    count_results
    find . -name '*.log' -exec grep -hE '^not ok' {} +
    tell_skipped
    typed "$(as_root make) install && $(as_root ldconfig)"
    typed 'make lint'
    typed 'examples/demo'
    typed 'cd / && shmdctl --version && /usr/local/share/doc/shmd/examples/demo'
    tour
}

tarball() {
    log_in
    install_packages
    typed './autogen.sh && ./configure && make -j2 dist'
    typed 'mkdir ../in ../out && tar -C ../in --strip-components=1 -xf shmd-*.tar.xz && cp -r ../in ../source'
    cd ../in || exit
    typed './configure && make -j2 && make -j2 check'
    count_results
    typed 'make lint && make install DESTDIR="$PWD/installed" && examples/demo'
    cd ../out || exit
    typed '../source/configure && make -j2 && make -j2 check-unit && make lint && make install DESTDIR="$PWD/installed"'
    typed '../source/examples/demo "$PWD"'
    typed 'cd ../source && ./quickstart'
    cd ../shmd || exit
}

tools() {
    typed "$(as_root apt-get) -q -y install --no-install-recommends clang >/dev/null"
    typed 'CC=clang CHECK=check-unit ./quickstart test build-clang --enable-werror'
    typed 'CHECK=lint ./quickstart test build --enable-werror'
    typed 'CHECK=analyse ./quickstart test build --enable-werror'
    log_in
    typed 'make --no-print-directory -C build distcheck TESTS= >build/distcheck.log 2>&1'
}

packages() {
    log_in
    typed 'tests/packages/check.sh'
}

image() {
    log_in
    typed 'apt-get -q -y install --no-install-recommends python3 >/dev/null'
    typed 'PYTHONDONTWRITEBYTECODE=1 python3 tests/packages/image.py'
}

typed 'git clone --quiet /srv/shmd.git shmd'
cd shmd || exit
"$way"
nothing_is_left
printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
