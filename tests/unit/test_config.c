/* SPDX-License-Identifier: MIT */
/*
 * A configuration is taken whole or refused with file, line, key and what would do. The limits are
 * those of the one table.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"

/* The groups and users of these tests, in place of the machine's. Linked with --wrap=getgrnam and
 * --wrap=getpwnam. */
struct group *__wrap_getgrnam(const char *name);

struct group *__wrap_getgrnam(const char *name)
{
    static struct group admins = {.gr_gid = 4711};
    if (strcmp(name, "unreachable") == 0)
        errno = EIO;
    return strcmp(name, "shm-admins") == 0 ? &admins : NULL;
}

struct passwd *__wrap_getpwnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name)
{
    static struct passwd root = {.pw_uid = 0};
    return strcmp(name, "root") == 0 ? &root : NULL;
}

static char path[64];

static int make_file(void **state)
{
    (void)state;
    strcpy(path, "/tmp/shmd-config-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Loads AT. Without errors: 0 and RET; else -EINVAL and a line for each error, as the log has it.
 */
static int load_file(const char *at, bool is_given, struct config *ret, char **ret_error)
{
    struct config_errors errors = {0};
    struct config config;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(config_load(at, is_given, &config, &errors), 0);
    assert_false(errors.out_of_memory);
    if (errors.count == 0) {
        *ret = config;
        return 0;
    }
    config_deinit(&config);
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    for (size_t i = 0; i < errors.count; i++) {
        char line[2048];
        config_error_text(&errors.items[i], line, sizeof(line));
        fprintf(to, "%s%s", i > 0 ? "\n" : "", line);
    }
    assert_int_equal(fclose(to), 0);
    config_errors_deinit(&errors);
    *ret_error = text;
    return -EINVAL;
}

static int load_bytes(const char *text, size_t len, struct config *ret, char **ret_error)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return load_file(path, true, ret, ret_error);
}

static void load_good(const char *text, struct config *ret)
{
    char *error = NULL;
    int r = load_bytes(text, strlen(text), ret, &error);
    if (r != 0)
        print_error("%s: %s\n", text, error);
    assert_int_equal(r, 0);
    assert_null(error);
}

/* TEXT is refused at LINE with a text that holds PART. */
static void check_bad_bytes(const char *text, size_t len, unsigned line, const char *part)
{
    struct config config;
    char *error = NULL;
    assert_int_equal(load_bytes(text, len, &config, &error), -EINVAL);
    assert_non_null(error);
    char *begin = text_of("%s:%u: ", path, line);
    if (strncmp(error, begin, strlen(begin)) != 0)
        print_error("%s\ndoes not begin with %s\n", error, begin);
    assert_int_equal(strncmp(error, begin, strlen(begin)), 0);
    assert_contains(error, part);
    assert_null(strchr(error, '\n'));
    free(begin);
    free(error);
}

static void check_bad(const char *text, unsigned line, const char *part)
{
    check_bad_bytes(text, strlen(text), line, part);
}

static const struct limits defaults = LIMITS_DEFAULT;

static void assert_defaults(const struct config *config)
{
#define X(name, def, min, max) assert_int_equal(config->limits.name, def);
    LIMITS(X)
#undef X
    assert_false(config->has_admin_group);
    assert_int_equal(config->attach_timeout_ms, 60000);
    assert_int_equal(config->reconcile_ms, 5000);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_null(config->segments_dir);
    assert_int_equal(config->segments_dir_line, 0);
}

TEST(without_a_file_the_defaults_hold)
{
    struct config config;
    char *error = NULL;
    assert_int_equal(load_file("/nonexistent/shmd.conf", false, &config, &error), 0);
    assert_defaults(&config);
    config_deinit(&config);
    assert_int_equal(load_file(NULL, false, &config, &error), 0);
    assert_defaults(&config);
    config_deinit(&config);
    assert_int_equal(load_file("/nonexistent/shmd.conf", true, &config, &error), -EINVAL);
    assert_string_equal(error, "/nonexistent/shmd.conf: cannot be read: No such file or directory");
    free(error);
    assert_int_equal(load_file("/dev/null/shmd.conf", false, &config, &error), -EINVAL);
    assert_string_equal(error, "/dev/null/shmd.conf: cannot be read: Not a directory");
    free(error);
    assert_int_equal(load_file("/tmp", false, &config, &error), -EINVAL);
    assert_string_equal(error, "/tmp:1: cannot be read: Is a directory");
    free(error);
    assert_non_null(strstr(config_system_path, "/shmd/shmd.conf"));
}

TEST(an_error_has_its_key)
{
    static const char text[] = "max_waiters = x\nmax_waiter = 1\nnonsense\nsegments_dir = here\n"
                               "admin_group = nobody here\nlog_level = \xFF\a\n";
    static const struct {
        unsigned line;
        const char *key, *message;
    } want[] = {
        {1, "max_waiters", "max_waiters \"x\": must be a whole number from 1 to 1000000"},
        {2, "max_waiter", NULL},
        {3, "", "must be KEY = VALUE, [shmd], [names] or a comment"},
        {4, "segments_dir", "segments_dir \"here\": must be a path that begins with /"},
        {5, "admin_group", NULL},
        {6, "log_level", "log_level \"??\": must be error, warning, notice, info or debug"},
    };
    struct config_errors errors = {0};
    struct config config;
    char *ignored = NULL;
    assert_int_equal(load_bytes(text, strlen(text), &config, &ignored), -EINVAL);
    free(ignored);
    assert_int_equal(config_load(path, true, &config, &errors), 0);
    assert_int_equal(config.limits.max_waiters, defaults.max_waiters);
    config_deinit(&config);
    assert_int_equal(errors.count, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_string_equal(errors.items[i].file, path);
        assert_int_equal(errors.items[i].line, want[i].line);
        assert_string_equal(errors.items[i].key, want[i].key);
        if (want[i].message)
            assert_string_equal(errors.items[i].message, want[i].message);
    }
    config_errors_deinit(&errors);
    assert_int_equal(errors.count, 0);
}

TEST(errors_are_printable_utf_8)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"a\nb\tc\x1B[0m\x7F", "a?b?c?[0m?"},
        {"\xC2\x9B", "??"},           /* a control character of C1 */
        {"\xE2\x80\xAE", "???"},      /* it turns the order of the line */
        {"\xC3", "?"},                /* half a character */
        {"\xE2\x82", "??"},           /* two thirds of one */
        {"\xC0\x80", "??"},           /* an overlong form */
        {"\xED\xA0\x80", "???"},      /* a surrogate */
        {"\xF4\x90\x80\x80", "????"}, /* beyond Unicode */
        {"\xFF\xFE", "??"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_errors errors = {0};
        config_errors_add(&errors, cases[i].before, 0, cases[i].before, "%s", cases[i].before);
        assert_int_equal(errors.count, 1);
        assert_string_equal(errors.items[0].file, cases[i].after);
        assert_string_equal(errors.items[0].key, cases[i].after);
        assert_string_equal(errors.items[0].message, cases[i].after);
        config_errors_deinit(&errors);
    }
}

