/* SPDX-License-Identifier: MIT */
#include "client/cli/doctor_checks.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli/doctor_limits.h"
#include "client/cli/doctor_orphans.h"
#include "client/cli/doctor_say.h"
#include "client/cli/plain_text.h"

enum { SYSTEM_UID_MAX = 999 };

const char *severity_word(enum severity severity)
{
    static const char *const words[] = {"ok", "info", "warning", "error"};
    return words[severity];
}

enum severity doctor_worst(const struct findings *findings)
{
    enum severity worst = SEVERITY_OK;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->rows[i].severity > worst)
            worst = findings->rows[i].severity;
    return worst;
}

/* --- the daemon */

static const char *program(const struct doctor_facts *m)
{
    return *m->socket.program ? m->socket.program : "shmd";
}

static void mend_silent(const struct doctor_facts *m, struct finding *f)
{
    static const char *const logs[] = {
        [DAEMON_NAMED] = "on the standard error that it was started with",
        [DAEMON_USERS] = "in its log (journalctl --user -u shmd)",
        [DAEMON_SYSTEMS] = "in its log (journalctl -u shmd)",
    };
    mend(f, "%ssee what it says %s, and restart it", as_root_of_system(m), logs[m->socket.kind]);
}

static void mend_absent(const struct doctor_facts *m, struct finding *f)
{
    static const char other[] = "; or name another daemon's socket by --socket or SHMD_SOCKET";
    if (m->socket.kind == DAEMON_SYSTEMS)
        mend(f, "%ssystemctl start shmd.socket%s", as_root(m), other);
    else if (m->socket.kind == DAEMON_USERS)
        mend(f, "systemctl --user start shmd.socket, or %s%s", program(m), other);
    else if (*m->socket.start)
        mend(f, "start one there: %s%s", m->socket.start, other);
    else
        mend(f, "name a daemon's socket by --socket or SHMD_SOCKET");
}

static void check_socket(const struct doctor_facts *m, struct finding *f)
{
    const char *path = *m->socket.path ? m->socket.path : "the path in SHMD_SOCKET";
    if (m->daemon.is_known) {
        found(f, SEVERITY_OK, "%s, mode %04" PRIo32 ", of uid %" PRIu32 ": a daemon answers", path,
              m->socket.mode, m->socket.uid);
        return;
    }
    why(f, "every command that needs the daemon fails");
    if (m->socket.error == 0 && !m->socket.is_socket) {
        found(f, SEVERITY_ERROR, "%s is no socket", path);
        mend(f, "name the daemon's socket by --socket or SHMD_SOCKET");
        return;
    }
    found(f, SEVERITY_ERROR, "%s: %s", path, m->daemon.state_text);
    if (m->daemon.state == DAEMON_SILENT)
        mend_silent(m, f);
    else if (m->daemon.error == -EACCES && m->socket.error == 0)
        mend(f, "%slet more in by %s; its mode is %04" PRIo32 " and its owner uid %" PRIu32,
             as_root_of_system(m),
             m->socket.kind == DAEMON_NAMED ? "shmd --socket-mode, when it is started"
                                            : "SocketMode= of shmd.socket",
             m->socket.mode, m->socket.uid);
    else if (m->daemon.error == -EACCES)
        mend(f, "let others search its directories (chmod o+x), or name another socket");
    else
        mend_absent(m, f);
}

static void check_socket_directory(const struct doctor_facts *m, struct finding *f)
{
    if (m->socket.error < 0) {
        found(f, SEVERITY_INFO, "not checked: there is no socket");
        return;
    }
    if (!m->socket.directory_is_open) {
        found(f, SEVERITY_OK, "only its owner can replace the socket");
        return;
    }
    found(f, SEVERITY_ERROR, "the directory of %s is writable to everybody", m->socket.path);
    why(f, "anybody can put another socket in its place and play the daemon");
    mend(f, "%schmod o-w the directory, or give the socket one of its own", as_root_of_system(m));
}

