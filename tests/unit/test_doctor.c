/* SPDX-License-Identifier: MIT */
/*
 * doctor on machines that there are not: trees planted for what is read from files, and facts made
 * up for what each check says of them.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <ftw.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/doctor_checks.h"

enum { DAEMON_PID = 4711, DAEMON_UID = 120, DAEMON_GID = 130 };

/* --- planted trees */

static char root[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/shmd-doctor-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_parents(char *path)
{
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        *at = '/';
    }
}

/* PATH begins with a slash; what ends in one is a directory. */
static void plant(const char *path, const char *text)
{
    char *full = text_of("%s%s", root, path);
    make_parents(full);
    if (full[strlen(full) - 1] != '/') {
        FILE *file = fopen(full, "w");
        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
    }
    free(full);
}

static void plant_link(const char *path, const char *target)
{
    char *full = text_of("%s%s", root, path);
    make_parents(full);
    assert_int_equal(symlink(target, full), 0);
    free(full);
}

static void plant_accounts(void)
{
    plant("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"
                         "shmd:x:120:130::/run/shmd:/usr/sbin/nologin\n"
                         "alice:x:1000:1000::/:/bin/sh\n"
                         "bob:x:1001:1001::/:/bin/sh\n");
    plant("/etc/group", "root:x:0:\nshmd:x:130:\nalice:x:1000:\n");
}

static void plant_logind(void)
{
    plant("/run/systemd/system/", "");
    plant("/run/systemd/seats/", "");
}

static void plant_process(const char *groups, const char *caps, const char *memlock)
{
    char *status = text_of("Name:\tshmd\nUid:\t120\t120\t120\t120\nGid:\t130\t130\t130\t130\n"
                           "Groups:\t%s\nCapEff:\t%s\n",
                           groups, caps);
    char *limits = text_of("Limit                     Soft Limit           Hard Limit Units\n"
                           "Max resident set          unlimited            unlimited  bytes\n"
                           "Max locked memory         %s              8388608    bytes\n"
                           "Max address space         unlimited            unlimited  bytes\n",
                           memlock);
    plant("/proc/4711/status", status);
    plant("/proc/4711/limits", limits);
    free(status);
    free(limits);
}

/* --- facts made up: a machine on which all is well */

static struct kernel_segment rows[8];

static struct doctor_facts facts_of_a_good_machine(void)
{
    memset(rows, 0, sizeof(rows));
    return (struct doctor_facts){
        .config = {CONFIG_KNOWN, true, "/etc/shmd/shmd.conf"},
        .ipc_namespace = 7,
        .memlock = UINT64_MAX,
        .limits = {.shmmax = UINT64_MAX, .shmall = UINT64_MAX, .shmmni = 4096, .page_size = 4096},
        .segments = {.rows = rows},
        .socket = {.path = "/run/shmd/shmd.sock",
                   .kind = DAEMON_SYSTEMS,
                   .is_socket = true,
                   .mode = 0666},
        .daemon = {.state = DAEMON_ANSWERS,
                   .state_text = "it answers",
                   .is_known = true,
                   .pid = DAEMON_PID,
                   .uid = DAEMON_UID,
                   .ipc_namespace = 7},
        .drift = {.is_known = true, .segments = 2},
        .pidfd = FEATURE_THERE,
        .peerpidfd = FEATURE_THERE,
        .pidfs = FEATURE_THERE,
        .stat_any = FEATURE_THERE,
    };
}

static void without_daemon(struct doctor_facts *f, int error, const char *text)
{
    f->daemon.state = DAEMON_UNREACHABLE;
    f->daemon.is_known = f->drift.is_known = false;
    f->daemon.error = error;
    f->daemon.state_text = text;
}

static struct kernel_segment *add_segment(struct doctor_facts *f, uint32_t uid, uint64_t size)
{
    struct kernel_segment *s = &rows[f->segments.count++];
    *s = (struct kernel_segment){.shmid = (int)f->segments.count, .uid = uid, .size = size};
    return s;
}

static struct findings findings;

/* What only root can do is told to others as that, and to root without a word about it. */
static void check_who_mends(const struct doctor_facts *facts, const struct finding *f)
{
    static const char *const of_root[] = {
        "systemctl start", "systemctl enable", "systemctl edit",     "sysctl -w",
        "kernel.sem by",   "gpasswd",          "group of its own",   "chown root",
        "enable-linger",   "SocketMode=",      "shmd), and restart", "in shmd.conf",
        "/etc/shmd/",
    };
    const char *mark = strstr(f->mend, "as root: ");
    if (facts->is_root && mark)
        fail_msg("%s tells root to be root: %s", f->id, f->mend);
    for (size_t i = 0; i < COUNT(of_root); i++) {
        const char *at = strstr(f->mend, of_root[i]);
        if (at && !facts->is_root && !(mark && mark < at))
            fail_msg("%s does not say who can do it: %s", f->id, f->mend);
    }
}

/* What the check ID says of FACTS. */
static const struct finding *check(const struct doctor_facts *facts, const char *id)
{
    struct doctor_facts of_root = *facts;
    of_root.is_root = true;
    doctor_check(&of_root, &findings);
    for (size_t i = 0; i < findings.count; i++)
        check_who_mends(&of_root, &findings.rows[i]);
    doctor_check(facts, &findings);
    for (size_t i = 0; i < findings.count; i++)
        check_who_mends(facts, &findings.rows[i]);
    for (size_t i = 0; i < findings.count; i++)
        if (strcmp(findings.rows[i].id, id) == 0)
            return &findings.rows[i];
    fail_msg("there is no check \"%s\"", id);
    return NULL;
}

/* The check ID gives SEVERITY, and what it found holds PART. Whatever is bad says why and how to
 * mend it. */
#define assert_finding(facts, id, want, part)                                                      \
    do {                                                                                           \
        const struct finding *got = check(facts, id);                                              \
        if (got->severity != (want))                                                               \
            fail_msg("%s is %s: %s", id, severity_word(got->severity), got->found);                \
        assert_contains(got->found, part);                                                         \
        if ((want) >= SEVERITY_WARNING && !(*got->why && *got->mend))                              \
            fail_msg("%s: %s, but neither why nor how to mend it", id, got->found);                \
        if ((want) == SEVERITY_OK && (*got->why || *got->mend))                                    \
            fail_msg("%s is well, but is to be mended: %s", id, got->mend);                        \
    } while (0)

/* --- the whole */