TEST(what_says_nothing_changes_nothing)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "# one\n; two\n\t# three\n",
                                        "[shmd]\n",
                                        "\xEF\xBB\xBF# with a mark\n",
                                        "# no newline"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config config;
        load_good(texts[i], &config);
        assert_defaults(&config);
        config_deinit(&config);
    }
}

/* Each limit at its ends, and just beyond them. */
static void check_limit(const char *name, size_t offset, uint64_t min, uint64_t max)
{
    const uint64_t good[] = {min, max};
    for (size_t i = 0; i < 2; i++) {
        struct config config;
        char *text = text_of("%s=%llu\n", name, (unsigned long long)good[i]);
        load_good(text, &config);
        assert_int_equal(*(uint64_t *)(void *)((char *)&config.limits + offset), good[i]);
        for (size_t at = 0; at < sizeof(struct limits); at += sizeof(uint64_t))
            if (at != offset)
                assert_int_equal(*(uint64_t *)(void *)((char *)&config.limits + at),
                                 *(const uint64_t *)(const void *)((const char *)&defaults + at));
        config_deinit(&config);
        free(text);
    }
    char *range = text_of("from %llu to %llu", (unsigned long long)min, (unsigned long long)max);
    char *over = text_of("\n%s=%llu\n", name, (unsigned long long)max + 1);
    check_bad(over, 2, name);
    check_bad(over, 2, range);
    char *under = min > 0 ? text_of("%s=%llu\n", name, (unsigned long long)min - 1)
                          : text_of("%s=-1\n", name);
    check_bad(under, 1, range);
    free(range);
    free(over);
    free(under);
}

