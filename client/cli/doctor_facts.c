/* SPDX-License-Identifier: MIT */
#include "client/cli/doctor_facts.h"

#include "client/cli/doctor_config.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The last uid of a system user, as systemd is built; logind leaves those alone. */
#define SYSTEM_UID_MAX 999
#define SYSTEM_USER    "shmd"
#define CAP_IPC_LOCK   14

/* --- files below a root */

static void __attribute__((format(printf, 4, 0)))
path_below(char *ret, size_t size, const char *root, const char *format, va_list args)
{
    size_t len = (size_t)snprintf(ret, size, "%s", root);
    if (len < size)
        vsnprintf(ret + len, size - len, format, args);
}

static FILE *__attribute__((format(printf, 2, 3)))
open_below(const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    path_below(path, sizeof(path), root, format, args);
    va_end(args);
    return fopen(path, "re");
}

static bool __attribute__((format(printf, 2, 3)))
exists_below(const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    struct stat st;
    va_list args;
    va_start(args, format);
    path_below(path, sizeof(path), root, format, args);
    va_end(args);
    return stat(path, &st) == 0;
}

static bool take_number(FILE *file, uint64_t *ret)
{
    uint64_t value;
    bool good = file && fscanf(file, "%" SCNu64, &value) == 1;
    if (file)
        fclose(file);
    if (good)
        *ret = value;
    return good;
}

/* --- users and groups: the machine's, whatever they come from, or those of a planted tree */

struct accounts {
    bool planted;
    FILE *passwd, *group; /* of a planted tree; may be NULL */
};

static void accounts_open(const char *root, struct accounts *ret)
{
    *ret = (struct accounts){.planted = *root};
    if (ret->planted) {
        ret->passwd = open_below(root, "/etc/passwd");
        ret->group = open_below(root, "/etc/group");
    }
}

static void accounts_close(struct accounts *a)
{
    if (a->passwd)
        fclose(a->passwd);
    if (a->group)
        fclose(a->group);
}

static void rewind_users(struct accounts *a)
{
    if (!a->planted)
        setpwent();
    else if (a->passwd)
        rewind(a->passwd);
}

static struct passwd *next_user(struct accounts *a)
{
    if (!a->planted)
        return getpwent();
    return a->passwd ? fgetpwent(a->passwd) : NULL;
}

static struct passwd *user_by_uid(struct accounts *a, uint32_t uid)
{
    if (!a->planted)
        return getpwuid(uid);
    struct passwd *user;
    rewind_users(a);
    while ((user = next_user(a)) && user->pw_uid != uid)
        ;
    return user;
}

static struct passwd *user_by_name(struct accounts *a, const char *name)
{
    if (!a->planted)
        return getpwnam(name);
    struct passwd *user;
    rewind_users(a);
    while ((user = next_user(a)) && strcmp(user->pw_name, name) != 0)
        ;
    return user;
}

static struct group *group_by_gid(struct accounts *a, uint32_t gid)
{
    if (!a->planted)
        return getgrgid(gid);
    struct group *group = NULL;
    if (a->group)
        rewind(a->group);
    while (a->group && (group = fgetgrent(a->group)) && group->gr_gid != gid)
        ;
    return group;
}

/* --- the daemon's process */

static void take_groups(const char *text, struct doctor_facts *f)
{
    char *end;
    while (f->daemon.n_groups < GROUPS_MAX) {
        uint32_t gid = (uint32_t)strtoul(text, &end, 10);
        if (end == text)
            break;
        f->daemon.groups[f->daemon.n_groups++] = gid;
        text = end;
    }
}

/* The pid is as the daemon sees it: in another pid namespace it may be somebody else's here, so
 * the uid must be the daemon's. */
static void read_status(const char *root, struct doctor_facts *f)
{
    FILE *file = open_below(root, "/proc/%d/status", (int)f->daemon.pid);
    if (!file)
        return;
    char *line = NULL;
    size_t size = 0;
    uint64_t caps;
    uint32_t uid;
    unsigned inner_pid;
    bool is_it = false, has_gid = false, is_nested = false;
    while (getline(&line, &size, file) >= 0) {
        if (sscanf(line, "Uid: %*u %" SCNu32, &uid) == 1)
            is_it = uid == f->daemon.uid;
        else if (sscanf(line, "Gid: %*u %" SCNu32, &f->daemon.gid) == 1)
            has_gid = true;
        else if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
            f->daemon.may_lock = caps >> CAP_IPC_LOCK & 1;
        else if (strncmp(line, "Groups:", 7) == 0)
            take_groups(line + 7, f);
        else if (sscanf(line, "NSpid: %*u %u", &inner_pid) == 1)
            is_nested = true;
    }
    if (f->daemon.pid_namespace == NAMESPACE_UNKNOWN)
        f->daemon.pid_namespace = is_it && !is_nested ? NAMESPACE_SAME : NAMESPACE_DIFFERS;
    f->daemon.has_proc = is_it && has_gid;
    free(line);
    fclose(file);
}