static void check_namespace(const struct doctor_facts *m, struct finding *f)
{
    if (!m->daemon.is_known) {
        not_checked(f);
    } else if (m->daemon.ipc_namespace == m->ipc_namespace) {
        found(f, SEVERITY_OK, "the daemon and this process share IPC namespace %" PRIu64,
              m->ipc_namespace);
    } else {
        found(f, SEVERITY_ERROR,
              "the daemon is in IPC namespace %" PRIu64 ", this process in %" PRIu64,
              m->daemon.ipc_namespace, m->ipc_namespace);
        why(f, "the daemon's segment ids mean nothing here, or another segment");
        mend(f, "run both in one container, or share the namespace (podman run --ipc=host, "
                "PrivateIPC=no)");
    }
}

static void check_group(const struct doctor_facts *m, struct finding *f)
{
    if (!m->group.is_known) {
        found(f, SEVERITY_INFO, "not checked: no daemon answers, and there is no user shmd");
        return;
    }
    if (m->group.n_strangers == 0) {
        found(f, SEVERITY_OK, "nobody else is a member of the daemon's group %s", m->group.name);
        return;
    }
    bool is_service = m->group.uid > 0 && m->group.uid <= SYSTEM_UID_MAX;
    found(f, is_service ? SEVERITY_ERROR : SEVERITY_WARNING,
          "the daemon's group %s has other members: %s", m->group.name, m->group.strangers);
    why(f, "the kernel lets the group of a segment's creator, which is the daemon, in by the "
           "segment's group bits: they can read what other groups share");
    mend(f, "%sgive the daemon a group of its own, or take them out of it (gpasswd -d USER %s)",
         as_root(m), m->group.name);
}

/* --- what removes segments */

static void name_users(const struct doctor_facts *m, char *ret, size_t size, size_t *ret_n)
{
    size_t used = 0;
    *ret = '\0';
    *ret_n = 0;
    for (size_t i = 0; i < m->logind.n_users; i++) {
        const struct user_use *u = &m->logind.users[i];
        if (u->lingers)
            continue;
        int n = snprintf(ret + used, size - used, "%s%s (%" PRIu64 ", %s)", used ? ", " : "",
                         u->name, u->segments, SIZE(u->bytes));
        ++*ret_n;
        used += (size_t)n;
        if (used >= size) {
            memcpy(ret + size - 4, "...", 4);
            used = size - 1;
        }
    }
    if (m->logind.more)
        snprintf(ret + used, size - used, "%s", ", ...");
}

static void check_logind(const struct doctor_facts *m, struct finding *f)
{
    const struct logind_conf *conf = &m->logind.conf;
    const char *source = *conf->source ? conf->source : "the default";
    char users[256];
    size_t n;
    if (!m->logind.runs) {
        found(f, SEVERITY_OK, "systemd-logind does not run here");
        return;
    }
    if (!conf->remove_ipc) {
        found(f, SEVERITY_OK, "RemoveIPC=no (%s)", source);
        return;
    }
    name_users(m, users, sizeof(users), &n);
    if (n == 0 && !m->logind.more)
        found(f, SEVERITY_INFO,
              "RemoveIPC=yes (%s), but at present no regular user without linger owns a segment",
              source);
    else
        found(f, SEVERITY_WARNING, "RemoveIPC=yes (%s), and segments are owned by %s", source,
              users);
    why(f, "when the last session of a regular user ends, systemd-logind removes the segments that "
           "the user owns and nobody has attached, even if another user created them; su - and ssh "
           "are sessions, "
           "too. It also removes the user's semaphores, message queues and files in /dev/shm");
    mend(f,
         "%sloginctl enable-linger USER; or let a system user own the segments and give access by "
         "the group (shmdctl %screate --uid shmd --gid GROUP --mode 660); or, for all users, put "
         "RemoveIPC=no under [Login] in /etc/systemd/logind.conf.d/shmd.conf and restart "
         "systemd-logind",
         as_root(m), m->options);
}