TEST(every_limit_has_the_range_of_the_table)
{
#define X(name, def, min, max) check_limit(#name, offsetof(struct limits, name), min, max);
    LIMITS(X)
#undef X
}

TEST(numbers_are_whole_and_decimal)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "1x",
                                      "0x10",
                                      "1.5",
                                      "1e3",
                                      "+5",
                                      "- 5",
                                      "1 2",
                                      "\"5\"",
                                      "5#",
                                      "5K",
                                      "5 # five",
                                      "99999999999999999999",
                                      "18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = text_of("max_waiters = %s\n", bad[i]);
        check_bad(text, 1, "max_waiters");
        check_bad(text, 1, "whole number from 1 to 1000000");
        free(text);
    }
    struct config config;
    load_good("max_waiters = 0007 ; seven\n", &config);
    assert_int_equal(config.limits.max_waiters, 7);
    config_deinit(&config);
}

TEST(reserved_names)
{
    struct config config;
    load_good("max_waiters = 5\n[names]\npostgres/ = 26\nteam/ = @4000\nroots/ = root\n"
              "[shmd]\nmax_segments = 6\n",
              &config);
    static const struct name_rule rules[] = {
        {(char *)"postgres/", false, 26},
        {(char *)"team/", true, 4000},
        {(char *)"roots/", false, 0},
    };
    assert_int_equal(config.limits.max_segments, 6);
    assert_int_equal(config.names.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(config.names.rules[i].prefix, rules[i].prefix);
        assert_int_equal(config.names.rules[i].is_group, rules[i].is_group);
        assert_int_equal(config.names.rules[i].id, rules[i].id);
    }
    config_deinit(&config);
    check_bad("[names]\na/ = no-such-user-here\n", 2, "no such user");
    check_bad("[names]\na/ = @no-such-group-here\n", 2, "no such group");
    check_bad("[names]\na/ = \n", 2, "a/ \"\"");
    check_bad("[names]\na/ = @\n", 2, "no such group");
    check_bad("[names]\na/ = 4294967295\n", 2, "no such user");
    check_bad("[names]\n/a = root\n", 2, "no name can begin so");
    check_bad("[names]\na b = root\n", 2, "no name can begin so");
    check_bad("[names]\na/ = root\na/ = 5\n", 3, "for the second time");
}

