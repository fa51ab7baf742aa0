#!/bin/bash
# SPDX-License-Identifier: MIT
# The binary interface of libshmd is what tests/abi/libshmd.abi says: that of the last release, or, before
# the first one, of what is to be released. New functions may come. Anything else that differs is told, and
# is either a mistake or a decision; then `make baseline-abi` writes the file anew, in the same commit.
#
#   check.sh          compares, as TAP
#   check.sh renew    writes the file
#
# It runs in a build directory, on the library that make has built there.
. "$(dirname "$0")/../lint/lib.sh"

here=$top/tests/abi
build=${abs_top_builddir:-$PWD}
library=$(find "$build/.libs" -name 'libshmd.so.*' -type f 2>/dev/null | LC_ALL=C sort | sed -n 1p)

for tool in abidw abidiff readelf python3; do
    command -v "$tool" >/dev/null || skip_all "$tool is not installed (Debian: abigail-tools, binutils, python3)"
done
[ "$(uname -m)" = x86_64 ] || skip_all "the file is for x86_64, and this is $(uname -m)"
[ -n "$library" ] || { echo "Bail out! there is no libshmd.so in $build/.libs: run make first" && exit 99; }
readelf -S -W "$library" | grep -F .debug_info >"$scratch/sections"
[ -s "$scratch/sections" ] || skip_all 'this build has no debugging information, from which the interface is told'

interface() { # LIBRARY FILE
    abidw --suppressions "$here/suppressions" --headers-dir "$top/client" --drop-private-types \
        --exported-interfaces-only --drop-undefined-syms --no-show-locs --no-corpus-path --no-comp-dir-path \
        --no-elf-needed --no-architecture --no-write-default-sizes --out-file "$2" "$1"
}

# What differs between two interfaces; empty: nothing that matters.
differences() { # BEFORE AFTER
    python3 "$here/without_growth.py" "$top/client/shmd.h" "$1" "$2" >"$scratch/ungrown.abi" 2>"$scratch/told" ||
        { echo "without_growth.py ended with $?" && cat "$scratch/told" && return; }
    # It also sums up what it has passed over.
    abidiff --suppressions "$here/suppressions" --no-added-syms "$1" "$scratch/ungrown.abi" >"$scratch/told" 2>&1 ||
        { echo "abidiff ended with $?" && cat "$scratch/told"; }
    return 0
}

interface "$library" "$scratch/now.abi" || { echo 'Bail out! abidw has failed' && exit 99; }
if [ "${1:-}" = renew ]; then
    cp "$scratch/now.abi" "$here/libshmd.abi"
    exit
fi

# --- it can fail: faults planted in what the library has

planted() { # WHAT, and sed's command
    sed -E "$2" "$scratch/now.abi" >"$scratch/planted.abi"
    if cmp -s "$scratch/now.abi" "$scratch/planted.abi"; then
        : >"$scratch/found"
    else
        differences "$scratch/now.abi" "$scratch/planted.abi" >"$scratch/found"
    fi
    catches "$1" "$scratch/found"
}

planted 'a function that is gone' \
    "/<elf-symbol name='shmd_ready'/d; /<function-decl name='shmd_ready'/,/<.function-decl>/d"
planted 'an enumerator with another number' "s/(name='SHMD_LIFETIME_ATTACHED' value=)'4'/\\1'5'/"
planted 'a member at another place' \
    "/<class-decl name='shmd_target'/,/<.class-decl>/s/layout-offset-in-bits='64'/layout-offset-in-bits='72'/"

planted 'a member at another place of what the library gives out' \
    "/<class-decl name='shmd_segment' /,/<.class-decl>/s/layout-offset-in-bits='64'/layout-offset-in-bits='72'/"
planted 'a member that is gone from what the library gives out' \
    "/<class-decl name='shmd_attachment' /,/<.class-decl>/{/layout-offset-in-bits='32'/,/<.data-member>/d}"

# Some structures may have more at their end. Those that stand in an array may not: programs have their size.
grow() { # STRUCT
    local member="<data-member access='public' layout-offset-in-bits='1984'><var-decl name='planted'"
    member+=" type-id='type-id-6' visibility='default'/></data-member>"
    sed -E "/<class-decl name='$1' /,/<.class-decl>/{
        s/size-in-bits='[0-9]+'/size-in-bits='2048'/
        s|</class-decl>|$member</class-decl>|
    }" "$scratch/now.abi" >"$scratch/planted.abi"
    cmp -s "$scratch/now.abi" "$scratch/planted.abi" && echo "there is no $1" >"$scratch/found" && return
    differences "$scratch/now.abi" "$scratch/planted.abi" >"$scratch/found"
}
for structure in shmd_holder shmd_label shmd_limit; do
    grow "$structure"
    catches "a $structure that has grown" "$scratch/found"
done
for structure in shmd_segment shmd_page shmd_attachment shmd_info; do
    grow "$structure"
    verdict "accepts a $structure that has grown" "$scratch/found"
done

differences "$scratch/now.abi" "$scratch/now.abi" >"$scratch/found"
verdict 'accepts what is the same' "$scratch/found"
sed -E "/<elf-symbol name='shmd_ready'/d; /<function-decl name='shmd_ready'/,/<.function-decl>/d" \
    "$scratch/now.abi" >"$scratch/planted.abi"
differences "$scratch/planted.abi" "$scratch/now.abi" >"$scratch/found"
verdict 'accepts a new function' "$scratch/found"

# --- the library

differences "$here/libshmd.abi" "$scratch/now.abi" >"$scratch/found"
verdict 'the interface is as tests/abi/libshmd.abi says' "$scratch/found"
finish
