# SPDX-License-Identifier: MIT
"""Makes a compilation database of what `make -n` says: commands.py SRCDIR <output >compile_commands.json

One entry for each source file, whichever of the programs that have it comes first; a command without
its dependency tracking and its output.
"""

import json
import os
import re
import shlex
import sys

_COMPILE = re.compile(r"(\S+ -DHAVE_CONFIG_H .*?) -MT \S+ -MD .*? -c -o \S+ (?:`[^`]*`)?(\S+\.c)\b")


def entries(lines, srcdir):
    found = {}
    for line in lines:
        match = _COMPILE.search(line)
        if not match:
            continue
        source = match.group(2)
        if not os.path.exists(source):
            source = os.path.join(srcdir, source)
        source = os.path.realpath(source)
        arguments = shlex.split(match.group(1)) + ["-c", source]
        found.setdefault(source, {"directory": os.getcwd(), "file": source, "arguments": arguments})
    return [found[source] for source in sorted(found)]


if __name__ == "__main__":
    database = entries(sys.stdin, sys.argv[1])
    if not database:
        sys.exit("commands.py: make says nothing of a compiler")
    json.dump(database, sys.stdout, indent=1)