/* Whether there are files to be checked, which are the daemon's. If not, FOUND says so. */
static bool has_config(const struct doctor_facts *m, struct finding *f)
{
    if (m->config.state == CONFIG_NONE)
        found(f, SEVERITY_OK, "this daemon reads no configuration, so nobody declares segments");
    else if (m->config.state == CONFIG_UNKNOWN && !m->daemon.is_known)
        not_checked(f);
    else if (m->config.state == CONFIG_UNKNOWN)
        found(f, SEVERITY_INFO, "not checked: it cannot be seen which files this daemon reads");
    return m->config.state == CONFIG_KNOWN;
}

static void check_config_files(const struct doctor_facts *m, struct finding *f)
{
    const struct declared_facts *d = &m->declared;
    if (!has_config(m, f))
        return;
    char file[6 * sizeof(d->loose.path)], more[48] = "";
    if (d->n_loose == 0) {
        found(f, SEVERITY_OK, "nobody else can write what the daemon reads in %.*s",
              (int)(strrchr(m->config.file, '/') - m->config.file), m->config.file);
        return;
    }
    if (d->n_loose > 1)
        snprintf(more, sizeof(more), ", and %zu more like it", d->n_loose - 1);
    if (d->loose.is_strangers)
        found(f, SEVERITY_WARNING, "%s is uid %" PRIu32 "'s, not root's or the daemon's%s",
              d->loose.path, d->loose.uid, more);
    else
        found(f, SEVERITY_WARNING, "every user can write %s, mode %04" PRIo32 "%s", d->loose.path,
              d->loose.mode, more);
    why(f,
        "a user who can write it decides who is an admin, what the limits are and which segments "
        "exist");
    shell_word(d->loose.path, file, sizeof(file));
    mend(f,
         d->loose.is_strangers ? "%slook at what is in it, then: chown root %s"
                               : "%slook at what is in it, then: chmod o-w %s",
         d->loose.is_strangers || d->loose.uid == 0 || m->config.is_systems ? as_root(m) : "",
         file);
}

static void check_declared(const struct doctor_facts *m, struct finding *f)
{
    const struct declared_facts *d = &m->declared;
    if (!has_config(m, f))
        return;
    if (d->n_files == 0) {
        found(f, SEVERITY_OK, "no segments are declared in %s", d->dir);
        return;
    }
    if (!d->systemd_runs) {
        found(f, SEVERITY_INFO, "%zu file%s in %s, and systemd does not run here", d->n_files,
              d->n_files > 1 ? "s" : "", d->dir);
        why(f, "the declared segments exist when shmd has started");
        return;
    }
    if (!m->config.is_systems) {
        found(f, SEVERITY_INFO, "%zu file%s in %s, of a daemon that is not the system's",
              d->n_files, d->n_files > 1 ? "s" : "", d->dir);
        why(f, "the declared segments exist when that daemon has started");
        return;
    }
    if (d->service_is_enabled) {
        found(f, SEVERITY_OK, "%zu file%s in %s, and shmd.service starts at boot", d->n_files,
              d->n_files > 1 ? "s" : "", d->dir);
        return;
    }
    found(f, SEVERITY_WARNING, "%zu file%s in %s, but shmd.service is not enabled", d->n_files,
          d->n_files > 1 ? "s" : "", d->dir);
    why(f, "shmd.socket alone starts the daemon with the first request: after boot the declared "
           "segments do not exist until somebody sends one");
    mend(f, "%ssystemctl enable --now shmd.service", as_root(m));
}

static void check_declared_files(const struct doctor_facts *m, struct finding *f)
{
    const struct declared_facts *d = &m->declared;
    char config[512 + sizeof("--config  ")] = "", file[512];
    if (!has_config(m, f))
        return;
    shell_word(m->config.file, file, sizeof(file));
    if (!m->config.is_systems)
        snprintf(config, sizeof(config), "--config %s ", file);
    if (d->n_invalid > 0) {
        char more[48] = "";
        if (d->n_invalid > 1)
            snprintf(more, sizeof(more), "; %zu more are wrong", d->n_invalid - 1);
        found(f, SEVERITY_WARNING, "%.400s%s", d->invalid, more);
        why(f, "the daemon leaves out what is wrong when it starts, and refuses to reload");
        mend(
            f,
            "%s%s %s--check-config lists what is wrong, with lines (the first error of a segment); "
            "correct it, then: shmdctl %sreload",
            m->config.is_systems ? as_root(m) : "", program(m), config, m->options);
    } else if (d->n_unreadable > 0) {
        found(f, SEVERITY_INFO, "not checked: you may not read %zu of the %zu files in %s",
              d->n_unreadable, d->n_files, d->dir);
    } else {
        found(f, SEVERITY_OK, "the files of declared segments are as they have to be");
    }
}

