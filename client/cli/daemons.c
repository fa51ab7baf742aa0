#include "client/cli/daemons.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where daemons that were not asked may be. */
#define SYSTEM_DIRECTORY "/run/shmd"
#define USER_DIRECTORIES "/run/user/*/shmd"
#define SOCKET_NAME      "shmd.sock"
#define SYSTEM_USER      "shmd"
#define PROGRAM          "shmd"

enum { ANSWER_MS = 10000 }; /* a daemon that hangs is not waited for */

/* --- the one that was chosen */

void daemon_ask(struct cli *cli, struct daemon_seen *ret)
{
    *ret = (struct daemon_seen){.state = DAEMON_UNREACHABLE, .error = cli_open(cli, ANSWER_MS)};
    snprintf(ret->path, sizeof(ret->path), "%s", cli->daemon.path);
    if (ret->error < 0)
        return;
    ret->state = DAEMON_SILENT;
    int r = shmd_info(cli_ask(cli), &ret->info);
    if (r != 0)
        ret->error = r < 0 ? r : -EBADMSG;
    else if (ret->info->ipc_namespace != own_ipc_namespace())
        ret->state = DAEMON_ELSEWHERE;
    else
        ret->state = DAEMON_ANSWERS;
}

void daemon_seen_deinit(struct daemon_seen *seen)
{
    shmd_info_free(seen->info);
    *seen = (struct daemon_seen){.state = DAEMON_UNREACHABLE};
}

const char *daemon_state_text(const struct daemon_seen *seen)
{
    switch (seen->state) {
    case DAEMON_ANSWERS: return "it answers";
    case DAEMON_ELSEWHERE: return "it answers, but it is in another IPC namespace";
    case DAEMON_SILENT:
        return seen->error == -EBADMSG ? "it gives no sensible answer" : "it does not answer";
    case DAEMON_UNREACHABLE: break;
    }
    switch (seen->error) {
    case -ENOENT: return "nothing is there";
    case -ECONNREFUSED: return "nobody serves it";
    case -EACCES: return "you may not connect";
    case -ENAMETOOLONG: return "the path is too long";
    case -ENXIO: return "XDG_RUNTIME_DIR is not set";
    default: return strerror(-seen->error);
    }
}

/* --- the others */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void parent_of(const char *path, char *ret, size_t size)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(ret, size, "%s", dirname(copy));
}

/*
 * The owners of the socket at PATH, which may be gone while its daemon is stopped, and of its
 * directory, where the daemon keeps its records of segments all the same. ASKED: the socket that
 * was asked, if it was; NULL for none.
 */
static void guard_socket(const char *path, const struct stat *asked, struct orphan_knowledge *k)
{
    struct stat st;
    char directory[PATH_MAX];
    bool is_there = stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
    if (is_there && asked && is_same_file(&st, asked))
        return;
    if (is_there)
        orphan_guard(k, st.st_uid);
    parent_of(path, directory, sizeof(directory));
    /* A directory that everybody may write to is no daemon's. */
    if (stat(directory, &st) == 0 && !(st.st_mode & S_IWOTH))
        orphan_guard(k, st.st_uid);
}

static int guard_users(const struct stat *asked, struct orphan_knowledge *k)
{
    char path[PATH_MAX];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    glob_t found = {0};
    int r = glob(USER_DIRECTORIES, GLOB_NOSORT, NULL, &found);
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
        snprintf(path, sizeof(path), "%s/" SOCKET_NAME, found.gl_pathv[i]);
        guard_socket(path, asked, k);
    }
    globfree(&found);
    if (runtime && *runtime) {
        snprintf(path, sizeof(path), "%s/shmd/" SOCKET_NAME, runtime);
        guard_socket(path, asked, k);
    }
    return r == GLOB_NOSPACE ? -ENOMEM : 0;
}