TEST(a_good_machine)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    plant_process("", "0000000000000000", "unlimited");
    plant("/proc/sys/kernel/shm_rmid_forced", "0\n");
    plant("/proc/sys/vm/hugetlb_shm_group", "130\n");
    plant("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
    plant("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n");
    plant("/proc/sys/kernel/sem", "32000\t1024000000\t500\t32000\n");
    plant("/proc/sys/kernel/msgmni", "32000\n");
    plant("/proc/sysvipc/sem", "       key      semid perms      nsems\n");
    plant("/proc/sysvipc/msg", "       key      msqid perms      cbytes\n");
    doctor_facts_read(root, &f);
    doctor_check(&f, &findings);
    for (size_t i = 0; i < findings.count; i++) {
        if (findings.rows[i].severity != SEVERITY_OK)
            fail_msg("%s: %s", findings.rows[i].id, findings.rows[i].found);
        assert_true(*findings.rows[i].found);
    }
    assert_int_equal(findings.count, 29);
    assert_int_equal(doctor_worst(&findings), SEVERITY_OK);
}

TEST(an_empty_machine)
{
    /* Nothing can be read, nothing answers: findings, and no crash. */
    struct doctor_facts f = {.socket = {.path = "", .error = -ENOENT}};
    without_daemon(&f, -ENOENT, "nothing is there");
    doctor_facts_read(root, &f);
    doctor_check(&f, &findings);
    for (size_t i = 0; i < findings.count; i++)
        assert_true(*findings.rows[i].found);
    assert_int_equal(doctor_worst(&findings), SEVERITY_ERROR);
}

TEST(the_worst_counts)
{
    struct findings some = {.count = 3};
    some.rows[0].severity = SEVERITY_INFO;
    some.rows[1].severity = SEVERITY_WARNING;
    assert_int_equal(doctor_worst(&some), SEVERITY_WARNING);
    some.rows[1].severity = SEVERITY_OK;
    assert_int_equal(doctor_worst(&some), SEVERITY_INFO);
    some.count = 0;
    assert_int_equal(doctor_worst(&some), SEVERITY_OK);
}

/* --- who may write the configuration */

static void allow(const char *path, mode_t mode)
{
    char *full = text_of("%s%s", root, path);
    assert_int_equal(chmod(full, mode), 0);
    free(full);
}

/* The files are the test's own, so that its uid stands for the daemon's. */
TEST(what_anybody_can_write_is_told)
{
    static const char *const paths[] = {"/etc/shmd", "/etc/shmd/shmd.conf", "/etc/shmd/segments.d",
                                        "/etc/shmd/segments.d/a.json"};
    struct doctor_facts f = facts_of_a_good_machine();
    f.daemon.uid = geteuid();
    doctor_facts_read(root, &f);
    assert_finding(&f, "config-files", SEVERITY_OK, "nobody else");
    plant("/etc/shmd/shmd.conf", "");
    plant("/etc/shmd/segments.d/a.json", "");
    plant("/etc/shmd/segments.d/README", "");
    allow("/etc/shmd/shmd.conf", 0664); /* a group is chosen */
    allow("/etc/shmd/segments.d/a.json", 0644);
    allow("/etc/shmd/segments.d/README", 0666); /* it is not read */
    doctor_facts_read(root, &f);
    assert_finding(&f, "config-files", SEVERITY_OK, "nobody else");
    for (size_t i = 0; i < COUNT(paths); i++) {
        const bool is_directory = i % 2 == 0;
        char *want =
            text_of("every user can write %s, mode %s", paths[i], is_directory ? "0777" : "0666");
        allow(paths[i], is_directory ? 0777 : 0666);
        doctor_facts_read(root, &f);
        assert_finding(&f, "config-files", SEVERITY_WARNING, want);
        assert_contains(check(&f, "config-files")->mend, paths[i]);
        allow(paths[i], is_directory ? 01777 : 0644);
        free(want);
    }
    doctor_facts_read(root, &f);
    assert_finding(&f, "config-files", SEVERITY_OK, "nobody else");
    allow("/etc/shmd/shmd.conf", 0666);
    allow("/etc/shmd/segments.d/a.json", 0666);
    doctor_facts_read(root, &f);
    assert_finding(&f, "config-files", SEVERITY_WARNING,
                   "shmd.conf, mode 0666, and 1 more like it");
}

TEST(a_strangers_configuration_is_told)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.declared = (struct declared_facts){
        .n_loose = 1, .loose = {.path = "/etc/shmd/it's", .uid = 1000, .is_strangers = true}};
    assert_finding(&f, "config-files", SEVERITY_WARNING,
                   "is uid 1000's, not root's or the daemon's");
    assert_contains(check(&f, "config-files")->mend, "chown root $'/etc/shmd/it\\'s'");
}

/* --- declared segments */

TEST(declared_segments_need_the_service_at_boot)
{
    struct doctor_facts f = facts_of_a_good_machine();
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_OK, "no segments are declared");
    plant("/etc/shmd/segments.d/.a.json", "");
    plant("/etc/shmd/segments.d/README", "");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_OK, "no segments are declared");
    plant("/etc/shmd/segments.d/a.json", "");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_INFO, "systemd does not run here");
    plant("/run/systemd/system/", "");
    /* With the socket alone. */
    plant_link("/etc/systemd/system/sockets.target.wants/shmd.socket", "/nonexistent");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_WARNING,
                   "1 file in /etc/shmd/segments.d, but shmd.service is not enabled");
    assert_contains(check(&f, "declared-at-boot")->why, "until somebody sends one");
    assert_string_equal(check(&f, "declared-at-boot")->mend,
                        "as root: systemctl enable --now shmd.service");
    plant_link("/etc/systemd/system/multi-user.target.wants/shmd.service", "/nonexistent");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_OK, "shmd.service starts at boot");
}

TEST(declared_segments_may_be_elsewhere)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant("/run/systemd/system/", "");
    plant("/etc/shmd/segments.d/a.json", "");
    plant("/srv/declared/a.json", "");
    plant("/srv/declared/b.json", "");
    plant("/etc/shmd/shmd.conf", "# segments_dir = /nowhere\nsegments_dirs = /x\n"
                                 "  segments_dir\t= /srv/declared \r\nmax_bytes = 1G\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_WARNING, "2 files in /srv/declared");
    plant_link("/usr/lib/systemd/system/local.target.requires/shmd.service", "../shmd.service");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-at-boot", SEVERITY_OK, "/srv/declared");
}

