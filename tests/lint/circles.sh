#!/bin/bash
# SPDX-License-Identifier: MIT
# No circle of calls between files: when a file needs what another one defines, that one needs,
# directly or through others, nothing of the first. Includes do not show this; the symbols of the
# objects do. So this check runs in a build directory, on what make has built there.
#
# What counts is what nm shows: functions and data with external linkage. A call through a pointer
# counts for the file that has the function's name in its table.
. "$(dirname "$0")/lib.sh"

build=${abs_top_builddir:-$PWD}
rooms='protocol daemon client'
command -v nm >/dev/null || skip_all 'nm is not installed (Debian: binutils)'

# The symbols of the objects below $2, sources below $1, as "FILE defines|needs SYMBOL" lines. A file
# may have several objects: one for libraries, one for programs, one for a test. An object whose
# source is gone or newer is left over from an earlier build and says nothing.
symbols() {
    # shellcheck disable=SC2086 # rooms is a list
    (cd "$2" && find $rooms -name '*.o' -print 2>/dev/null | LC_ALL=C sort | while IFS= read -r object; do
        folder=${object%/*}
        # In the object's own order, in which the name of its source comes first.
        nm -a -p -P "$object" 2>/dev/null | awk -v folder="${folder%/.libs}" '
            $2 == "a" && $1 ~ /\.c$/ { sub(/.*\//, "", $1); file = folder "/" $1 }
            file == "" { next }
            $2 ~ /^[Uwv]$/ { print file, "needs", $1 }
            $2 ~ /^[A-TV-Zu]$/ { print file, "defines", $1 }
            END { if (file != "") print file, "is", "there" }' >"$scratch/object"
        source=$(awk '{ print $1; exit }' "$scratch/object")
        [ ! -f "$1/$source" ] || [ "$1/$source" -nt "$object" ] || cat "$scratch/object"
    done) | LC_ALL=C sort -u
}

# The C files below $1 of which the lines of standard input know nothing.
unknown_files() {
    awk '{ print $1 }' | LC_ALL=C sort -u >"$scratch/known"
    source_files "$1" | grep -E "^(${rooms// /|})/.*\.c$" | LC_ALL=C comm -23 - "$scratch/known" |
        sed 's/$/: no object of it is up to date; run make first/'
}

# A line for each circle, then one for each of its calls. Where several files define a symbol, as
# two programs may, it is that of the file nearest in the tree.
circles() {
    awk '
        # How many folders two files have in common.
        function nearness(a, b,    i, n, x, y) {
            n = split(a, x, "/")
            split(b, y, "/")
            for (i = 1; i < n && x[i] == y[i]; i++)
                ;
            return i
        }
        function definer(file, symbol,    all, best, i, n) {
            n = split(definers[symbol], all, " ")
            for (i = 1; i <= n; i++) {
                if (all[i] == file)
                    return file
                if (!best || nearness(file, all[i]) > nearness(file, best))
                    best = all[i]
            }
            return best
        }
        # Marks what START reaches in at least one step.
        function walk(start,    at, queue, head, tail, i, n, next_ones) {
            queue[tail++] = start
            while (head < tail) {
                at = queue[head++]
                n = split(calls[at], next_ones, " ")
                for (i = 1; i <= n; i++) {
                    if (!((start, next_ones[i]) in reaches)) {
                        reaches[start, next_ones[i]] = 1
                        queue[tail++] = next_ones[i]
                    }
                }
            }
        }
        $2 == "is" { files[n_files++] = $1 }
        $2 == "defines" { definers[$3] = definers[$3] " " $1 }
        $2 == "needs" { needs[n_needs++] = $1 " " $3 }
        END {
            for (i = 0; i < n_needs; i++) {
                split(needs[i], need, " ")
                to = definer(need[1], need[2])
                if (!to || to == need[1])
                    continue
                if (!((need[1], to) in through))
                    calls[need[1]] = calls[need[1]] " " to
                through[need[1], to] = through[need[1], to] " " need[2]
            }
            for (i = 0; i < n_files; i++)
                walk(files[i])
            for (i = 0; i < n_files; i++) {
                a = files[i]
                if (a in told || !((a, a) in reaches))
                    continue
                n = 0
                line = "a circle of"
                for (k = i; k < n_files; k++) {
                    if (((a, files[k]) in reaches) && ((files[k], a) in reaches)) {
                        circle[n++] = files[k]
                        told[files[k]] = 1
                        line = line " " files[k]
                    }
                }
                print line
                for (k = 0; k < n; k++)
                    for (m = 0; m < n; m++)
                        if ((circle[k], circle[m]) in through)
                            print "    " circle[k] " -> " circle[m] ":" through[circle[k], circle[m]]
            }
        }'
}

# --- it can fail: planted files, compiled and looked at

compiler=${CC:-cc}
$compiler --version >/dev/null 2>&1 || skip_all "the compiler $compiler does not run"

# plant FILE FLAGS OBJECT: standard input is the source.
plant() {
    mkdir -p "$scratch/tree/${1%/*}" "$scratch/tree/${3%/*}"
    cat >"$scratch/tree/$1"
    # shellcheck disable=SC2086 # several flags, several words of the compiler
    (cd "$scratch/tree/${1%/*}" && $compiler -w $2 -c "${1##*/}" -o "$scratch/tree/$3")
}

found_in_plants() {
    symbols "$scratch/tree" "$scratch/tree" >"$scratch/symbols"
    circles <"$scratch/symbols" >"$scratch/found"
    rm -rf "$scratch/tree"
}

# A pair of files that call each other, their objects as the build makes them.
while read -r name flags first second; do
    plant daemon/core/first.c "$flags" "$first" <<<'int second(void); int first(void) { return second(); }'
    plant daemon/core/second.c "$flags" "$second" <<<'int first(void); int second(void) { return first(); }'
    found_in_plants
    catches "a pair that call each other, as $name" "$scratch/found"
    for word in daemon/core/first.c daemon/core/second.c ': first' ': second'; do
        grep -F "$word" "$scratch/found" >"$scratch/said"
        catches "  and names $word" "$scratch/said"
    done
done <<'END'
objects -O0 daemon/core/first.o daemon/core/second.o
libtool's -fPIC daemon/core/.libs/first.o daemon/core/.libs/libcore_la-second.o
a_program's -fPIE daemon/core/shmd-first.o daemon/core/shmd-second.o
END

plant client/a.c -O0 client/a.o <<<'int b(void); int a(void) { return b(); }'
plant client/b.c -O0 client/b.o <<<'int c(void); int b(void) { return c(); }'
plant daemon/c.c -O0 daemon/c.o <<<'int a(void); int c(void) { return a(); }'
found_in_plants
catches 'a circle of three across rooms' "$scratch/found"

plant client/table.c -O0 client/table.o <<<'int run(void); int (*const table[])(void) = {run};'
plant client/run.c -O0 client/run.o <<<'extern int (*const table[])(void); int run(void) { return table[0](); }'
found_in_plants
catches 'a table of functions, one of which reads the table' "$scratch/found"

plant client/a.c -O0 client/a.o <<<'int b(void); int a(void) { return b(); }'
plant client/b.c -O0 client/b.o <<<'static int own(void) { return 1; } int b(void) { return own(); }'
found_in_plants
verdict 'accepts calls that go down' "$scratch/found"

# Both programs have a find(); the client's calls its own.
plant client/a.c -O0 client/a.o <<<'int find(void); int a(void) { return find(); }'
plant client/b.c -O0 client/b.o <<<'int find(void) { return 1; }'
plant daemon/b.c -O0 daemon/b.o <<<'int a(void); int find(void) { return a(); }'
found_in_plants
verdict 'accepts a name that two programs have' "$scratch/found"

plant client/a.c -O0 client/a.o <<<'int b(void); int a(void) { return b(); }'
plant client/b.c -O0 client/b.o <<<'int a(void); int b(void) { return a(); }'
touch -d '2001-01-01' "$scratch/tree/client/b.o"
symbols "$scratch/tree" "$scratch/tree" | unknown_files "$scratch/tree" >"$scratch/found"
catches 'an object that is older than its source' "$scratch/found"
rm "$scratch/tree/client/b.c"
found_in_plants
verdict 'accepts an object whose source is gone' "$scratch/found"

# --- the tree

symbols "$top" "$build" >"$scratch/symbols"
unknown_files "$top" <"$scratch/symbols" >"$scratch/found"
verdict 'every file has an object' "$scratch/found"
circles <"$scratch/symbols" >"$scratch/found"
verdict 'no circle of calls between files' "$scratch/found"
finish
