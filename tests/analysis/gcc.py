# SPDX-License-Identifier: MIT
"""gcc's analyzer, on every path through every function. It knows the cleanup attribute."""

from analysis import Analysis


def command(file, flags):
    return ["gcc", *flags, "-fanalyzer", "-fdiagnostics-plain-output", "-c", file, "-o", "/dev/null"]


PLANTED = (
    (
        "analyzer-double-free",
        "#include <stdlib.h>\n"
        "void planted(char *text);\n"
        "void planted(char *text)\n"
        "{\n"
        "    free(text);\n"
        "    free(text);\n"
        "}\n",
    ),
    (
        "analyzer-use-after-free",
        "#include <stdlib.h>\n"
        "int planted(int *p);\n"
        "int planted(int *p)\n"
        "{\n"
        "    free(p);\n"
        "    return *p;\n"
        "}\n",
    ),
    (
        "analyzer-malloc-leak",
        "#include <stdlib.h>\n"
        "int planted(int x);\n"
        "int planted(int x)\n"
        "{\n"
        "    char *text = malloc(4);\n"
        "    if (!text || x)\n"
        "        return -1;\n"
        "    free(text);\n"
        "    return 0;\n"
        "}\n",
    ),
    (
        "analyzer-file-leak",
        "#include <stdio.h>\n"
        "int planted(const char *path);\n"
        "int planted(const char *path)\n"
        "{\n"
        '    FILE *file = fopen(path, "re");\n'
        "    if (!file)\n"
        "        return -1;\n"
        "    if (fgetc(file) == 'x')\n"
        "        return -1;\n"
        "    return fclose(file);\n"
        "}\n",
    ),
)

if __name__ == "__main__":
    Analysis("gcc", "gcc", command, PLANTED).main()