TEST(what_is_wrong_with_a_declaration_is_told)
{
    static const struct {
        const char *text, *found;
    } bad[] = {
        {"{\"name\": \"a\", \"size\": ", "/etc/shmd/segments.d/b.json: "},
        {"{\"name\": \"no blanks\", \"size\": 1}", "name"},
        {"{\"name\": \"a\", \"size\": 1, \"colour\": 1}", "colour"},
        {"{\"size\": 1}", "neither a name nor a key"},
        {"{\"name\": \"a\", \"size\": 1, \"lifetime\": \"process\"}", "is not persistent"},
        {"{\"name\": \"a\", \"size\": 1, \"ready\": false}", "ready false"},
        {"[{\"name\": \"a\", \"size\": 1}, 7, {\"name\": 7}]", "1 more are wrong"},
    };
    struct doctor_facts f = facts_of_a_good_machine();
    plant("/etc/shmd/segments.d/a.json", "[{\"name\": \"a\", \"size\": 1}]");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-files", SEVERITY_OK, "as they have to be");
    strcpy(f.options, "--user ");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        plant("/etc/shmd/segments.d/b.json", bad[i].text);
        doctor_facts_read(root, &f);
        assert_finding(&f, "declared-files", SEVERITY_WARNING, bad[i].found);
    }
    assert_contains(check(&f, "declared-files")->mend, "shmd --check-config");
    assert_contains(check(&f, "declared-files")->mend, "shmdctl --user reload");
    plant("/etc/shmd/segments.d/b.json", "{\"name\": \"b\", \"size\": 1}");
    plant("/etc/shmd/segments.d/c.json/d", ""); /* a directory */
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-files", SEVERITY_WARNING, "c.json: it is not a file");
    f.declared.n_invalid = 0;
    f.declared.n_unreadable = 1;
    assert_finding(&f, "declared-files", SEVERITY_INFO, "you may not read 1 of the 3 files");
}

/* Others may be able to put files there, and doctor is often root's: what is no file is looked at
 * and never opened, and none is read without an end. */
TEST(what_is_no_file_is_not_opened)
{
    struct doctor_facts f = facts_of_a_good_machine();
    char *text = text_of("%1048576s\nsegments_dir = /srv/declared\n", "");
    char *fifo = text_of("%s/etc/shmd/segments.d/a.json", root);
    char event[sizeof(struct inotify_event)];
    plant("/srv/declared/a.json", "");
    plant("/etc/shmd/shmd.conf", text);
    plant("/etc/shmd/segments.d/", "");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(watch >= 0 && inotify_add_watch(watch, fifo, IN_OPEN) >= 0);
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-files", SEVERITY_WARNING, "segments.d/a.json: it is not a file");
    assert_int_equal(read(watch, event, sizeof(event)), -1);
    assert_int_equal(errno, EAGAIN);
    close(watch);
    free(fifo);
    free(text);
}

TEST(declared_segments_may_be_missing)
{
    struct doctor_facts f = facts_of_a_good_machine();
    char a[] = "a", b[] = "b";
    struct declared_name there[] = {{a, 0}, {b, 0}, {NULL, 0x77}};
    f.drift.all = (struct declared_list){.rows = there, .count = 3};
    f.is_shown_all = true;
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-missing", SEVERITY_OK, "no segments are declared");
    plant("/etc/shmd/segments.d/a.json",
          "[{\"name\": \"a\", \"size\": 1}, {\"key\": 119, \"size\": 1}]");
    plant("/etc/shmd/segments.d/b.json", "{\"name\": \"b\", \"key\": 1, \"size\": 1}");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-missing", SEVERITY_OK, "every declared segment exists");
    there[0].key = 1; /* a's, and not b's: but the names count */
    f.drift.all.count = 1;
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-missing", SEVERITY_WARNING,
                   "2 declared segments are missing: key 0x00000077, b");
    assert_contains(check(&f, "declared-missing")->mend, "reload");
    f.is_shown_all = false;
    assert_finding(&f, "declared-missing", SEVERITY_INFO, "only root and the daemon's user are");
    f.is_shown_all = true;
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "declared-missing", SEVERITY_INFO, "not checked");
}

/* TEXT's blanks become NULs, as between words of a command line. */
static void plant_words(const char *path, const char *text)
{
    char *full = text_of("%s%s", root, path), *words = text_of("%s ", text);
    size_t len = strlen(words);
    for (char *at = words; (at = strchr(at, ' ')); at++)
        *at = '\0';
    make_parents(full);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(words, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(words);
    free(full);
}

static struct doctor_facts facts_of_a_daemon_of(const char *line, enum config_state guess)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.config.state = guess;
    plant_words("/proc/4711/cmdline", line);
    doctor_facts_read(root, &f);
    return f;
}

TEST(the_files_are_those_that_the_daemon_reads)
{
    static const char *const checks[] = {"config-files", "declared-at-boot", "declared-files",
                                         "declared-missing"};
    static const char *const none[] = {"shmd --socket /x/shmd.sock", "shmd --state-dir=/x",
                                       "shmd --log-level --config --st /x"};
    static const struct {
        const char *line, *file;
    } named[] = {
        {"shmd --config /srv/x/own.conf --socket /x/shmd.sock", "/srv/x/own.conf"},
        {"valgrind -q shmd --socket=/x/shmd.sock --config=/srv/x/own.conf", "/srv/x/own.conf"},
        {"shmd --conf own.conf", "/srv/x/own.conf"},
        {"shmd --socket-mode 0600 --log-level debug", "/etc/shmd/shmd.conf"},
    };
    struct doctor_facts f;
    plant_process("", "0000000000000000", "unlimited");
    plant("/etc/shmd/segments.d/a.json", "{");
    plant("/srv/x/segments.d/a.json", "[{\"name\": \"a\", \"size\": 1}]");
    plant_link("/proc/4711/cwd", "/srv/x");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        f = facts_of_a_daemon_of(none[i], CONFIG_KNOWN);
        for (size_t j = 0; j < sizeof(checks) / sizeof(checks[0]); j++)
            assert_finding(&f, checks[j], SEVERITY_OK, "this daemon reads no configuration");
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        f = facts_of_a_daemon_of(named[i].line, CONFIG_UNKNOWN);
        assert_int_equal(f.config.state, CONFIG_KNOWN);
        assert_string_equal(f.config.file, named[i].file);
        assert_int_equal(f.config.is_systems, i == 3);
    }
    assert_finding(&f, "declared-files", SEVERITY_WARNING, "/etc/shmd/segments.d/a.json");
    f = facts_of_a_daemon_of(named[0].line, CONFIG_UNKNOWN);
    f.is_shown_all = true;
    if (geteuid() == 0) /* whose the planted files are */
        assert_finding(&f, "config-files", SEVERITY_OK, "reads in /srv/x");
    else
        assert_finding(&f, "config-files", SEVERITY_WARNING, "/srv/x is uid");
    assert_finding(&f, "declared-at-boot", SEVERITY_INFO, "1 file in /srv/x/segments.d");
    assert_finding(&f, "declared-files", SEVERITY_OK, "as they have to be");
    assert_finding(&f, "declared-missing", SEVERITY_WARNING, "1 declared segment is missing: a");
    assert_null(strstr(check(&f, "declared-missing")->mend, "journalctl"));
    plant("/srv/x/segments.d/b.json", "{");
    f = facts_of_a_daemon_of(named[0].line, CONFIG_UNKNOWN);
    assert_finding(&f, "declared-files", SEVERITY_WARNING, "/srv/x/segments.d/b.json");
    assert_contains(check(&f, "declared-files")->mend,
                    "shmd --config /srv/x/own.conf --check-conf");
}