TEST(sizes_have_units)
{
    struct config config;
    load_good("max_bytes=3G\nmax_bytes_per_uid=5M\nmax_message_bytes=64K\noutput_high_water=4K\n"
              "subscriber_cap=1G",
              &config);
    assert_int_equal(config.limits.max_bytes, INT64_C(3) << 30);
    assert_int_equal(config.limits.max_bytes_per_uid, 5 << 20);
    assert_int_equal(config.limits.max_message_bytes, 64 << 10);
    assert_int_equal(config.limits.output_high_water, 4 << 10);
    assert_int_equal(config.limits.subscriber_cap, 1 << 30);
    config_deinit(&config);
    load_good("max_anchored_bytes=2T\n", &config);
    assert_int_equal(config.limits.max_anchored_bytes, INT64_C(2) << 40);
    config_deinit(&config);
    load_good("max_bytes=8589934591G\n", &config);
    assert_int_equal(config.limits.max_bytes, INT64_C(8589934591) << 30);
    config_deinit(&config);
    static const char *const bad[] = {"K",   "1KB",         "1k",   "1P",
                                      "1 K", "8589934592G", "1.5G", "17179869185G"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = text_of("max_bytes=%s\n", bad[i]);
        check_bad(text, 1, "max_bytes \"");
        check_bad(text, 1, "K, M, G or T");
        free(text);
    }
    check_bad("max_segments=1K\n", 1, "max_segments \"1K\"");
    check_bad("reconcile_ms=1K\n", 1, "reconcile_ms \"1K\"");
}

TEST(durations)
{
    struct config config;
    load_good("attach_timeout_ms=1\nreconcile_ms=3600000\n", &config);
    assert_int_equal(config.attach_timeout_ms, 1);
    assert_int_equal(config.reconcile_ms, 3600000);
    config_deinit(&config);
    check_bad("attach_timeout_ms=0", 1, "from 1 to 3600000");
    check_bad("attach_timeout_ms=3600001", 1, "from 1 to 3600000");
    load_good("reconcile_ms=10\n", &config);
    assert_int_equal(config.reconcile_ms, 10);
    config_deinit(&config);
    check_bad("reconcile_ms=9", 1, "from 10 to 3600000");
}

TEST(words)
{
    for (int i = 0; log_level_words[i]; i++) {
        struct config config;
        char *text = text_of("log_level = %s\n", log_level_words[i]);
        load_good(text, &config);
        assert_int_equal(config.log_level, i);
        config_deinit(&config);
        free(text);
    }
    check_bad("log_level = loud\n", 1,
              "log_level \"loud\": must be error, warning, notice, info or debug");
    check_bad("log_level =\n", 1, "log_level");
    struct config config;
    load_good("segments_dir = /srv/shm segments\n", &config);
    assert_string_equal(config.segments_dir, "/srv/shm segments");
    assert_int_equal(config.segments_dir_line, 1);
    config_deinit(&config);
    check_bad("segments_dir = here\n", 1, "begins with /");
    check_bad("segments_dir =\n", 1, "begins with /");
}

/* The segments.d that the configuration AT of that content comes to, which is the caller's.
 * IS_GIVEN: by --config. */
