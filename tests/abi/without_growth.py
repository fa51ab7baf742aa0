#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes out of an interface what structures may have grown by since an earlier one.

    without_growth.py HEADER BEFORE NOW >NOW-WITHOUT

The structures are those of which HEADER says that newer libraries may add members at the end. Of each, NOW keeps as
many members as BEFORE has, and gets the size that it has there; whatever else differs is left for abidiff. A
suppression of abidiff's own hides every change of such a structure, and of all that can only be reached through it.
"""

import re
import sys
import xml.etree.ElementTree as xml

PROMISE = re.compile(r"Newer\s+(?:\*\s+)?libraries\s+(?:\*\s+)?may\s+(?:\*\s+)?add\s+(?:\*\s+)?members\s+(?:\*\s+)?at"
                     r"\s+(?:\*\s+)?the\s+(?:\*\s+)?end\.\s*\*/\s*struct (\w+) \{")


def structures(corpus, name):
    return [found for found in corpus.iter("class-decl") if found.get("name") == name and found.find("data-member")
            is not None]


def main():
    header, before_path, now_path = sys.argv[1:]
    with open(header, encoding="utf-8") as file:
        growing = PROMISE.findall(file.read())
    if not growing:
        sys.exit(f"{header} promises of no structure that it may grow")
    before, now = xml.parse(before_path), xml.parse(now_path)
    for name in growing:
        earlier = structures(before, name)
        for structure in structures(now, name) if earlier else []:
            members = structure.findall("data-member")
            had = len(earlier[0].findall("data-member"))
            if len(members) > had:
                for member in members[had:]:
                    structure.remove(member)
                structure.set("size-in-bits", earlier[0].get("size-in-bits"))
    now.write(sys.stdout.buffer)


main()