/* Of /proc/PID/status: who it is, if it is a daemon that runs. */
static bool is_daemon(int32_t pid, uint32_t *ret_uid)
{
    char path[64], line[256], name[64] = "", state = 'Z';
    bool has_uid = false;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/status", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (!has_uid && fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "Name: %63s", name);
        (void)sscanf(line, "State: %c", &state);
        /* The effective one, which is what its segments are made with. */
        has_uid = sscanf(line, "Uid: %*u %" SCNu32, ret_uid) == 1;
    }
    fclose(file);
    return has_uid && state != 'Z' && state != 'X' && strcmp(name, PROGRAM) == 0;
}

/* Whether it certainly sees other segments than ours. If we cannot tell, it may see ours.
 */
static bool is_elsewhere(int32_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/ipc", pid);
    return stat(path, &st) == 0 && st.st_ino != own_ipc_namespace();
}

/* Daemons that run, wherever their sockets may be. ASKED: the pid of the one that was asked. */
static int guard_running(int32_t asked, struct orphan_knowledge *k)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return errno == ENOMEM ? -ENOMEM : 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        struct running_daemon daemon = {.uid = 0};
        if (!isdigit((unsigned char)*entry->d_name))
            continue;
        daemon.pid = (int32_t)strtol(entry->d_name, NULL, 10);
        if (daemon.pid != asked && is_daemon(daemon.pid, &daemon.uid) && !is_elsewhere(daemon.pid))
            orphan_guard_running(k, daemon);
    }
    closedir(proc);
    return 0;
}

static int guard_others(const struct daemon_seen *seen, struct orphan_knowledge *k)
{
    struct stat st;
    const struct stat *asked = k->asked && stat(seen->path, &st) == 0 ? &st : NULL;
    const struct passwd *user = getpwnam(SYSTEM_USER);
    if (k->asked)
        k->daemon_uid = seen->info->uid;
    k->daemon_uid_alone = k->asked && user && user->pw_uid == k->daemon_uid;
    /* For segments of the asked daemon's own uid its word counts. */
    if (user && !k->daemon_uid_alone)
        orphan_guard(k, user->pw_uid);
    guard_socket(SYSTEM_DIRECTORY "/" SOCKET_NAME, asked, k);
    if (*seen->path)
        guard_socket(seen->path, asked, k);
    int r = guard_running(k->asked ? (int32_t)seen->info->pid : 0, k);
    return r < 0 ? r : guard_users(asked, k);
}

/* --- what is whose */

struct ids {
    int *ids; /* owned */
    size_t count, capacity;
};

static int add_id(const struct shmd_segment *segment, void *data)
{
    struct ids *all = data;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity * 2 + 256;
        int *more = reallocarray(all->ids, capacity, sizeof(*more));
        if (!more)
            return -ENOMEM;
        all->ids = more;
        all->capacity = capacity;
    }
    all->ids[all->count++] = segment->shmid;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int daemon_knowledge(struct cli *cli, struct daemon_seen *seen, struct orphan_knowledge *ret)
{
    struct orphan_knowledge k = {0};
    struct ids all = {0};
    if (seen->state == DAEMON_ANSWERS) {
        /* It shows each caller other segments of its own, but the foreign ones to all. */
        const struct shmd_list_options foreign = {.scope = SHMD_SCOPE_FOREIGN};
        int r = shmd_list(cli_ask(cli), &foreign, add_id, &all);
        if (r == 0) {
            if (all.count > 0)
                qsort(all.ids, all.count, sizeof(*all.ids), compare_ids);
            k = (struct orphan_knowledge){
                .asked = true, .foreign = all.ids, .n_foreign = all.count};
        } else {
            seen->state = DAEMON_SILENT;
            seen->error = r < 0 ? r : -EBADMSG;
            free(all.ids);
        }
    }
    int r = guard_others(seen, &k);
    if (r < 0) {
        orphan_knowledge_deinit(&k);
        return r;
    }
    *ret = k;
    return 0;
}