static void check_missing(const struct doctor_facts *m, struct finding *f)
{
    size_t n = m->declared.n_missing;
    if (!has_config(m, f))
        return;
    if (m->declared.n_files == 0) {
        found(f, SEVERITY_OK, "no segments are declared in %s", m->declared.dir);
        return;
    }
    if (!m->drift.is_known) {
        not_checked(f);
        return;
    }
    if (!m->is_shown_all) {
        found(f, SEVERITY_INFO,
              "not checked: only root and the daemon's user are shown all segments");
        return;
    }
    if (n == 0) {
        found(f, SEVERITY_OK, "every declared segment exists");
        return;
    }
    found(f, SEVERITY_WARNING, "%zu declared segment%s missing: %s", n, n > 1 ? "s are" : " is",
          m->declared.missing);
    why(f, "the daemon has not read the file since it was changed, or cannot create the segment: "
           "then its log has the reason");
    mend(f, "shmdctl %sreload; then see what the log says%s", m->options,
         m->config.is_systems ? " (journalctl -u shmd)" : "");
}

static void check_drift(const struct doctor_facts *m, struct finding *f)
{
    if (!m->drift.is_known) {
        not_checked(f);
        return;
    }
    if (m->drift.drifting == 0) {
        found(f, SEVERITY_OK, "no declared segment differs from its file");
        return;
    }
    found(f, SEVERITY_WARNING, "%" PRIu64 " of %" PRIu64 " declared segments differ%s from %s: %s",
          m->drift.drifting, m->drift.segments, m->drift.drifting > 1 ? "" : "s",
          m->drift.drifting > 1 ? "their files" : "its file", m->drift.first);
    why(f,
        "somebody has changed it, or the daemon cannot change it to what the file says: then the "
        "daemon's log has the reason");
    mend(
        f,
        "shmdctl %sreload sets mode, uid, gid, labels, ttl_ms, idle_ttl_ms and locked as declared; "
        "for all else change the file, or remove the segment when nobody needs its data: the "
        "daemon then creates it as declared",
        m->options);
}

static void check_rmid_forced(const struct doctor_facts *m, struct finding *f)
{
    if (!m->has_rmid_forced) {
        found(f, SEVERITY_INFO, "not checked: /proc/sys/kernel/shm_rmid_forced cannot be read");
    } else if (!m->rmid_forced) {
        found(f, SEVERITY_OK, "kernel.shm_rmid_forced is 0");
    } else {
        found(f, SEVERITY_WARNING, "kernel.shm_rmid_forced is 1");
        why(f, "the kernel destroys each segment that nobody has attached as soon as its creator "
               "is gone: persistent ones live only as long as the daemon runs");
        mend(f,
             "%ssysctl -w kernel.shm_rmid_forced=0, and take it out of /etc/sysctl.conf and "
             "/etc/sysctl.d",
             as_root(m));
    }
}

/* --- memory of other kinds */

static bool daemon_is_member(const struct doctor_facts *m, uint32_t gid)
{
    for (size_t i = 0; i < m->daemon.n_groups; i++)
        if (m->daemon.groups[i] == gid)
            return true;
    return m->daemon.gid == gid;
}

/* What the daemon needs besides the pages; one that may lock memory, as root's may, needs nothing.
 */
static void mend_huge_pages(const struct doctor_facts *m, struct finding *f)
{
    static const char pages[] = "sysctl -w vm.nr_hugepages=N sets N of them aside";
    bool may_use =
        m->daemon.has_proc
            ? m->daemon.may_lock || (m->has_hugetlb_group && daemon_is_member(m, m->hugetlb_group))
            : m->daemon.is_known && m->daemon.uid == 0;
    if (may_use)
        mend(f, "%s%s", as_root(m), pages);
    else if (m->daemon.has_proc)
        mend(f, "%s%s, and vm.hugetlb_shm_group=%" PRIu32 " lets the daemon use them", as_root(m),
             pages, m->daemon.gid);
    else
        mend(f, "%s%s, and vm.hugetlb_shm_group=GID, with the daemon's gid, lets it use them",
             as_root(m), pages);
}