TEST(a_daemon_whose_process_is_not_seen_may_read_any_files)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.config.state = CONFIG_UNKNOWN;
    plant("/etc/shmd/segments.d/a.json", "{");
    doctor_facts_read(root, &f);
    assert_finding(&f, "declared-files", SEVERITY_INFO, "not checked: it cannot be seen which");
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "declared-files", SEVERITY_INFO, "not checked: no daemon answers");
}

TEST(a_users_own_daemon_reads_the_users_files)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.daemon.uid = 1000;
    plant("/proc/4711/status", "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n");
    plant_words("/proc/4711/cmdline", "shmd");
    doctor_facts_read(root, &f);
    assert_int_equal(f.config.state, CONFIG_UNKNOWN);
    plant_words("/proc/4711/environ", "HOME=/users/alice XDG_CONFIG_HOMES=/x");
    doctor_facts_read(root, &f);
    assert_string_equal(f.config.file, "/users/alice/.config/shmd/shmd.conf");
    plant_words("/proc/4711/environ", "HOME=/users/alice XDG_CONFIG_HOME=/srv/alice");
    doctor_facts_read(root, &f);
    assert_string_equal(f.config.file, "/srv/alice/shmd/shmd.conf");
    plant_words("/proc/4711/environ", "HOME=alice");
    doctor_facts_read(root, &f);
    assert_int_equal(f.config.state, CONFIG_NONE);
}

TEST(declared_segments_may_differ_from_their_files)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "declared-drift", SEVERITY_OK, "no declared segment differs");
    strcpy(f.options, "--user ");
    f.drift.drifting = 1;
    strcpy(f.drift.first, "frames (mode,size)");
    assert_finding(&f, "declared-drift", SEVERITY_WARNING,
                   "1 of 2 declared segments differs from its file: frames (mode,size)");
    assert_contains(check(&f, "declared-drift")->mend, "shmdctl --user reload");
    f.drift.drifting = 2;
    assert_finding(&f, "declared-drift", SEVERITY_WARNING,
                   "2 of 2 declared segments differ from their files: ");
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "declared-drift", SEVERITY_INFO, "not checked");
}

/* --- logind.conf */

static bool remove_ipc(const char *source)
{
    struct logind_conf conf;
    logind_conf_read(root, &conf);
    assert_string_equal(conf.source, source);
    return conf.remove_ipc;
}

TEST(logind_by_default)
{
    assert_true(remove_ipc(""));
    plant("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n;RemoveIPC=no\n");
    assert_true(remove_ipc(""));
}

TEST(logind_main_file)
{
    plant("/usr/lib/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
    assert_false(remove_ipc("/usr/lib/systemd/logind.conf"));
    /* Only the first that is found is read, whatever it says. */
    plant("/run/systemd/logind.conf", "[Login]\n");
    assert_true(remove_ipc(""));
    plant("/etc/systemd/logind.conf", "[Login]\nKillUserProcesses=no\nRemoveIPC = off \n");
    assert_false(remove_ipc("/etc/systemd/logind.conf"));
}

TEST(logind_drop_ins)
{
    plant("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=yes\n");
    plant("/usr/lib/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=no\n");
    assert_false(remove_ipc("/usr/lib/systemd/logind.conf.d/50-a.conf"));
    /* The name counts, not the directory. */
    plant("/etc/systemd/logind.conf.d/40-b.conf", "[Login]\nRemoveIPC=yes\n");
    assert_false(remove_ipc("/usr/lib/systemd/logind.conf.d/50-a.conf"));
    plant("/run/systemd/logind.conf.d/60-c.conf", "[Login]\nRemoveIPC=yes\n");
    assert_true(remove_ipc("/run/systemd/logind.conf.d/60-c.conf"));
    /* One of the same name in a directory that comes first hides it. */
    plant("/etc/systemd/logind.conf.d/60-c.conf", "[Login]\n");
    assert_false(remove_ipc("/usr/lib/systemd/logind.conf.d/50-a.conf"));
    plant_link("/etc/systemd/logind.conf.d/50-a.conf", "/dev/null");
    assert_true(remove_ipc("/etc/systemd/logind.conf.d/40-b.conf"));
    /* Others than *.conf are none. */
    plant("/etc/systemd/logind.conf.d/99-z.conf.bak", "[Login]\nRemoveIPC=no\n");
    plant("/etc/systemd/logind.conf.d/.conf", "[Login]\nRemoveIPC=no\n");
    assert_true(remove_ipc("/etc/systemd/logind.conf.d/40-b.conf"));
}

TEST(logind_syntax)
{
    static const char path[] = "/etc/systemd/logind.conf";
    static const struct {
        const char *text;
        bool removes, said;
    } files[] = {
        {"[Login]\nRemoveIPC=no", false, true},
        {"[Login]\r\nRemoveIPC=no\r\n", false, true},
        {"[Login]\n  RemoveIPC\t=\tFALSE  \n", false, true},
        {"[Login]\nRemoveIPC=0\n", false, true},
        {"[Login]\nRemoveIPC=f\n", false, true},
        {"[Login]\nRemoveIPC=no\nRemoveIPC=y\n", true, true},
        {"[Login]\nRemoveIPC=no\nRemoveIPC=maybe\n", false, true}, /* passed over */
        {"[Login]\nRemoveIPC=no\nRemoveIPC=\n", false, true},
        {"RemoveIPC=no\n", true, false},
        {"[Other]\nRemoveIPC=no\n", true, false},
        {"[Login]\n[Other]\nRemoveIPC=no\n[Login]\nRemoveIPC=n\n", false, true},
        {"[login]\nRemoveIPC=no\n", true, false},
        {"[Login]\nremoveipc=no\n", true, false},
        {"[Login]\nRemoveIPCs=no\n", true, false},
        {"[Login]\nRemoveIPC no\n", true, false},
        {"[Login]\nA=b \\\nRemoveIPC=no\n", true, false}, /* a part of A's value */
        {"[Login]\nRemoveIPC= \\\n no\n", false, true},
        {"[Login]\n# as \\\nRemoveIPC=no\n", false, true}, /* comments do not go on */
        {"[Login]\nRemoveIPC=no\\", true, false},
        {"", true, false},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        plant(path, files[i].text);
        if (remove_ipc(files[i].said ? path : "") != files[i].removes)
            fail_msg("misread: %s", files[i].text);
    }
}

/* --- logind's check */

TEST(logind_does_not_run)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    add_segment(&f, 1000, 4096);
    plant("/run/systemd/seats/", ""); /* left behind where systemd is not the init */
    doctor_facts_read(root, &f);
    assert_finding(&f, "logind-remove-ipc", SEVERITY_OK, "does not run");
}

