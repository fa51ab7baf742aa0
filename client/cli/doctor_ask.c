/* SPDX-License-Identifier: MIT */
/*
 * The facts that are had by asking the daemon and the kernel. A test has no seam here: it runs
 * doctor itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/doctor_config.h"
#include "client/cli/doctor_facts.h"
#include "client/cli/plain_text.h"
#include "client/start.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 /* Linux 6.9 */
#endif

/* --- what the kernel can do */

static enum feature_state feature(bool there)
{
    return there ? FEATURE_THERE : FEATURE_MISSING;
}

static void ask_pidfd(struct doctor_facts *f)
{
    struct statfs fs;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    f->pidfd = feature(pidfd >= 0);
    f->pidfs =
        feature(pidfd >= 0 && fstatfs(pidfd, &fs) == 0 && (uint64_t)fs.f_type == PID_FS_MAGIC);
    if (pidfd >= 0)
        close(pidfd);
}

static void ask_peerpidfd(struct doctor_facts *f)
{
    int pair[2], pidfd = -1;
    socklen_t len = sizeof(pidfd);
    f->peerpidfd = FEATURE_UNKNOWN;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    f->peerpidfd =
        feature(getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0 && pidfd >= 0);
    if (pidfd >= 0)
        close(pidfd);
    close(pair[0]);
    close(pair[1]);
}

/* Without any segment the command fails for want of one, known or not: then the version tells. */
static enum feature_state ask_stat_any(int read_result, const struct doctor_facts *f)
{
    struct utsname name;
    int major, minor;
    if (read_result == -EOPNOTSUPP || f->segments.count > 0)
        return feature(read_result == 0);
    if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
        return FEATURE_UNKNOWN;
    return feature(major > 4 || (major == 4 && minor >= 17));
}

static int ask_kernel(struct doctor_facts *f)
{
    struct rlimit memlock = {RLIM_INFINITY, RLIM_INFINITY};
    (void)getrlimit(RLIMIT_MEMLOCK, &memlock);
    f->memlock = memlock.rlim_cur == RLIM_INFINITY ? UINT64_MAX : memlock.rlim_cur;
    f->ipc_namespace = own_ipc_namespace();
    struct sysinfo memory;
    if (sysinfo(&memory) == 0)
        f->memory = (uint64_t)memory.totalram * memory.mem_unit;
    ask_pidfd(f);
    ask_peerpidfd(f);
    int r = kernel_limits_read(&f->limits);
    if (r < 0)
        return r;
    r = kernel_segments_read(&f->segments);
    f->stat_any = ask_stat_any(r, f);
    return r == -EOPNOTSUPP ? 0 : r;
}

/* --- the socket and who is behind it */

/* A path that was named may be the one that a unit has. */
static enum daemon_kind kind_of(const char *path)
{
    char its[sizeof(((struct daemon_seen *)NULL)->path)];
    if (shmd_instance_path(SHMD_INSTANCE_SYSTEM, its, sizeof(its)) == 0 && strcmp(path, its) == 0)
        return DAEMON_SYSTEMS;
    if (shmd_instance_path(SHMD_INSTANCE_USER, its, sizeof(its)) == 0 && strcmp(path, its) == 0)
        return DAEMON_USERS;
    return DAEMON_NAMED;
}

static void look_at_socket(struct doctor_facts *f)
{
    struct stat st;
    char copy[sizeof(((struct daemon_seen *)NULL)->path)];
    f->socket.kind = kind_of(f->socket.path);
    start_program(f->socket.program, sizeof(f->socket.program));
    start_text(f->socket.path, f->socket.start, sizeof(f->socket.start));
    if (stat(f->socket.path, &st) < 0) {
        f->socket.error = -errno;
        return;
    }
    f->socket.is_socket = S_ISSOCK(st.st_mode);
    f->socket.mode = st.st_mode & 0777;
    f->socket.uid = st.st_uid;
    snprintf(copy, sizeof(copy), "%s", f->socket.path);
    if (stat(dirname(copy), &st) == 0)
        f->socket.directory_is_open = (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX);
}

/* What gc lists when no options are given, because that is what is proposed. */
static void count_classes(const struct orphan_knowledge *k, struct doctor_facts *f)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    uint32_t uid = geteuid();
    f->is_root = uid == 0;
    for (size_t i = 0; i < f->segments.count; i++) {
        const struct kernel_segment *s = &f->segments.rows[i];
        enum gc_class class = orphan_judge(s, process_look(s->cpid), k);
        if (class >= GC_CLASSES_LISTED || now_ms - orphan_idle_since(s) * 1000 < GC_OLDER_THAN_MS)
            continue;
        struct gc_facts *c = &f->classes[class];
        if (c->segments < GC_IDS_MAX)
            c->ids[c->segments] = s->shmid;
        c->segments++;
        c->bytes += s->size;
        c->removable += uid == 0 || uid == s->uid || uid == s->cuid;
    }
}