static void check_huge_pages(const struct doctor_facts *m, struct finding *f)
{
    char pools[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < m->n_pools; i++) {
        const struct huge_page_pool *p = &m->pools[i];
        if (p->pages == 0 || used >= sizeof(pools))
            continue;
        used += (size_t)snprintf(pools + used, sizeof(pools) - used,
                                 "%s%" PRIu64 " of %" PRIu64 " free (%s)", used ? ", " : "",
                                 p->free, p->pages, SIZE(p->page_size));
    }
    if (used == 0) {
        found(f, SEVERITY_INFO, "no huge pages are set aside");
        why(f, "only segments that ask for huge pages need them; those are refused");
        mend_huge_pages(m, f);
    } else if (!m->daemon.is_known || !m->daemon.has_proc || !m->has_hugetlb_group) {
        found(f, SEVERITY_INFO, "%s; we cannot tell whether the daemon may use them", pools);
    } else if (m->daemon.may_lock || daemon_is_member(m, m->hugetlb_group)) {
        found(f, SEVERITY_OK, "%s; the daemon may use them", pools);
    } else {
        found(f, SEVERITY_WARNING,
              "%s, but vm.hugetlb_shm_group is %" PRIu32 " and the daemon's gid is %" PRIu32, pools,
              m->hugetlb_group, m->daemon.gid);
        why(f, "the daemon may not use them: a segment that asks for huge pages is refused");
        mend(f, "%ssysctl -w vm.hugetlb_shm_group=%" PRIu32 "; keep it in /etc/sysctl.d/shmd.conf",
             as_root(m), m->daemon.gid);
    }
}

static uint64_t locked_by(const struct doctor_facts *m, uint32_t cuid)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->segments.count; i++)
        if (m->segments.rows[i].locked && m->segments.rows[i].cuid == cuid)
            bytes += m->segments.rows[i].size;
    return bytes;
}

static void check_memlock(const struct doctor_facts *m, struct finding *f)
{
    if (!m->daemon.is_known || !m->daemon.has_memlock) {
        found(f, SEVERITY_INFO,
              "we cannot tell the daemon's limit of locked memory; this process's limit is %s",
              m->memlock == UINT64_MAX ? "unlimited" : SIZE(m->memlock));
        return;
    }
    if (m->daemon.may_lock || m->daemon.memlock == UINT64_MAX) {
        found(f, SEVERITY_OK, "the daemon may lock any amount of memory");
        return;
    }
    uint64_t locked = locked_by(m, m->daemon.uid);
    unsigned full = percent(locked, m->daemon.memlock);
    found(f, SEVERITY_INFO, "the daemon has locked %s of %s (RLIMIT_MEMLOCK)", SIZE(locked),
          SIZE(m->daemon.memlock));
    if (locked > 0 && by_percent(full) > SEVERITY_INFO)
        f->severity = by_percent(full);
    why(f, "a segment beyond it that asks to be locked is refused");
    if (m->socket.kind == DAEMON_SYSTEMS)
        mend(f,
             "%ssystemctl edit shmd.service: AmbientCapabilities=CAP_IPC_LOCK, "
             "CapabilityBoundingSet=CAP_IPC_LOCK and LimitMEMLOCK=infinity under [Service]; for a "
             "daemon that is started from a shell: raise ulimit -l there first",
             as_root(m));
    else
        mend(f, "raise ulimit -l in the shell that starts the daemon, or LimitMEMLOCK= of its "
                "unit; beyond the hard limit (ulimit -Hl) only root can");
}

/* --- what the kernel can do */