static void read_limits(const char *root, struct doctor_facts *f)
{
    FILE *file = open_below(root, "/proc/%d/limits", (int)f->daemon.pid);
    if (!file)
        return;
    char line[256], soft[32];
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Max locked memory %31s", soft) != 1)
            continue;
        f->daemon.has_memlock = true;
        f->daemon.memlock = strcmp(soft, "unlimited") == 0 ? UINT64_MAX : strtoull(soft, NULL, 10);
    }
    fclose(file);
}

/* --- the daemon's group */

static void add_stranger(struct doctor_facts *f, const char *name)
{
    size_t len = strlen(f->group.strangers);
    f->group.n_strangers++;
    if (len + strlen(name) + 3 < sizeof(f->group.strangers))
        snprintf(f->group.strangers + len, sizeof(f->group.strangers) - len, "%s%s",
                 len > 0 ? ", " : "", name);
}

static bool is_the_daemons(struct accounts *a, const struct doctor_facts *f, const char *name)
{
    const struct passwd *user = user_by_name(a, name);
    return user && user->pw_uid == f->group.uid;
}

/* Members by /etc/group, and users whose first group it is: these are not among the former. */
static void read_strangers(struct accounts *a, struct doctor_facts *f)
{
    const struct group *group = group_by_gid(a, f->group.gid);
    if (group)
        snprintf(f->group.name, sizeof(f->group.name), "%s", group->gr_name);
    else
        snprintf(f->group.name, sizeof(f->group.name), "%" PRIu32, f->group.gid);
    for (char **member = group ? group->gr_mem : NULL; member && *member; member++)
        if (!is_the_daemons(a, f, *member))
            add_stranger(f, *member);
    const struct passwd *user;
    rewind_users(a);
    while ((user = next_user(a)))
        if (user->pw_gid == f->group.gid && user->pw_uid != f->group.uid)
            add_stranger(f, user->pw_name);
    if (!a->planted)
        endpwent();
}

static void read_group(struct accounts *a, struct doctor_facts *f)
{
    const struct passwd *user =
        f->daemon.is_known ? user_by_uid(a, f->daemon.uid) : user_by_name(a, SYSTEM_USER);
    if (f->daemon.is_known && f->daemon.has_proc) {
        f->group.uid = f->daemon.uid;
        f->group.gid = f->daemon.gid;
    } else if (user) {
        f->group.uid = user->pw_uid;
        f->group.gid = user->pw_gid;
    } else {
        return;
    }
    f->group.is_known = true;
    read_strangers(a, f);
}

/* --- logind */

static struct user_use *use_of(const char *root, struct accounts *a, struct doctor_facts *f,
                               uint32_t uid)
{
    for (size_t i = 0; i < f->logind.n_users; i++)
        if (f->logind.users[i].uid == uid)
            return &f->logind.users[i];
    if (f->logind.n_users == HIT_USERS_MAX)
        return NULL;
    struct user_use *use = &f->logind.users[f->logind.n_users++];
    const struct passwd *user = user_by_uid(a, uid);
    *use = (struct user_use){.uid = uid};
    if (user) {
        snprintf(use->name, sizeof(use->name), "%s", user->pw_name);
        use->lingers = exists_below(root, "/var/lib/systemd/linger/%s", user->pw_name);
    } else {
        snprintf(use->name, sizeof(use->name), "%" PRIu32, uid);
    }
    return use;
}

static void read_logind(const char *root, struct accounts *a, struct doctor_facts *f)
{
    /* systemd has booted the machine, and logind has made its directory. */
    f->logind.runs =
        exists_below(root, "/run/systemd/system") && exists_below(root, "/run/systemd/seats");
    logind_conf_read(root, &f->logind.conf);
    for (size_t i = 0; i < f->segments.count; i++) {
        const struct kernel_segment *s = &f->segments.rows[i];
        if (s->uid <= SYSTEM_UID_MAX)
            continue;
        struct user_use *use = use_of(root, a, f, s->uid);
        if (!use) {
            f->logind.more = true;
            continue;
        }
        use->segments++;
        use->bytes += s->size;
    }
}

/* --- the kernel's settings */

