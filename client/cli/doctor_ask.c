/*
 * The facts that are had by asking the daemon and the kernel. A test has no seam here: it runs
 * doctor itself.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "client/cli/doctor_facts.h"

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

static void look_at_socket(struct doctor_facts *f)
{
    struct stat st;
    char copy[sizeof(((struct daemon_seen *)NULL)->path)];
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

static void count_orphans(const struct orphan_knowledge *k, struct doctor_facts *f)
{
    for (size_t i = 0; i < f->segments.count; i++) {
        const struct kernel_segment *s = &f->segments.rows[i];
        enum orphan_verdict verdict = orphan_judge(s, process_look(s->cpid), k);
        if (verdict == ORPHAN) {
            f->orphans++;
            f->orphaned_bytes += s->size;
        } else if (verdict == KEPT_LOST) {
            f->lost++;
            f->lost_bytes += s->size;
        }
    }
}

int doctor_facts_ask(struct cli *cli, struct daemon_seen *seen, struct doctor_facts *ret)
{
    struct doctor_facts f = {.config_dir = SHMD_CONFIG_DIR};
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
    count_orphans(&knowledge, &f);
    orphan_knowledge_deinit(&knowledge);
    f.socket.path = seen->path;
    look_at_socket(&f);
    f.daemon.state = seen->state;
    f.daemon.error = seen->error;
    f.daemon.state_text = daemon_state_text(seen);
    if (seen->info) {
        f.daemon.is_known = true;
        f.daemon.pid = seen->info->pid;
        f.daemon.uid = seen->info->uid;
        f.daemon.ipc_namespace = seen->info->ipc_namespace;
    }
    *ret = f;
    return 0;
}
