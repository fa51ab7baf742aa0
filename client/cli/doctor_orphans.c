/* SPDX-License-Identifier: MIT */
/*
 * Nothing is proposed here that could remove what somebody needs: of all classes that gc knows only
 * the leaked segments have a command that removes them.
 */
#include "client/cli/doctor_orphans.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/doctor_say.h"

static bool is_checked(const struct doctor_facts *m, struct finding *f)
{
    if (m->stat_any == FEATURE_MISSING)
        found(f, SEVERITY_INFO, "not checked: this kernel does not show segments to everybody");
    return m->stat_any != FEATURE_MISSING;
}

/* "2 segments, 3M in all: " and what they are. */
static void found_class(struct finding *f, enum severity severity, const struct gc_facts *c,
                        const char *what)
{
    found(f, severity, "%" PRIu64 " segment%s, %s in all: %s", c->segments,
          c->segments > 1 ? "s" : "", SIZE(c->bytes), what);
}

void check_orphans(const struct doctor_facts *m, struct finding *f)
{
    const struct gc_facts *c = &m->classes[GC_LEAKED];
    if (!is_checked(m, f))
        return;
    if (c->segments == 0) {
        found(f, SEVERITY_OK, "no leaked segments");
        return;
    }
    found_class(f, SEVERITY_WARNING, c,
                "leaked: creator dead, nobody used it after its creator, not shmd's");
    why(f, "they take up memory and kernel.shmmni until someone removes them");
    if (c->removable == c->segments)
        mend(f, "shmdctl %sgc --remove", m->options);
    else
        mend(f, "%sshmdctl %sgc --remove", as_root(m), m->options_of_root);
}

void check_left(const struct doctor_facts *m, struct finding *f)
{
    const struct gc_facts *c = &m->classes[GC_LEFT];
    if (!is_checked(m, f))
        return;
    if (c->segments == 0) {
        found(f, SEVERITY_OK, "no segments were left by their creators for others");
        return;
    }
    found_class(f, SEVERITY_INFO, c, "the creator is dead, but others have used it");
    why(f, "it may be a cache that is meant to stay, or what a program forgot");
    mend(f, "shmdctl %sgc lists them; ask their users which of them are needed", m->options);
}

void check_undecided(const struct doctor_facts *m, struct finding *f)
{
    const struct gc_facts *c = &m->classes[GC_UNDECIDED];
    if (!is_checked(m, f))
        return;
    if (c->segments == 0) {
        found(f, SEVERITY_OK, "the creators of all segments can be seen");
        return;
    }
    found_class(f, SEVERITY_INFO, c, "nobody has it attached, and its creator cannot be seen");
    why(f, "the creator is in another pid namespace, such as a container's, and may live");
    mend(f, "shmdctl %sgc, where those processes can be seen: in that container, or outside of all",
         m->options);
}

static void ids_text(const struct gc_facts *c, char *ret, size_t size)
{
    size_t used = 0;
    *ret = '\0';
    for (size_t i = 1; i < c->segments && i < GC_IDS_MAX && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%s%d", i > 1 ? ", " : "", c->ids[i]);
    if (c->segments > GC_IDS_MAX && used < size)
        snprintf(ret + used, size - used, " and so on");
}

void check_lost(const struct doctor_facts *m, struct finding *f)
{
    const struct gc_facts *c = &m->classes[GC_LOST];
    char others[160];
    if (!is_checked(m, f))
        return;
    if (c->segments == 0) {
        found(f, SEVERITY_OK, "no lost segments");
        return;
    }
    found_class(f, SEVERITY_WARNING, c,
                "may be the daemon's: made before its records began, or disowned");
    why(f,
        "the daemon has no record of such a segment, so no name leads to it, and it may still be "
        "needed");
    ids_text(c, others, sizeof(others));
    mend(f, "shmdctl %sadopt --shmid %d (by its owner or root) lets the daemon manage it again%s%s",
         m->options, c->ids[0], *others ? "; the others are " : "", others);
}

void check_pid_namespace(const struct doctor_facts *m, struct finding *f)
{
    if (!m->daemon.is_known) {
        not_checked(f);
        return;
    }
    switch (m->daemon.pid_namespace) {
    case NAMESPACE_SAME:
        found(f, SEVERITY_OK, "the daemon and this process share a pid namespace");
        return;
    case NAMESPACE_UNKNOWN:
        found(f, SEVERITY_INFO, "we cannot tell whether the daemon is in this pid namespace");
        return;
    case NAMESPACE_DIFFERS: break;
    }
    found(f, SEVERITY_INFO, "the daemon is in another pid namespace than this process");
    why(f, "it sees other pids than this process, and cannot tell whether the creators of some "
           "segments live: gc lists those as undecided");
    mend(f, "share one (podman run --pid=host, hostPID or shareProcessNamespace in Kubernetes)");
}
