# SPDX-License-Identifier: MIT
"""cppcheck, with every branch of the preprocessor that the build's definitions leave open."""

import re
import subprocess

from analysis import Analysis


def _path_of(header):
    """The file that the compiler reads for <HEADER>."""
    rule = subprocess.run(
        ["gcc", "-M", "-x", "c", "-"],
        input=f"#include <{header}>\n",
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout
    return re.search(rf"\S+/{re.escape(header)}(?=\s)", rule).group()


_QUEUE_H = _path_of("sys/queue.h")


def command(file, flags):
    preprocessor = [flag for flag in flags if flag.startswith(("-D", "-I"))]
    return [
        "cppcheck",
        "--quiet",
        "--enable=warning,performance,portability",
        "--error-exitcode=1",
        "--std=c11",
        "--template={file}:{line}:{column}: {severity}: {message} [{id}]",
        "--template-location=",
        # Not a finding: from version 2.11 on it tells where it did not follow every branch.
        "--suppress=normalCheckLevelMaxBranches",
        # It does not know the keyword.
        "-D_Noreturn=__attribute__((noreturn))",
        # It reads no header of the system, and the macros of this one are declarations and loops.
        f"--include={_QUEUE_H}",
        *preprocessor,
        file,
    ]


PLANTED = (
    (
        "arrayIndexOutOfBounds",
        "int planted(void);\n"
        "int planted(void)\n"
        "{\n"
        "    int numbers[4] = {0};\n"
        "    return numbers[4];\n"
        "}\n",
    ),
    (
        "nullPointerRedundantCheck",
        "int planted(int *p);\n"
        "int planted(int *p)\n"
        "{\n"
        "    int x = *p;\n"
        "    if (!p)\n"
        "        return 0;\n"
        "    return x;\n"
        "}\n",
    ),
    (
        "invalidPrintfArgType_sint",
        "#include <stdio.h>\n"
        "void planted(const char *text);\n"
        "void planted(const char *text)\n"
        "{\n"
        '    printf("%d", text);\n'
        "}\n",
    ),
)

if __name__ == "__main__":
    Analysis("cppcheck", "cppcheck", command, PLANTED).main()