static void check_pidfd(const struct doctor_facts *m, struct finding *f)
{
    if (m->pidfd == FEATURE_THERE) {
        found(f, SEVERITY_OK, "pidfd_open works");
        return;
    }
    found(f, SEVERITY_ERROR, "pidfd_open does not work");
    why(f, "the daemon cannot tell reliably when a process ends: lifetime process does not work");
    mend(f, "a kernel from Linux 5.3 on, or a sandbox that allows pidfd_open");
}

static void check_peerpidfd(const struct doctor_facts *m, struct finding *f)
{
    if (m->peerpidfd == FEATURE_THERE) {
        found(f, SEVERITY_OK, "SO_PEERPIDFD works");
        return;
    }
    found(f, SEVERITY_INFO, "SO_PEERPIDFD does not work");
    why(f, "the daemon identifies its clients by pid and start time instead");
    mend(f, "a kernel from Linux 6.5 on");
}

static void check_pidfs(const struct doctor_facts *m, struct finding *f)
{
    if (m->pidfs == FEATURE_THERE) {
        found(f, SEVERITY_OK, "the inode of a pidfd identifies the process");
        return;
    }
    found(f, SEVERITY_INFO, "a pidfd has no inode of its own");
    why(f, "after a restart the daemon finds holders again by pid and start time instead");
    mend(f, "a kernel from Linux 6.9 on");
}

static void check_stat_any(const struct doctor_facts *m, struct finding *f)
{
    if (m->stat_any == FEATURE_THERE) {
        found(f, SEVERITY_OK, "SHM_STAT_ANY works");
        return;
    }
    found(f, m->stat_any == FEATURE_UNKNOWN ? SEVERITY_INFO : SEVERITY_ERROR, "SHM_STAT_ANY %s",
          m->stat_any == FEATURE_UNKNOWN ? "could not be tried" : "does not work");
    why(f, "without it the daemon cannot see what others do to its segments");
    mend(f, "a kernel from Linux 4.17 on");
}

/* --- what the daemon records */

static void check_store(const struct doctor_facts *m, struct finding *f)
{
    if (!m->daemon.is_known) {
        not_checked(f);
        return;
    }
    if (!m->daemon.store_failure) {
        found(f, SEVERITY_OK, "the daemon can record what it is asked for");
        return;
    }
    found(f, SEVERITY_ERROR, "the last change could not be recorded: %s", m->daemon.store_failure);
    why(f, "until it can record again, the daemon refuses to create or change segments "
           "(StoreFailure)");
    mend(f, "make room on the file system of its state directory; its log names the directory");
}

/* --- all of them */

static const struct {
    const char *id;
    void (*run)(const struct doctor_facts *m, struct finding *f);
} checks[] = {
    {"socket", check_socket},
    {"socket-directory", check_socket_directory},
    {"ipc-namespace", check_namespace},
    {"group-members", check_group},
    {"logind-remove-ipc", check_logind},
    {"config-files", check_config_files},
    {"declared-at-boot", check_declared},
    {"declared-files", check_declared_files},
    {"declared-missing", check_missing},
    {"declared-drift", check_drift},
    {"shm-rmid-forced", check_rmid_forced},
    {"orphans", check_orphans},
    {"left", check_left},
    {"undecided", check_undecided},
    {"lost", check_lost},
    {"pid-namespace", check_pid_namespace},
    {"store", check_store},
    {"quota", check_quota},
    {"shmmni", check_shmmni},
    {"shmall", check_shmall},
    {"shmmax", check_shmmax},
    {"semaphores", check_semaphores},
    {"message-queues", check_queues},
    {"huge-pages", check_huge_pages},
    {"memlock", check_memlock},
    {"pidfd", check_pidfd},
    {"peerpidfd", check_peerpidfd},
    {"pidfs", check_pidfs},
    {"shm-stat-any", check_stat_any},
};

_Static_assert(COUNT(checks) <= FINDINGS_MAX, "there is room for each finding");

void doctor_check(const struct doctor_facts *facts, struct findings *ret)
{
    *ret = (struct findings){.count = COUNT(checks)};
    for (size_t i = 0; i < COUNT(checks); i++) {
        ret->rows[i].id = checks[i].id;
        checks[i].run(facts, &ret->rows[i]);
    }
}