/* --- the commands that are proposed: they must ask the daemon that doctor asked */

static void name_daemon(const struct cli *cli, struct doctor_facts *f)
{
    const struct daemon_choice *choice = &cli->daemon;
    char path[DAEMON_OPTIONS_SIZE - sizeof("--socket  ")];
    shell_word(choice->path, path, sizeof(path));
    if (cli_given(cli, OPT(USER)))
        strcpy(f->options, "--user ");
    else if (cli_given(cli, OPT(SYSTEM)))
        strcpy(f->options, "--system ");
    else if (choice->kind == DAEMON_NAMED && *choice->path)
        snprintf(f->options, sizeof(f->options), "--socket %s ", path);
    /* By default root's shmdctl asks the system's daemon. */
    if (choice->kind != DAEMON_SYSTEMS && *choice->path)
        snprintf(f->options_of_root, sizeof(f->options_of_root), "--socket %s ", path);
}

/* --- the daemon's pid namespace, and the caller's quotas */

/* UNKNOWN: what /proc says of its pid is still to be looked at. */
static enum namespace_state ask_pid_namespace(const struct cli *cli, int32_t pid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(shmd_fd(cli->shmd), SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == 0)
        return NAMESPACE_DIFFERS;
    return kill(pid, 0) < 0 && errno == ESRCH ? NAMESPACE_DIFFERS : NAMESPACE_UNKNOWN;
}

static void take_quotas(const struct shmd_info *info, struct doctor_facts *f)
{
    for (size_t i = 0; i < info->n_limits && f->daemon.n_quotas < QUOTAS_MAX; i++) {
        const struct shmd_limit *limit = &info->limits[i];
        if (limit->is_counted && limit->max != UINT64_MAX && limit->max > 0)
            f->daemon.quotas[f->daemon.n_quotas++] =
                (struct quota_use){limit->name, limit->used, limit->max};
    }
}

/* --- declared segments */

static void note_drift(const struct shmd_segment *s, struct doctor_facts *f)
{
    char text[sizeof(f->drift.first)], name[64];
    size_t used = strlen(f->drift.first);
    snprintf(text, sizeof(text), "key 0x%08" PRIx32, s->key);
    plain_text(s->name ? s->name : text, name, sizeof(name));
    size_t len = (size_t)snprintf(text, sizeof(text), "%s%s (", used > 0 ? ", " : "", name);
    for (size_t i = 0; i < s->n_drift && len < sizeof(text); i++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? "," : "", s->drift[i]);
    /* Whole, or not at all. */
    if (used + len + 1 < sizeof(f->drift.first))
        snprintf(f->drift.first + used, sizeof(f->drift.first) - used, "%s)", text);
    f->drift.drifting++;
}

static int look_at_declared(const struct shmd_segment *s, void *data)
{
    struct doctor_facts *f = data;
    f->drift.segments += s->declared;
    if (s->declared && declared_list_add(&f->drift.all, s->name, s->key) < 0)
        return -ENOMEM;
    if (s->declared && s->n_drift > 0)
        note_drift(s, f);
    return 0;
}

static void ask_declared(struct cli *cli, struct doctor_facts *f)
{
    const struct shmd_list_options all = {.scope = SHMD_SCOPE_ALL};
    f->drift.is_known = shmd_list(cli_ask(cli), &all, look_at_declared, f) == 0;
}

int doctor_facts_ask(struct cli *cli, struct daemon_seen *seen, struct doctor_facts *ret)
{
    struct doctor_facts f = {.is_root = false};
    struct orphan_knowledge knowledge;
    /* The kernel before the daemon: what the daemon does not call foreign then is its own. */
    int r = ask_kernel(&f);
    if (r == 0) {
        daemon_ask(cli, seen);
        r = daemon_knowledge(cli, seen, &knowledge);
    }
    if (r < 0) {
        doctor_facts_deinit(&f);
        return r;
    }
    count_classes(&knowledge, &f);
    name_daemon(cli, &f);
    orphan_knowledge_deinit(&knowledge);
    f.socket.path = seen->path;
    look_at_socket(&f);
    doctor_config_guess(&f);
    f.daemon.state = seen->state;
    f.daemon.error = seen->error;
    f.daemon.state_text = daemon_state_text(seen);
    if (seen->info) {
        f.daemon.is_known = true;
        f.daemon.pid = seen->info->pid;
        f.daemon.uid = seen->info->uid;
        f.is_shown_all = f.is_root || f.daemon.uid == geteuid();
        f.daemon.ipc_namespace = seen->info->ipc_namespace;
        f.daemon.pid_namespace = ask_pid_namespace(cli, seen->info->pid);
        f.daemon.store_failure = seen->info->store_failure;
        take_quotas(seen->info, &f);
        ask_declared(cli, &f);
    }
    *ret = f;
    return 0;
}