static char *segments_dir_of(const char *at, bool is_given, const char *text)
{
    struct config config;
    char *error = NULL;
    FILE *file = fopen(at, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(load_file(at, is_given, &config, &error), 0);
    assert_int_equal(unlink(at), 0);
    return config.segments_dir;
}

/* WANT NULL: none. */
static void check_segments_dir(const char *at, const char *text, const char *want)
{
    char *dir = segments_dir_of(at, true, text);
    assert_int_equal(dir == NULL, want == NULL);
    if (want)
        assert_string_equal(dir, want);
    free(dir);
}

/* A directory for a configuration, with what may be in it, and the directory to come back to. */
static struct {
    char top[32];
    char *cwd, *conf, *dir, *target;
} beside;

static int make_beside(void **state)
{
    (void)state;
    strcpy(beside.top, "/tmp/shmd-config-XXXXXX");
    if (!mkdtemp(beside.top))
        return -1;
    beside.cwd = getcwd(NULL, 0);
    beside.conf = text_of("%s/a.conf", beside.top);
    beside.dir = text_of("%s/segments.d", beside.top);
    beside.target = text_of("%s/target", beside.top);
    return 0;
}

static int remove_beside(void **state)
{
    (void)state;
    int r = chdir(beside.cwd);
    (void)unlink(beside.conf);
    if (unlink(beside.dir) < 0)
        (void)rmdir(beside.dir);
    (void)rmdir(beside.target);
    if (rmdir(beside.top) < 0)
        r = -1;
    free(beside.cwd);
    free(beside.conf);
    free(beside.dir);
    free(beside.target);
    return r;
}

TEST(segments_d_is_beside_the_file_if_it_is_there)
{
    const char *conf = beside.conf, *dir = beside.dir;
    check_segments_dir(conf, "", NULL);
    /* A file is no directory. */
    assert_int_equal(symlink("/dev/null", dir), 0);
    check_segments_dir(conf, "", NULL);
    assert_int_equal(unlink(dir), 0);

    assert_int_equal(mkdir(dir, 0700), 0);
    check_segments_dir(conf, "", dir);
    check_segments_dir(conf, "max_waiters = 1\n", dir);
    char *doubled = text_of("%s//a.conf", beside.top);
    char *by_doubled = text_of("%s//segments.d", beside.top);
    check_segments_dir(doubled, "", by_doubled);
    free(doubled);
    free(by_doubled);
    check_segments_dir(conf, "segments_dir = /elsewhere\n", "/elsewhere");
    assert_int_equal(chdir(beside.top), 0);
    check_segments_dir("a.conf", "", "segments.d");
    check_segments_dir("./a.conf", "", "./segments.d");
    check_segments_dir("segments.d/a.conf", "", NULL);
    assert_int_equal(chdir(dir), 0);
    check_segments_dir("../a.conf", "", "../segments.d");

    /* One's own link is as good, also to what is root's. */
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(symlink("/usr", dir), 0);
    check_segments_dir(conf, "", dir);
}

TEST(beside_a_named_file_it_belongs_to_root_or_the_file_s_owner)
{
    enum { STRANGER = 1234 };
    const char *conf = beside.conf, *dir = beside.dir;
    if (geteuid() != 0) {
        print_message("# skipped: only root can give a directory away\n");
        return; /* cmocka's skip() says `not ok` */
    }
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chown(dir, STRANGER, 0), 0);
    check_segments_dir(conf, "", NULL);
    /* The default file is in a directory of the administrator's, where no stranger makes anything.
     */
    char *found = segments_dir_of(conf, false, "");
    assert_string_equal(found, dir);
    free(found);
    assert_int_equal(chown(dir, 0, 0), 0);
    check_segments_dir(conf, "", dir);
    assert_int_equal(rmdir(dir), 0);
    /* Whose the link is decides, not whose directory it denotes. */
    assert_int_equal(mkdir(beside.target, 0700), 0);
    assert_int_equal(symlink("target", dir), 0);
    check_segments_dir(conf, "", dir);
    assert_int_equal(lchown(dir, STRANGER, 0), 0);
    check_segments_dir(conf, "", NULL);
    assert_int_equal(lchown(dir, 0, 0), 0);
    assert_int_equal(chown(beside.target, STRANGER, 0), 0);
    check_segments_dir(conf, "", dir);
}

TEST(the_group_by_name_or_number)
{
    struct config config;
    load_good("admin_group = 0\n", &config);
    assert_true(config.has_admin_group);
    assert_int_equal(config.admin_group, 0);
    config_deinit(&config);
    load_good("admin_group = 4294967294\n", &config);
    assert_int_equal(config.admin_group, 4294967294);
    config_deinit(&config);
    check_bad("admin_group = 4294967295\n", 1, "0 to 4294967294");
    check_bad("admin_group = -1\n", 1, "no such group");
    check_bad("admin_group = no such group here\n", 1, "no such group");
    check_bad("admin_group =\n", 1, "admin_group");
    check_bad("admin_group = unreachable\n", 1, "no such group: Input/output error");
    load_good("admin_group = shm-admins\n", &config);
    assert_true(config.has_admin_group);
    assert_int_equal(config.admin_group, 4711);
    config_deinit(&config);
}