TEST(logind_hits_users)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    plant_logind();
    add_segment(&f, 1000, 4096);
    add_segment(&f, 1000, 8192);
    add_segment(&f, 1001, 1);
    add_segment(&f, 4242, 2048);
    add_segment(&f, 0, 1);
    add_segment(&f, 999, 1);
    plant("/var/lib/systemd/linger/bob", "");
    doctor_facts_read(root, &f);
    assert_finding(&f, "logind-remove-ipc", SEVERITY_WARNING, "alice (2, 12K), 4242 (1, 2K)");
    assert_null(strstr(check(&f, "logind-remove-ipc")->found, "bob"));
    assert_null(strstr(check(&f, "logind-remove-ipc")->found, "root"));
    assert_null(strstr(check(&f, "logind-remove-ipc")->found, "999"));
    assert_contains(check(&f, "logind-remove-ipc")->found, "the default");
    assert_contains(check(&f, "logind-remove-ipc")->mend, "RemoveIPC=no");
    assert_contains(check(&f, "logind-remove-ipc")->mend, "enable-linger");
    /* What logind really does: not to attached segments, and not to segments alone. */
    assert_contains(check(&f, "logind-remove-ipc")->why, "nobody has attached");
    assert_contains(check(&f, "logind-remove-ipc")->why, "semaphores");
    assert_contains(check(&f, "logind-remove-ipc")->why, "/dev/shm");
}

TEST(logind_hits_nobody_yet)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    plant_logind();
    plant("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=yes\n");
    plant("/var/lib/systemd/linger/alice", "");
    add_segment(&f, 1000, 4096);
    add_segment(&f, DAEMON_UID, 4096);
    doctor_facts_read(root, &f);
    assert_finding(&f, "logind-remove-ipc", SEVERITY_INFO, "/etc/systemd/logind.conf");
}

TEST(logind_removes_nothing)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    plant_logind();
    plant("/etc/systemd/logind.conf.d/shmd.conf", "[Login]\nRemoveIPC=no\n");
    add_segment(&f, 1000, 4096);
    doctor_facts_read(root, &f);
    assert_finding(&f, "logind-remove-ipc", SEVERITY_OK, "logind.conf.d/shmd.conf");
}

TEST(logind_hits_more_than_there_is_room_for)
{
    struct doctor_facts f = facts_of_a_good_machine();
    struct kernel_segment many[HIT_USERS_MAX + 1];
    memset(many, 0, sizeof(many));
    for (size_t i = 0; i < COUNT(many); i++)
        many[i].uid = 1000000 + (uint32_t)i;
    f.segments = (struct kernel_segments){.rows = many, .count = COUNT(many)};
    plant_logind();
    doctor_facts_read(root, &f);
    assert_finding(&f, "logind-remove-ipc", SEVERITY_WARNING, "1000000 (1, 0B), 1000001");
    assert_contains(check(&f, "logind-remove-ipc")->found, "...");
    /* All of them linger but one that was not looked at any more. */
    for (size_t i = 0; i < f.logind.n_users; i++)
        f.logind.users[i].lingers = true;
    assert_int_equal(check(&f, "logind-remove-ipc")->severity, SEVERITY_WARNING);
}

/* --- the kernel's settings */

TEST(rmid_forced)
{
    struct doctor_facts f = facts_of_a_good_machine();
    doctor_facts_read(root, &f);
    assert_finding(&f, "shm-rmid-forced", SEVERITY_INFO, "cannot be read");
    plant("/proc/sys/kernel/shm_rmid_forced", "1\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "shm-rmid-forced", SEVERITY_WARNING, "is 1");
    plant("/proc/sys/kernel/shm_rmid_forced", "0\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "shm-rmid-forced", SEVERITY_OK, "is 0");
}

TEST(limits)
{
    static const struct {
        uint64_t used, max;
        enum severity severity;
    } cases[] = {
        {0, 4096, SEVERITY_OK},
        {79, 100, SEVERITY_OK},
        {80, 100, SEVERITY_WARNING},
        {94, 100, SEVERITY_WARNING},
        {95, 100, SEVERITY_ERROR},
        {100, 100, SEVERITY_ERROR},
        {120, 100, SEVERITY_ERROR}, /* the limit was lowered */
        {0, 0, SEVERITY_ERROR},
        {1, UINT64_MAX, SEVERITY_OK},
        {INT64_MAX / 100 * 81, INT64_MAX, SEVERITY_WARNING},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct doctor_facts f = facts_of_a_good_machine();
        f.limits.segments = cases[i].used;
        f.limits.shmmni = cases[i].max;
        assert_finding(&f, "shmmni", cases[i].severity, "kernel.shmmni");
        assert_finding(&f, "shmall", SEVERITY_OK, "kernel.shmall");
        f = facts_of_a_good_machine();
        f.limits.pages = cases[i].used;
        f.limits.shmall = cases[i].max;
        assert_finding(&f, "shmall", cases[i].severity, "kernel.shmall");
        assert_finding(&f, "shmmni", SEVERITY_OK, "kernel.shmmni");
    }
}

TEST(the_largest_segment)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.limits.shmmax = 100 << 10;
    add_segment(&f, 0, 1);
    add_segment(&f, 0, 79 << 10);
    add_segment(&f, 0, 2);
    assert_finding(&f, "shmmax", SEVERITY_OK, "79K of 100K");
    add_segment(&f, 0, 80 << 10);
    assert_finding(&f, "shmmax", SEVERITY_WARNING, "80K of 100K");
    add_segment(&f, 0, 100 << 10);
    assert_finding(&f, "shmmax", SEVERITY_WARNING, "100 %");
    f.limits.shmmax = 5000; /* lowered since */
    assert_finding(&f, "shmmax", SEVERITY_WARNING, "100K of 4.9K (kernel.shmmax), 2048 %");
}

TEST(kernel_features)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.pidfd = f.peerpidfd = f.pidfs = f.stat_any = FEATURE_MISSING;
    assert_finding(&f, "pidfd", SEVERITY_ERROR, "does not work");
    assert_finding(&f, "peerpidfd", SEVERITY_INFO, "does not work");
    assert_finding(&f, "pidfs", SEVERITY_INFO, "no inode");
    assert_finding(&f, "shm-stat-any", SEVERITY_ERROR, "does not work");
    assert_finding(&f, "orphans", SEVERITY_INFO, "not checked");
    f.stat_any = FEATURE_UNKNOWN;
    assert_finding(&f, "shm-stat-any", SEVERITY_INFO, "could not be tried");
}

static void plant_class(struct doctor_facts *f, enum gc_class class, uint64_t segments,
                        uint64_t removable)
{
    f->classes[class] =
        (struct gc_facts){.segments = segments, .bytes = 3 << 20, .removable = removable};
    for (int i = 0; i < GC_IDS_MAX; i++)
        f->classes[class].ids[i] = 10 + i;
}

