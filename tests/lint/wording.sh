#!/bin/bash
# SPDX-License-Identifier: MIT
# What no text of the tree may hold: work put off, paths of somebody's machine, references that only
# a tracker can resolve, and the blemishes that .editorconfig rules out. And what readers would have to
# decode in manuals, documents and messages.
. "$(dirname "$0")/lib.sh"

text_files() {
    source_files "$1" | grep -vE '^(LICENSE|configure|aclocal\.m4|config\.h\.in|Makefile\.in)$' |
        grep -vE '^(build-aux|m4|tests/fuzz/corpus)/|\.(png|svg|db|bin)$|^tests/lint/wording\.sh$'
}

# complain ROOT FILES PATTERN WHAT: where a file of ROOT whose name matches FILES has PATTERN.
complain() {
    text_files "$1" | grep -E "$2" | (cd "$1" && xargs -r -d '\n' grep -nHP -- "$3" 2>/dev/null) |
        cut -c1-160 | sed "s/^/$4: /"
    return 0
}

# What users read besides messages.
for_readers='^(README|NEWS|SECURITY|HACKING)\.md$|^(docs|examples|protocol|contrib|client)/.*\.(md|[1358](\.in)?)$'
for_readers+='|^daemon/.*\.[58]\.in$|^client/shmd\.h(pp)?$|^examples/.*\.sh$'
riddles='\b(is|are|was|were|be|been|not) told\b|\b[Ww]ho(m|)ever\b|\b[Oo]f whom\b|\b[Oo]therwise than\b|\bcome what may\b'
riddles+='|\b[Ww]hat is told\b|\bshall\b'

blemishes() {
    complain "$1" "$for_readers" "$riddles" 'to be decoded'
    # In a string, with which such a line begins or after which it has only code.
    complain "$1" '^(daemon|protocol|client)/.*\.[ch]$' "^(?! *(/\*|\*))[^\"]*\"[^\"]*($riddles)" 'to be decoded'
    complain "$1" . '\b(TODO|FIXME|XXX|HACK)\b' 'put off'
    complain "$1" . '(?<![\w.$}])/(work|home|Users)/\w' 'a path of one machine'
    complain "$1" . '(?i)\b(issue|ticket|bug|pr) ?#\d+|\((fixes|closes) #\d+\)' 'a reference to a tracker'
    complain "$1" . '(?i)\b(this|the) (brief|ticket|sprint|assignment|prompt)\b' 'not about the project'
    complain "$1" . '(?i)\b(coming soon|not yet implemented|lorem ipsum)\b' 'put off'
    complain "$1" . '[ \t]+$' 'white space at the end'
    complain "$1" . '\r' 'a carriage return'
    complain "$1" '\.(c|h|py|sh|md|json|yml)$|^quickstart$' '\t' 'a tab'
    # C is clang-format's business.
    complain "$1" '\.(py|sh)$|^quickstart$|^\.ci/run$' '^.{121}' 'longer than 120'
    text_files "$1" | while IFS= read -r file; do
        [ -s "$1/$file" ] || continue
        [ -z "$(tail -c 1 "$1/$file")" ] || echo "no newline at the end: $file"
        iconv -f UTF-8 -t UTF-8 "$1/$file" >/dev/null 2>&1 || echo "not UTF-8: $file"
    done
    return 0
}

mkdir "$scratch/tree"
while IFS='|' read -r what text; do
    printf '%b' "$text" >"$scratch/tree/x.c"
    blemishes "$scratch/tree" >"$scratch/found"
    catches "$what" "$scratch/found"
done <<'END'
put-off work|/* TODO: later */\n
a path of one machine|/* see /home/ann/notes */\n
a reference to a tracker|/* see issue #12 */\n
white space at the end|int x; \n
a carriage return|int x;\r\n
a tab|\tint x;\n
a missing newline|int x;
bytes that are not UTF-8|/* \0377 */\n
END
rm "$scratch/tree/x.c"
mkdir "$scratch/tree/docs" "$scratch/tree/daemon"
printf 'The peer is told.\n' >"$scratch/tree/docs/x.md"
blemishes "$scratch/tree" >"$scratch/found"
catches 'a sentence of a document that must be decoded' "$scratch/found"
rm "$scratch/tree/docs/x.md"
printf '/* The peer is told. */\nchar *x = "whoever comes";\n' >"$scratch/tree/daemon/x.c"
blemishes "$scratch/tree" >"$scratch/found"
catches 'a message that must be decoded' "$scratch/found"
printf '/* The peer is told "so". */\nchar *x = "a client";\n' >"$scratch/tree/daemon/x.c"
blemishes "$scratch/tree" >"$scratch/found"
verdict 'accepts a comment of the source' "$scratch/found"
rm "$scratch/tree/daemon/x.c"
printf '%0121d\n' 0 >"$scratch/tree/x.py"
blemishes "$scratch/tree" >"$scratch/found"
catches 'a long line' "$scratch/found"
rm "$scratch/tree/x.py"
# shellcheck disable=SC2016 # the dollar is the text
printf '/* A comment on /run/shmd and $B/home/x. */\n' >"$scratch/tree/x.c"
blemishes "$scratch/tree" >"$scratch/found"
verdict 'accepts an ordinary comment' "$scratch/found"

blemishes "$top" >"$scratch/found"
verdict 'the texts of the tree' "$scratch/found"
finish