TEST(sections_and_blanks)
{
    struct config config;
    load_good("max_waiters = 5\n\n[shmd]\r\n  max_segments = 6 \r\n\tmax_connections: 7\n",
              &config);
    assert_int_equal(config.limits.max_waiters, 5);
    assert_int_equal(config.limits.max_segments, 6);
    assert_int_equal(config.limits.max_connections, 7);
    config_deinit(&config);
    check_bad("[other]\nmax_waiters = 5\n", 2, "[other], and only [shmd] and [names]");
    check_bad("[Shmd]\n\nmax_waiters = 5\n", 3, "only [shmd]");
}

TEST(an_error_is_told_with_its_line)
{
    check_bad("max_waiters = 5\n# x\nmax_waiters = 5\n", 3,
              "max_waiters: the key is set for the second time");
    check_bad("max_waiters = 5\n[shmd]\nmax_waiters = 6\n", 3, "second time");
    check_bad("max_waiter = 5\n", 1, "max_waiter: unknown key; the keys are max_segments, ");
    check_bad("max_waiter = 5\n", 1, ", segments_dir");
    check_bad("Max_waiters = 5\n", 1, "unknown key");
    check_bad("\n\nmax_waiters\n", 3, "KEY = VALUE");
    check_bad("= 5\n", 1, "unknown key");
    check_bad("# \n[shmd\nmax_waiters = 5\n", 2, "KEY = VALUE");
    char *many = repeat("#\n", 1000), *text = text_of("%smax_bytes = ?\n", many);
    check_bad(text, 1001, "max_bytes");
    free(many);
    free(text);
}

struct told {
    unsigned line;
    const char *part;
};

/* TEXT is refused with the N lines that are WANT, and no more. */
static void check_all_bytes(const char *text, size_t len, const struct told *want, size_t n)
{
    struct config config;
    char *error = NULL;
    assert_int_equal(load_bytes(text, len, &config, &error), -EINVAL);
    char *rest = error;
    for (size_t i = 0; i < n; i++) {
        const char *line = strsep(&rest, "\n");
        assert_non_null(line);
        char *begin = text_of("%s:%u: ", path, want[i].line);
        assert_memory_equal(line, begin, strlen(begin));
        assert_contains(line, want[i].part);
        free(begin);
    }
    assert_null(rest);
    free(error);
}

#define CHECK_ALL(text, ...)                                                                       \
    check_all_bytes(text, sizeof(text) - 1, (const struct told[]){__VA_ARGS__},                    \
                    sizeof((const struct told[]){__VA_ARGS__}) / sizeof(struct told))

TEST(all_errors_are_told)
{
    CHECK_ALL("max_waiters = 1\nnonsense\nmax_waiters = x\n", {2, "KEY = VALUE"},
              {3, "second time"});
    CHECK_ALL("max_waiters = x\nnonsense\n= 5\nnonsense", {1, "max_waiters"}, {2, "KEY = VALUE"},
              {3, "unknown key"}, {4, "KEY = VALUE"});
    CHECK_ALL("a = 1\n# c = 3\n\n  b = 2\n", {1, "a: unknown"}, {4, "b: unknown"});
    CHECK_ALL("[other]\na = 1\n[shmd]\nb = 1\n[ other\nc = 1\n", {2, "a: is in section [other]"},
              {4, "b: unknown"}, {5, "KEY = VALUE"}, {6, "c: unknown"});
    CHECK_ALL("[other] ; one\na = 1\n[]\nb = 1\n", {2, "[other]"}, {4, "b: unknown"});
    CHECK_ALL("\xEF\xBB\xBF[other]\na = 1\n\xEF\xBB\xBFmax_waiters = 1\n[shmd]\nmax_waiters = 0\n",
              {2, "[other]"}, {3, "[other]"}, {5, "max_waiters \"0\""});
    CHECK_ALL("\n\xEF\xBB\xBFmax_waiters = 1\n", {2, "unknown key"});
    CHECK_ALL("a = 1\nmax\0_waiters = 5\nb = 1\n", {1, "a: unknown"}, {2, "NUL"});
    char *longer = repeat("x", 1000), *text = text_of("a = 1\n[%s]\nb = 1\n", longer);
    const struct told around[] = {{1, "a: unknown"}, {2, "longer than"}, {3, "b: unknown"}};
    check_all_bytes(text, strlen(text), around, 3);
    free(longer);
    free(text);
}