static uint64_t pool_number(const char *root, const char *pool, const char *file)
{
    uint64_t value = 0;
    (void)take_number(open_below(root, "/sys/kernel/mm/hugepages/%s/%s", pool, file), &value);
    return value;
}

/* Those that are promised to somebody count as free until they are touched. */
static uint64_t free_pages(const char *root, const char *pool)
{
    uint64_t free_ones = pool_number(root, pool, "free_hugepages");
    uint64_t reserved = pool_number(root, pool, "resv_hugepages");
    return free_ones > reserved ? free_ones - reserved : 0;
}

static void read_pools(const char *root, struct doctor_facts *f)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sys/kernel/mm/hugepages", root);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && f->n_pools < POOLS_MAX && (entry = readdir(dir))) {
        uint64_t kib;
        const char *name = entry->d_name;
        if (sscanf(name, "hugepages-%" SCNu64 "kB", &kib) != 1)
            continue;
        uint64_t set_aside = pool_number(root, name, "nr_hugepages");
        uint64_t on_demand = pool_number(root, name, "nr_overcommit_hugepages");
        uint64_t surplus = pool_number(root, name, "surplus_hugepages");
        uint64_t more = on_demand > surplus ? on_demand - surplus : 0;
        f->pools[f->n_pools++] = (struct huge_page_pool){
            .page_size = kib * 1024,
            .pages = set_aside + more,
            .free = free_pages(root, name) + more,
        };
    }
    if (dir)
        closedir(dir);
}

/* The rows of a table of /proc/sysvipc, and the sum of their column COLUMN, counted from 0. */
static bool count_rows(const char *root, const char *table, int column, uint64_t *ret_rows,
                       uint64_t *ret_sum)
{
    FILE *file = open_below(root, "/proc/sysvipc/%s", table);
    char line[512];
    uint64_t rows = 0, sum = 0;
    if (!file)
        return false;
    while (fgets(line, sizeof(line), file)) {
        char *at = line, *rest = NULL, *word = NULL;
        for (int i = 0; i <= column && (word = strtok_r(at, " \t\n", &rest)); i++)
            at = NULL;
        if (!word || strspn(word, "0123456789") != strlen(word))
            continue; /* the headings */
        rows++;
        sum += strtoull(word, NULL, 10);
    }
    fclose(file);
    *ret_rows = rows;
    *ret_sum = sum;
    return true;
}

/* The other two kinds of System V IPC, which the same programs use. */
static void read_sysv(const char *root, struct doctor_facts *f)
{
    enum { NSEMS = 3, MSQID = 1 };
    uint64_t rows, sum, semmns, semmni, msgmni;
    FILE *file = open_below(root, "/proc/sys/kernel/sem");
    bool has_limits = file && fscanf(file, "%*u %" SCNu64 " %*u %" SCNu64, &semmns, &semmni) == 2;
    if (file)
        fclose(file);
    if (has_limits && count_rows(root, "sem", NSEMS, &rows, &sum)) {
        f->semaphore_sets = (struct sysv_use){true, rows, semmni};
        f->semaphores = (struct sysv_use){true, sum, semmns};
    }
    if (take_number(open_below(root, "/proc/sys/kernel/msgmni"), &msgmni) &&
        count_rows(root, "msg", MSQID, &rows, &sum))
        f->queues = (struct sysv_use){true, rows, msgmni};
}

static void read_kernel(const char *root, struct doctor_facts *f)
{
    uint64_t value;
    f->has_rmid_forced = take_number(open_below(root, "/proc/sys/kernel/shm_rmid_forced"), &value);
    f->rmid_forced = f->has_rmid_forced && value != 0;
    f->has_hugetlb_group = take_number(open_below(root, "/proc/sys/vm/hugetlb_shm_group"), &value);
    f->hugetlb_group = f->has_hugetlb_group ? (uint32_t)value : 0;
    read_pools(root, f);
    read_sysv(root, f);
}

void doctor_facts_read(const char *root, struct doctor_facts *f)
{
    struct accounts accounts;
    accounts_open(root, &accounts);
    if (f->daemon.is_known) {
        read_status(root, f);
        if (f->daemon.has_proc)
            read_limits(root, f);
    }
    read_group(&accounts, f);
    read_logind(root, &accounts, f);
    doctor_config_read(root, f);
    if (f->config.state == CONFIG_KNOWN)
        declared_facts_read(root, f->config.file, f->daemon.is_known ? f->daemon.uid : 0,
                            &f->drift.all, &f->declared);
    read_kernel(root, f);
    accounts_close(&accounts);
}

void doctor_facts_deinit(struct doctor_facts *f)
{
    kernel_segments_deinit(&f->segments);
    declared_list_deinit(&f->drift.all);
}
