/* SPDX-License-Identifier: MIT */
/* replay [--quiet] SCRIPT...: what the simulation kept, or a person wrote, step by step. With
 * --quiet it is a test: a line for each script, as TAP. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/run.h"

int main(int argc, char **argv)
{
    const bool is_quiet = argc > 1 && strcmp(argv[1], "--quiet") == 0;
    int status = 0;
    if (is_quiet)
        printf("1..%d\n", argc - 2);
    for (int i = is_quiet ? 2 : 1; i < argc; i++) {
        struct script script;
        char reason[REASON_BYTES];
        if (!script_read(&script, argv[i]))
            return 2;
        const bool is_good = run_script(&script, !is_quiet, reason);
        if (is_quiet)
            printf("%s %d - %s\n", is_good ? "ok" : "not ok", i - 1, argv[i]);
        if (!is_good)
            printf("# %s: %s\n", argv[i], reason);
        script_free(&script);
        status |= !is_good;
    }
    return status;
}