TEST(of_very_many_errors_the_first_are_listed)
{
    enum { MOST = CONFIG_ERRORS_MAX };
    char *many = repeat("nonsense\n", 1000);
    struct told want[MOST + 1] = {[MOST] = {MOST + 1, "there may be more errors from here on"}};
    for (unsigned i = 0; i < MOST; i++)
        want[i] = (struct told){i + 1, "KEY = VALUE"};
    check_all_bytes(many, strlen(many), want, MOST + 1);
    check_all_bytes(many, strlen("nonsense\n") * MOST, want, MOST);
    free(many);
}

TEST(what_is_no_text)
{
    check_bad_bytes("# x\nmax\0_waiters = 5\n", 21, 2, "NUL");
    char *longer = repeat("x", 1000), *text = text_of("#\nsegments_dir=/%s\n", longer);
    check_bad(text, 2, "longer than");
    free(longer);
    free(text);
    /* The longest that is not cut. */
    for (size_t n = 100; n < 250; n++) {
        char *dir = repeat("d", n), *line = text_of("segments_dir=/%s", dir);
        struct config config;
        char *error = NULL;
        if (load_bytes(line, strlen(line), &config, &error) == 0) {
            assert_int_equal(strlen(config.segments_dir), n + 1);
            config_deinit(&config);
        } else {
            assert_contains(error, "longer than");
            free(error);
            assert_true(n > 150);
        }
        free(dir);
        free(line);
    }
}

TEST(any_bytes_are_refused_or_taken)
{
    uint32_t random = 42;
    static const char alphabet[] = "max_waiters=5[shmd]\n\n;# \t\0K9:";
    for (int i = 0; i < 3000; i++) {
        char text[64];
        size_t len = (random = random * 1664525 + 1013904223) >> 26;
        for (size_t k = 0; k < len; k++) {
            random = random * 1664525 + 1013904223;
            text[k] =
                random >> 31 ? alphabet[(random >> 8) % sizeof(alphabet)] : (char)(random >> 16);
        }
        struct config config;
        char *error = NULL;
        if (load_bytes(text, len, &config, &error) == 0) {
            assert_null(error);
            config_deinit(&config);
        } else {
            assert_int_equal(strncmp(error, path, strlen(path)), 0);
            free(error);
        }
    }
}

int main(void)
{
#define BESIDE_TEST(name) cmocka_unit_test_setup_teardown(name, make_beside, remove_beside)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_the_defaults_hold),
        cmocka_unit_test(an_error_has_its_key),
        cmocka_unit_test(errors_are_printable_utf_8),
        cmocka_unit_test(what_says_nothing_changes_nothing),
        cmocka_unit_test(every_limit_has_the_range_of_the_table),
        cmocka_unit_test(numbers_are_whole_and_decimal),
        cmocka_unit_test(reserved_names),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(durations),
        cmocka_unit_test(words),
        BESIDE_TEST(segments_d_is_beside_the_file_if_it_is_there),
        BESIDE_TEST(beside_a_named_file_it_belongs_to_root_or_the_file_s_owner),
        cmocka_unit_test(the_group_by_name_or_number),
        cmocka_unit_test(sections_and_blanks),
        cmocka_unit_test(an_error_is_told_with_its_line),
        cmocka_unit_test(all_errors_are_told),
        cmocka_unit_test(of_very_many_errors_the_first_are_listed),
        cmocka_unit_test(what_is_no_text),
        cmocka_unit_test(any_bytes_are_refused_or_taken),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