TEST(leaked_segments)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "orphans", SEVERITY_OK, "no leaked segments");
    plant_class(&f, GC_LEAKED, 1, 1);
    assert_finding(&f, "orphans", SEVERITY_WARNING, "1 segment, 3M");
    assert_string_equal(check(&f, "orphans")->mend, "shmdctl gc --remove");
    plant_class(&f, GC_LEAKED, 2, 2);
    strcpy(f.options, "--socket /tmp/x ");
    assert_finding(&f, "orphans", SEVERITY_WARNING, "2 segments, 3M");
    assert_string_equal(check(&f, "orphans")->mend, "shmdctl --socket /tmp/x gc --remove");
    /* The caller could not remove all of them. */
    plant_class(&f, GC_LEAKED, 2, 1);
    assert_string_equal(check(&f, "orphans")->mend, "as root: shmdctl gc --remove");
}

TEST(segments_that_no_command_is_proposed_for)
{
    static const struct {
        enum gc_class class;
        const char *id;
        enum severity severity;
    } cases[] = {{GC_LEFT, "left", SEVERITY_INFO},
                 {GC_UNDECIDED, "undecided", SEVERITY_INFO},
                 {GC_LOST, "lost", SEVERITY_WARNING}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct doctor_facts f = facts_of_a_good_machine();
        assert_int_equal(check(&f, cases[i].id)->severity, SEVERITY_OK);
        plant_class(&f, cases[i].class, 2, 2);
        assert_finding(&f, cases[i].id, cases[i].severity, "2 segments, 3M");
        for (size_t k = 0; k < findings.count; k++)
            assert_null(strstr(findings.rows[k].mend, "--remove"));
        assert_int_equal(check(&f, "orphans")->severity, SEVERITY_OK);
    }
}

TEST(lost_segments)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_class(&f, GC_LOST, 1, 0);
    assert_contains(check(&f, "lost")->mend, "shmdctl adopt --shmid 10 (by its owner or root)");
    assert_null(strstr(check(&f, "lost")->mend, "others"));
    plant_class(&f, GC_LOST, 3, 0);
    assert_contains(check(&f, "lost")->mend, "the others are 11, 12");
    plant_class(&f, GC_LOST, 9, 0);
    assert_contains(check(&f, "lost")->mend, "16, 17 and so on");
}

TEST(pid_namespaces)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "pid-namespace", SEVERITY_INFO, "we cannot tell"); /* no /proc/PID */
    plant_process("", "0000000000000000", "8388608");
    doctor_facts_read(root, &f);
    assert_finding(&f, "pid-namespace", SEVERITY_OK, "share a pid namespace");
    /* In a namespace below this one. */
    plant("/proc/4711/status", "Uid:\t120\t120\t120\t120\nGid:\t130\t130\t130\t130\n"
                               "NSpid:\t4711\t1\n");
    f.daemon.pid_namespace = NAMESPACE_UNKNOWN;
    doctor_facts_read(root, &f);
    assert_finding(&f, "pid-namespace", SEVERITY_INFO, "in another pid namespace");
    /* The pid is somebody else's here. */
    plant("/proc/4711/status", "Uid:\t0\t0\t0\t0\nNSpid:\t4711\n");
    f.daemon.pid_namespace = NAMESPACE_UNKNOWN;
    doctor_facts_read(root, &f);
    assert_finding(&f, "pid-namespace", SEVERITY_INFO, "in another pid namespace");
    /* The socket said so before. */
    plant_process("", "0000000000000000", "8388608");
    f.daemon.pid_namespace = NAMESPACE_DIFFERS;
    doctor_facts_read(root, &f);
    assert_finding(&f, "pid-namespace", SEVERITY_INFO, "in another pid namespace");
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "pid-namespace", SEVERITY_INFO, "not checked");
}

TEST(a_store_that_fails)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "store", SEVERITY_OK, "can record");
    f.daemon.store_failure = "No space left on device";
    assert_finding(&f, "store", SEVERITY_ERROR, "No space left on device");
    assert_contains(check(&f, "store")->mend, "make room");
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "store", SEVERITY_INFO, "not checked");
}

TEST(quotas)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "quota", SEVERITY_OK, "no quota");
    f.daemon.n_quotas = 2;
    f.daemon.quotas[0] = (struct quota_use){"max_segments_per_uid", 79, 100};
    f.daemon.quotas[1] = (struct quota_use){"max_bytes_per_uid", 1, 100};
    assert_finding(&f, "quota", SEVERITY_OK, "79 of 100 (max_segments_per_uid), 79 %");
    f.daemon.quotas[1].used = 80;
    assert_finding(&f, "quota", SEVERITY_WARNING, "80 of 100 (max_bytes_per_uid), 80 %");
    f.daemon.quotas[0].used = 100;
    assert_finding(&f, "quota", SEVERITY_WARNING, "100 of 100 (max_segments_per_uid), 100 %");
    assert_contains(check(&f, "quota")->mend, "remove segments");
    assert_contains(check(&f, "quota")->mend, "raise max_segments_per_uid");
    f.daemon.quotas[0] = (struct quota_use){"max_waiters", 99, 100};
    assert_finding(&f, "quota", SEVERITY_WARNING, "all users together use 99 of 100 (max_waiters)");
    assert_contains(check(&f, "quota")->mend, "raise max_waiters");
}

TEST(a_shmmax_smaller_than_a_tenth_of_memory)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.memory = 1000 << 20;
    f.limits.shmmax = 100 << 20;
    assert_finding(&f, "shmmax", SEVERITY_OK, "100M");
    f.limits.shmmax--;
    assert_finding(&f, "shmmax", SEVERITY_WARNING, "this machine has 1000M of memory");
    assert_contains(check(&f, "shmmax")->mend, "kernel.shmmax=1048576000");
    f.memory = 0; /* not known */
    assert_finding(&f, "shmmax", SEVERITY_OK, "100M");
}

TEST(limits_that_are_none)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.memory = INT64_MAX;
    f.limits.shmmax = UINT64_MAX - (1 << 24); /* as Linux has them */
    f.limits.shmall = UINT64_MAX - (1 << 24);
    assert_finding(&f, "shmmax", SEVERITY_OK, "kernel.shmmax is none");
    assert_finding(&f, "shmall", SEVERITY_OK, "kernel.shmall is none");
}

