/* SPDX-License-Identifier: MIT */
#include "tests/simulation/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/log.h"
#include "tests/simulation/actors.h"

enum { SCRIPT_SECONDS = 20 };

static void add_counts(struct counts *sum, const struct counts *c)
{
    sum->requests += c->requests;
    sum->turns += c->turns;
    sum->kills += c->kills;
    sum->stops += c->stops;
    sum->reboots += c->reboots;
    sum->faults += c->faults;
    sum->steps += c->steps;
    sum->events += c->events;
}

bool run_seed(uint64_t seed, unsigned steps, struct script *script, FILE *log,
              struct counts *counts, char reason[REASON_BYTES])
{
    static struct actors actors;
    struct world *w = world_new();
    actors_init(&actors, w, seed);
    for (unsigned i = 0; i < steps && !w->has_failed; i++) {
        const char *step = actors_next(&actors);
        if (script)
            script_add(script, step);
        if (log) { /* it may be the last */
            fprintf(log, "%s\n", step);
            fflush(log);
        }
        world_do(w, step);
    }
    if (!w->has_failed)
        world_end(w);
    const bool is_good = !w->has_failed;
    memcpy(reason, w->failure, REASON_BYTES);
    add_counts(counts, &w->counts);
    world_free(w);
    return is_good;
}

static void play(const struct script *script, bool is_loud, char *reason)
{
    struct world *w = world_new();
    w->is_loud = is_loud;
    for (size_t i = 0; i < script->n && !w->has_failed; i++)
        world_do(w, script->steps[i]);
    if (!w->has_failed)
        world_end(w);
    memcpy(reason, w->failure, REASON_BYTES);
    reason[REASON_BYTES - 1] = w->has_failed;
    world_free(w);
}

bool run_script(const struct script *script, bool is_loud, char reason[REASON_BYTES])
{
    char *shared =
        mmap(NULL, REASON_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    if (shared == MAP_FAILED)
        abort();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        alarm(SCRIPT_SECONDS);
        if (!is_loud)
            (void)!freopen("/dev/null", "w", stderr);
        play(script, is_loud, shared);
        fflush(NULL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !shared[REASON_BYTES - 1];
    memcpy(reason, shared, REASON_BYTES);
    reason[REASON_BYTES - 1] = '\0';
    if (WIFSIGNALED(status))
        snprintf(reason, REASON_BYTES, "the daemon crashed or hung: %s",
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(reason, REASON_BYTES, "the process ended with status %d", WEXITSTATUS(status));
    munmap(shared, REASON_BYTES);
    return is_good;
}
