# SPDX-License-Identifier: MIT
"""clang-tidy with the checks of .clang-tidy. A file at a time: given several in one run, version 14
takes every va_list for one that was not started."""

import os

from analysis import TOP, Analysis


def command(file, flags):
    config = os.path.join(TOP, ".clang-tidy")
    return ["clang-tidy", "--quiet", f"--config-file={config}", file, "--", *flags]


PLANTED = (
    (
        "clang-analyzer-core.NullDereference",
        "int planted(int *p);\n"
        "int planted(int *p)\n"
        "{\n"
        "    if (!p)\n"
        "        return *p;\n"
        "    return 0;\n"
        "}\n",
    ),
    (
        "clang-analyzer-unix.Malloc",
        "#include <stdlib.h>\n"
        "int planted(int *p);\n"
        "int planted(int *p)\n"
        "{\n"
        "    free(p);\n"
        "    return *p;\n"
        "}\n",
    ),
    (
        "bugprone-sizeof-expression",
        "#include <string.h>\n"
        "void planted(char *p);\n"
        "void planted(char *p)\n"
        "{\n"
        "    memset(p, 0, sizeof(sizeof(p)));\n"
        "}\n",
    ),
    (
        "cert-env33-c",
        "#include <stdlib.h>\n"
        "int planted(const char *text);\n"
        "int planted(const char *text)\n"
        "{\n"
        "    return system(text);\n"
        "}\n",
    ),
    (
        "misc-redundant-expression",
        "int planted(int x, int y);\n"
        "int planted(int x, int y)\n"
        "{\n"
        "    return x > y && x > y;\n"
        "}\n",
    ),
    (
        "readability-misleading-indentation",
        "int planted(int x);\n"
        "int planted(int x)\n"
        "{\n"
        "    if (x)\n"
        "        x++;\n"
        "        x++;\n"
        "    return x;\n"
        "}\n",
    ),
)

if __name__ == "__main__":
    Analysis("clang-tidy", "clang-tidy", command, PLANTED).main()