TEST(semaphores_and_queues)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "semaphores", SEVERITY_INFO, "not checked");
    assert_finding(&f, "message-queues", SEVERITY_INFO, "not checked");
    plant("/proc/sys/kernel/sem", "32000\t20\t500\t10\n");
    plant("/proc/sys/kernel/msgmni", "2\n");
    plant("/proc/sysvipc/sem", "       key      semid perms      nsems   uid   gid\n"
                               "         0          0   600          9     0     0\n"
                               "         7      32769   600          6     0     0\n");
    plant("/proc/sysvipc/msg", "       key      msqid perms      cbytes\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "semaphores", SEVERITY_OK, "2 of 10 sets and 15 of 20 semaphores");
    assert_finding(&f, "message-queues", SEVERITY_OK, "0 of 2 message queues");
    plant("/proc/sys/kernel/sem", "32000\t15\t500\t10\n");
    plant("/proc/sysvipc/msg", "       key      msqid perms      cbytes\n"
                               "         0          0   600           0\n"
                               "         0      32768   600           0\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "semaphores", SEVERITY_ERROR, "15 of 15 semaphores (kernel.sem), 100 %");
    assert_finding(&f, "message-queues", SEVERITY_ERROR, "2 of 2 message queues");
    plant("/proc/sys/kernel/sem", "32000\t2000\t500\t2\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "semaphores", SEVERITY_ERROR, "2 of 2 sets");
}

TEST(huge_pages_that_are_reserved)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
    plant("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n");
    plant("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "2\n");
    doctor_facts_read(root, &f);
    assert_contains(check(&f, "huge-pages")->found, "1 of 4 free");
}

/* --- huge pages and locked memory */

static void plant_pool(const char *size, const char *pages, const char *free_pages)
{
    char *path = text_of("/sys/kernel/mm/hugepages/hugepages-%skB/", size);
    char *nr = text_of("%snr_hugepages", path), *left = text_of("%sfree_hugepages", path);
    plant(nr, pages);
    plant(left, free_pages);
    free(path);
    free(nr);
    free(left);
}

static struct doctor_facts facts_read(void)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    doctor_facts_read(root, &f);
    return f;
}

TEST(huge_pages_nobody_has_set_aside)
{
    struct doctor_facts f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_INFO, "no huge pages");
    plant_pool("2048", "0\n", "0\n");
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_INFO, "no huge pages");
}

TEST(what_a_daemon_needs_for_huge_pages)
{
    static const char pages[] = "as root: sysctl -w vm.nr_hugepages=N sets N of them aside";
    plant("/proc/sys/vm/hugetlb_shm_group", "0\n");
    struct doctor_facts f = facts_read();
    assert_contains(check(&f, "huge-pages")->mend, "vm.hugetlb_shm_group=GID, with the daemon's");
    plant_process("", "0", "8388608");
    f = facts_read();
    assert_contains(check(&f, "huge-pages")->mend, pages);
    assert_contains(check(&f, "huge-pages")->mend, "vm.hugetlb_shm_group=130 lets the daemon");
    plant("/proc/sys/vm/hugetlb_shm_group", "130\n");
    f = facts_read();
    assert_string_equal(check(&f, "huge-pages")->mend, pages);
    plant("/proc/sys/vm/hugetlb_shm_group", "0\n");
    plant_process("", "0000000000004000", "8388608"); /* CAP_IPC_LOCK, as root has it */
    f = facts_read();
    assert_string_equal(check(&f, "huge-pages")->mend, pages);
    f.daemon.has_proc = false;
    f.daemon.uid = 0;
    assert_string_equal(check(&f, "huge-pages")->mend, pages);
    f.is_root = true;
    assert_string_equal(check(&f, "huge-pages")->mend, pages + strlen("as root: "));
}

TEST(huge_pages_for_the_daemon)
{
    plant_pool("2048", "10\n", "7\n");
    plant("/proc/sys/vm/hugetlb_shm_group", "130\n");
    struct doctor_facts f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_INFO, "we cannot tell"); /* no /proc/PID */
    plant_process("", "0", "8388608");
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_OK, "7 of 10 free (2M)");
    plant("/proc/sys/vm/hugetlb_shm_group", "0\n");
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_WARNING, "hugetlb_shm_group is 0");
    assert_contains(check(&f, "huge-pages")->mend, "vm.hugetlb_shm_group=130");
    plant_process("5 77 130", "0", "8388608");
    plant("/proc/sys/vm/hugetlb_shm_group", "77\n");
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_OK, "may use them");
    plant("/proc/sys/vm/hugetlb_shm_group", "78\n");
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_WARNING, "is 78");
    plant_process("", "0000000000004000", "8388608"); /* CAP_IPC_LOCK */
    f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_OK, "may use them");
}

TEST(huge_pages_on_demand)
{
    plant_pool("1048576", "0\n", "0\n");
    plant("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_overcommit_hugepages", "5\n");
    plant("/sys/kernel/mm/hugepages/hugepages-1048576kB/surplus_hugepages", "2\n");
    plant("/proc/sys/vm/hugetlb_shm_group", "130\n");
    plant_process("", "0", "8388608");
    struct doctor_facts f = facts_read();
    assert_finding(&f, "huge-pages", SEVERITY_OK, "3 of 3 free (1G)");
}

TEST(locked_memory)
{
    struct doctor_facts f = facts_of_a_good_machine();
    f.memlock = 64 << 10;
    assert_finding(&f, "memlock", SEVERITY_INFO, "this process's limit is 64K");
    plant_process("", "0", "unlimited");
    f = facts_read();
    assert_finding(&f, "memlock", SEVERITY_OK, "any amount");
    plant_process("", "0000000000004000", "8388608");
    f = facts_read();
    assert_finding(&f, "memlock", SEVERITY_OK, "any amount");
    plant_process("", "0", "8388608");
    f = facts_read();
    assert_finding(&f, "memlock", SEVERITY_INFO, "0B of 8M");
    /* A foreign one, one that is not locked, and one of ours that was handed to a user. */
    add_segment(&f, DAEMON_UID, 8 << 20)->locked = true;
    add_segment(&f, 1000, 8 << 20)->cuid = DAEMON_UID;
    struct kernel_segment *ours = add_segment(&f, 1000, 7 << 20);
    ours->cuid = DAEMON_UID;
    ours->locked = true;
    assert_finding(&f, "memlock", SEVERITY_WARNING, "7M of 8M");
    ours->size = 8 << 20;
    assert_finding(&f, "memlock", SEVERITY_ERROR, "8M of 8M");
    plant_process("", "0", "0");
    f = facts_read();
    assert_finding(&f, "memlock", SEVERITY_INFO, "0B of 0B");
}

/* --- the daemon */

TEST(namespaces)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "ipc-namespace", SEVERITY_OK, "7");
    f.daemon.ipc_namespace = 8;
    assert_finding(&f, "ipc-namespace", SEVERITY_ERROR, "8");
    without_daemon(&f, -ENOENT, "nothing is there");
    assert_finding(&f, "ipc-namespace", SEVERITY_INFO, "not checked");
}

TEST(a_group_of_its_own)
{
    struct doctor_facts f = facts_of_a_good_machine();
    plant_accounts();
    plant_process("", "0", "0");
    plant("/etc/group", "shmd:x:130:shmd\n"); /* the daemon itself may be told twice */
    doctor_facts_read(root, &f);
    assert_finding(&f, "group-members", SEVERITY_OK, "group shmd");
}

