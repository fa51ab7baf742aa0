/* SPDX-License-Identifier: MIT */
/*
 * What doctor knows of the machine before it judges. Whatever comes from files is read below a
 * root, which is "" but for tests: they plant trees. Nothing here changes anything.
 */
#ifndef SHMD_CLIENT_CLI_DOCTOR_FACTS_H
#define SHMD_CLIENT_CLI_DOCTOR_FACTS_H

#include "client/cli/daemon_choice.h"
#include "client/cli/daemons.h"
#include "client/cli/declared_facts.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/logind_conf.h"

enum {
    USER_NAME_SIZE = 64,
    HIT_USERS_MAX = 32,
    GROUPS_MAX = 64,
    POOLS_MAX = 16,
    GC_IDS_MAX = 8,
    QUOTAS_MAX = 32,
    DAEMON_OPTIONS_SIZE = 512,
};

/* What a user owns. */
struct user_use {
    uint32_t uid;
    char name[USER_NAME_SIZE]; /* the number, where there is no name */
    bool lingers;
    uint64_t segments, bytes;
};

struct huge_page_pool {
    uint64_t page_size;
    uint64_t pages; /* set aside, or to be had on demand */
    uint64_t free;
};

/* What gc would list of one class. */
struct gc_facts {
    uint64_t segments, bytes;
    uint64_t removable;  /* of them: by the caller */
    int ids[GC_IDS_MAX]; /* the first of them */
};

/* A limit of the kernel for another kind of System V IPC. */
struct sysv_use {
    bool is_known;
    uint64_t used, max;
};

struct quota_use {
    const char *name; /* borrowed: the key of the configuration */
    uint64_t used, max;
};

enum namespace_state { NAMESPACE_UNKNOWN, NAMESPACE_SAME, NAMESPACE_DIFFERS };

enum config_state { CONFIG_UNKNOWN, CONFIG_NONE, CONFIG_KNOWN };

enum feature_state { FEATURE_MISSING, FEATURE_THERE, FEATURE_UNKNOWN };

struct doctor_facts {
    uint64_t ipc_namespace; /* the caller's */
    uint64_t memlock;       /* the caller's limit; UINT64_MAX: none */
    struct kernel_limits limits;
    struct kernel_segments segments;            /* owned */
    struct gc_facts classes[GC_CLASSES_LISTED]; /* old enough for gc */
    bool is_root;                               /* the caller */
    bool is_shown_all;                 /* the daemon lists all its segments to the caller */
    char options[DAEMON_OPTIONS_SIZE]; /* to have shmdctl ask the daemon that doctor asked */
    char options_of_root[DAEMON_OPTIONS_SIZE]; /* the same, when root types it */
    uint64_t memory;                           /* of the machine; 0: not known */
    struct sysv_use semaphores, semaphore_sets, queues;

    struct {
        const char *path;      /* borrowed */
        int error;             /* of looking at it: 0 or a negative errno */
        enum daemon_kind kind; /* NAMED: no unit of systemd has this path */
        bool is_socket;
        uint32_t mode, uid;
        bool directory_is_open; /* anybody may put another socket in its place */
        char program[256];      /* the daemon's, as a shell finds it */
        char start[640];        /* what starts a daemon there */
    } socket;

    struct {
        enum daemon_state state;
        int error;              /* why it was not reached: a negative errno */
        const char *state_text; /* borrowed */
        bool is_known;          /* it answers, and pid, uid and ipc_namespace are its */
        int32_t pid;
        uint32_t uid;
        uint64_t ipc_namespace;
        bool has_proc; /* its /proc/PID can be read: gid, groups, may_lock are its */
        uint32_t gid;
        uint32_t groups[GROUPS_MAX];
        size_t n_groups;
        bool may_lock; /* CAP_IPC_LOCK */
        bool has_memlock;
        uint64_t memlock;
        enum namespace_state pid_namespace;  /* against the caller's */
        struct quota_use quotas[QUOTAS_MAX]; /* the caller's, and the totals */
        size_t n_quotas;
        const char *store_failure; /* borrowed; NULL: it records what is asked for */
    } daemon;

    /* The group of the daemon, or of the user shmd when no daemon is known. */
    struct {
        bool is_known;
        uint32_t uid, gid;
        char name[USER_NAME_SIZE];
        size_t n_strangers;
        char strangers[256]; /* their names, as far as there is room */
    } group;

    struct {
        bool runs;
        struct logind_conf conf;
        struct user_use users[HIT_USERS_MAX]; /* regular users who own segments */
        size_t n_users;
        bool more; /* than these */
    } logind;

    /* Which configuration the daemon reads, and so which files the declared segments have. */
    struct {
        enum config_state state;
        bool is_systems;             /* it is the file of the system's instance */
        char file[CONFIG_PATH_SIZE]; /* when it is KNOWN */
    } config;

    struct declared_facts declared; /* of a KNOWN configuration */

    /* The declared segments that the daemon lists. */
    struct {
        bool is_known;
        uint64_t segments;
        uint64_t drifting;        /* those that are not as declared */
        char first[256];          /* of those: "frames (mode,size)", as far as there is room */
        struct declared_list all; /* owned: the names of the declared ones */
    } drift;

    bool has_rmid_forced, rmid_forced;
    bool has_hugetlb_group;
    uint32_t hugetlb_group;
    struct huge_page_pool pools[POOLS_MAX];
    size_t n_pools;

    enum feature_state pidfd, peerpidfd, pidfs, stat_any;
};

/* All but what is below a root: asks the daemon and the kernel. 0 or a negative errno. SEEN must
 * outlive RET. */
int doctor_facts_ask(struct cli *cli, struct daemon_seen *seen,
                     struct doctor_facts *ret) MUST_CHECK;
/* The rest, of FACTS whose daemon and segments are known. */
void doctor_facts_read(const char *root, struct doctor_facts *facts);
void doctor_facts_deinit(struct doctor_facts *facts);

#endif