TEST(strangers_in_the_group)
{
    plant_accounts();
    plant_process("", "0", "0");
    plant("/etc/group", "alice:x:1000:bob\nshmd:x:130:shmd,bob,nobodyknown\n");
    plant("/etc/passwd", "shmd:x:120:130::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n"
                         "carol:x:1002:130::/:/bin/sh\n");
    struct doctor_facts f = facts_of_a_good_machine();
    doctor_facts_read(root, &f);
    assert_finding(&f, "group-members", SEVERITY_ERROR, ": bob, nobodyknown, carol");
    assert_int_equal(f.group.n_strangers, 3);
    assert_contains(check(&f, "group-members")->mend, "gpasswd -d USER shmd");
}

TEST(strangers_in_a_users_group)
{
    plant("/proc/4711/status", "Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\n");
    plant("/etc/group", "users:x:100:\n");
    plant("/etc/passwd", "alice:x:1000:100::/:/bin/sh\nbob:x:1001:100::/:/bin/sh\n");
    struct doctor_facts f = facts_of_a_good_machine();
    f.daemon.uid = 1000;
    doctor_facts_read(root, &f);
    assert_finding(&f, "group-members", SEVERITY_WARNING, "users has other members: bob");
}

TEST(the_group_without_a_daemon)
{
    struct doctor_facts f = facts_of_a_good_machine();
    without_daemon(&f, -ENOENT, "nothing is there");
    doctor_facts_read(root, &f);
    assert_finding(&f, "group-members", SEVERITY_INFO, "not checked");
    plant_accounts();
    plant("/etc/group", "shmd:x:130:alice\n");
    doctor_facts_read(root, &f);
    assert_finding(&f, "group-members", SEVERITY_ERROR, ": alice");
}

TEST(a_pid_that_is_somebody_elses)
{
    /* The daemon is in another pid namespace: its pid here is a process of another user. */
    plant("/proc/4711/status", "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\tffffffffffffffff\n");
    plant("/proc/4711/limits", "Max locked memory         unlimited  unlimited  bytes\n");
    struct doctor_facts f = facts_read();
    assert_false(f.daemon.has_proc);
    assert_finding(&f, "memlock", SEVERITY_INFO, "we cannot tell");
    assert_finding(&f, "group-members", SEVERITY_OK, "group shmd"); /* by the uid, then */
}

TEST(sockets)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "socket", SEVERITY_OK, "/run/shmd/shmd.sock, mode 0666");
    without_daemon(&f, -ECONNREFUSED, "nobody serves it");
    assert_finding(&f, "socket", SEVERITY_ERROR, "nobody serves it");
    assert_contains(check(&f, "socket")->mend, "systemctl start");
    without_daemon(&f, -EACCES, "the caller may not connect");
    f.socket.mode = 0600;
    assert_finding(&f, "socket", SEVERITY_ERROR, "may not connect");
    assert_contains(check(&f, "socket")->mend, "0600");
    f.socket.error = -EACCES;
    f.socket.is_socket = false;
    assert_contains(check(&f, "socket")->mend, "search");
    without_daemon(&f, -ETIMEDOUT, "it does not answer");
    f.daemon.state = DAEMON_SILENT;
    assert_finding(&f, "socket", SEVERITY_ERROR, "does not answer");
    assert_contains(check(&f, "socket")->mend, "journalctl");
    f.socket.error = 0;
    assert_finding(&f, "socket", SEVERITY_ERROR, "is no socket");
    f.socket.path = "";
    f.socket.error = -ENOENT;
    without_daemon(&f, -ENAMETOOLONG, "the path is too long");
    assert_finding(&f, "socket", SEVERITY_ERROR, "SHMD_SOCKET: the path is too long");
}

TEST(an_open_directory)
{
    struct doctor_facts f = facts_of_a_good_machine();
    assert_finding(&f, "socket-directory", SEVERITY_OK, "only its owner");
    f.socket.directory_is_open = true;
    assert_finding(&f, "socket-directory", SEVERITY_ERROR, "writable to everybody");
    f.socket.error = -ENOENT;
    assert_finding(&f, "socket-directory", SEVERITY_INFO, "not checked");
}

#define ON_A_TREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_TREE(a_good_machine),
        ON_A_TREE(an_empty_machine),
        cmocka_unit_test(the_worst_counts),
        ON_A_TREE(what_anybody_can_write_is_told),
        ON_A_TREE(a_strangers_configuration_is_told),
        ON_A_TREE(declared_segments_need_the_service_at_boot),
        ON_A_TREE(declared_segments_may_be_elsewhere),
        ON_A_TREE(what_is_wrong_with_a_declaration_is_told),
        ON_A_TREE(what_is_no_file_is_not_opened),
        ON_A_TREE(declared_segments_may_be_missing),
        ON_A_TREE(the_files_are_those_that_the_daemon_reads),
        ON_A_TREE(a_daemon_whose_process_is_not_seen_may_read_any_files),
        ON_A_TREE(a_users_own_daemon_reads_the_users_files),
        ON_A_TREE(declared_segments_may_differ_from_their_files),
        ON_A_TREE(logind_by_default),
        ON_A_TREE(logind_main_file),
        ON_A_TREE(logind_drop_ins),
        ON_A_TREE(logind_syntax),
        ON_A_TREE(logind_does_not_run),
        ON_A_TREE(logind_hits_users),
        ON_A_TREE(logind_hits_nobody_yet),
        ON_A_TREE(logind_removes_nothing),
        ON_A_TREE(logind_hits_more_than_there_is_room_for),
        ON_A_TREE(rmid_forced),
        cmocka_unit_test(limits),
        cmocka_unit_test(the_largest_segment),
        cmocka_unit_test(kernel_features),
        cmocka_unit_test(leaked_segments),
        cmocka_unit_test(segments_that_no_command_is_proposed_for),
        cmocka_unit_test(lost_segments),
        ON_A_TREE(pid_namespaces),
        cmocka_unit_test(a_store_that_fails),
        cmocka_unit_test(quotas),
        cmocka_unit_test(a_shmmax_smaller_than_a_tenth_of_memory),
        cmocka_unit_test(limits_that_are_none),
        ON_A_TREE(semaphores_and_queues),
        ON_A_TREE(huge_pages_that_are_reserved),
        ON_A_TREE(huge_pages_nobody_has_set_aside),
        ON_A_TREE(what_a_daemon_needs_for_huge_pages),
        ON_A_TREE(huge_pages_for_the_daemon),
        ON_A_TREE(huge_pages_on_demand),
        ON_A_TREE(locked_memory),
        cmocka_unit_test(namespaces),
        ON_A_TREE(a_group_of_its_own),
        ON_A_TREE(strangers_in_the_group),
        ON_A_TREE(strangers_in_a_users_group),
        ON_A_TREE(the_group_without_a_daemon),
        ON_A_TREE(a_pid_that_is_somebody_elses),
        cmocka_unit_test(sockets),
        cmocka_unit_test(an_open_directory),
    };
    return RUN_TESTS(tests);
}
