/*
 * Declared segments: every good entry is given, in order; every bad one is told with its file and
 * its reason and harms no other.
 */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/declared.h"
#include "protocol/terms.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/shmd-declared-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (unlinkat(dirfd(d), entry->d_name, 0) < 0)
            (void)unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
    if (d)
        closedir(d);
    return rmdir(dir);
}

static void write_bytes(const char *name, const char *bytes, size_t len)
{
    char *path = text_of("%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* What a load gave. */
struct seen {
    size_t n, n_complaints;
    char names[40][SEGMENT_NAME_MAX + 1];
    char files[40][128];
    char complaints[40][1200]; /* FILE: WHAT */
    struct create_params last;
    int fail_at, fail_errno;
};

static int see(void *context, const char *file, const struct create_params *params)
{
    struct seen *seen = context;
    assert_true(seen->n < 40);
    assert_true(params->name || params->key.value != 0);
    if (params->name)
        assert_null(params_check_name(params->name));
    strcpy(seen->names[seen->n], params->name ? params->name : "");
    snprintf(seen->files[seen->n], sizeof(seen->files[0]), "%s", file);
    seen->last = *params;
    seen->n++;
    return seen->fail_at > 0 && seen->n == (size_t)seen->fail_at ? -seen->fail_errno : 0;
}

static void hear(void *context, const char *file, const char *what)
{
    struct seen *seen = context;
    assert_true(seen->n_complaints < 40);
    assert_true(strlen(what) > 5);
    snprintf(seen->complaints[seen->n_complaints++], sizeof(seen->complaints[0]), "%s: %s", file,
             what);
}

static int load_from(const char *from, struct seen *seen)
{
    const struct declared_visitor visitor = {see, hear, seen};
    return declared_load(from, &visitor);
}

static void check(struct seen *ret)
{
    const struct declared_visitor visitor = {see, hear, ret};
    *ret = (struct seen){0};
    assert_int_equal(declared_check(dir, &visitor), 0);
}

static void load(struct seen *ret)
{
    *ret = (struct seen){0};
    assert_int_equal(load_from(dir, ret), 0);
}

TEST(nothing_is_declared)
{
    struct seen seen = {0};
    assert_int_equal(load_from("/nonexistent/segments.d", &seen), 0);
    assert_int_equal(seen.n_complaints, 0);
    load(&seen);
    assert_int_equal(seen.n + seen.n_complaints, 0);
    write_text("a.json", "[]");
    write_text("b.json", " [ ]\n\n");
    load(&seen);
    assert_int_equal(seen.n + seen.n_complaints, 0);
    assert_int_equal(load_from("/dev/null", &seen), 0);
    assert_int_equal(seen.n_complaints, 1);
    assert_string_equal(seen.complaints[0], "/dev/null: cannot be read: Not a directory");
}

TEST(all_parameters_come_through)
{
    write_text("a.json",
               "{\"name\":\"frames\",\"key\":-1,\"size\":4096,\"mode\":\"0640\",\"uid\":7,"
               "\"gid\":8,\"lifetime\":\"persistent\",\"ttl_ms\":9,\"ready\":true,"
               "\"labels\":{\"a\":\"b\"},\"huge_page_size\":0,\"noreserve\":true,"
               "\"locked\":false,\"any_owner\":true,\"exclusive\":false}\n");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n_complaints, 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.names[0], "frames");
    char *file = text_of("%s/a.json", dir);
    assert_string_equal(seen.files[0], file);
    free(file);
    const struct create_params *p = &seen.last;
    assert_int_equal(p->key.value, -1);
    assert_int_equal(p->size.value, 4096);
    assert_int_equal(p->mode.value, 0640);
    assert_int_equal(p->uid.value, 7);
    assert_int_equal(p->gid.value, 8);
    assert_int_equal(p->lifetime.value, LIFETIME_PERSISTENT);
    assert_int_equal(p->ttl_ms.value, 9);
    assert_int_equal(p->labels.count, 1);
    assert_true(p->noreserve.value && p->any_owner.value && p->ready.value);
}

TEST(a_key_does_for_a_name)
{
    write_text("a.json", "{\"key\":77,\"size\":4096}");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n_complaints, 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.names[0], "");
    assert_int_equal(seen.last.key.value, 77);
}

TEST(files_come_by_name_and_entries_in_their_order)
{
    write_text("20.json", "[{\"name\":\"c\",\"size\":1},{\"name\":\"d\",\"size\":1}]");
    write_text("10.json", "{\"name\":\"b\",\"size\":1}");
    write_text("B.json", "{\"name\":\"e\",\"size\":1}");
    write_text("a.json", "{\"name\":\"f\",\"size\":1}");
    write_text("1.json", "{\"name\":\"a\",\"size\":1}");
    /* Not ours: editors' and package managers' leavings. */
    write_text(".hidden.json", "nonsense");
    write_text(".json", "nonsense");
    write_text("a.json~", "nonsense");
    write_text("a.JSON", "nonsense");
    write_text("README", "nonsense");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n_complaints, 0);
    assert_int_equal(seen.n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(seen.names[i][0], 'a' + (int)i);
        assert_int_equal(seen.names[i][1], '\0');
    }
}

TEST(a_bad_entry_harms_no_other)
{
    static const struct {
        const char *entry, *why;
    } bad[] = {
        {"{\"size\":1}", "parameter name: missing: a declared segment needs one, or a key"},
        {"{\"size\":1,\"key\":0}", "name: missing: a declared segment needs one, or a key"},
        {"{\"key\":5}", "size: missing"},
        {"{\"name\":\"x\"}", "size"},
        {"{\"name\":\"a b\",\"size\":1}", "name"},
        {"{\"name\":\"x\",\"size\":0}", "size"},
        {"{\"name\":\"x\",\"size\":\"1\"}", "size"},
        {"{\"name\":\"x\",\"size\":99999999999999999999}", "size"},
        {"{\"name\":\"x\",\"size\":1,\"mode\":640}", "mode"},
        {"{\"name\":\"x\",\"size\":1,\"colour\":1}", "colour"},
        {"{\"name\":\"x\",\"size\":1,\"uid\":\"root\"}", "uid"},
        {"{\"name\":\"x\",\"size\":1,\"lifetime\":\"process\"}", "lifetime: must be persistent"},
        {"{\"name\":\"x\",\"size\":1,\"lifetime\":\"connection\"}", "lifetime"},
        {"{\"name\":\"x\",\"size\":1,\"lifetime\":\"attached\"}", "lifetime"},
        {"{\"name\":\"x\",\"size\":1,\"ready\":false}", "ready"},
        {"[]", "size: missing"},
        {"5", "object"},
        {"null", "size: missing"},
    };
    enum { N_BAD = sizeof(bad) / sizeof(bad[0]) };
    for (size_t i = 0; i < N_BAD; i++) {
        /* Alone, [] is an array of none. */
        size_t complaints = strcmp(bad[i].entry, "[]") == 0 ? 1 : 2;
        char *list = text_of("[{\"name\":\"one\",\"size\":1},%s,{\"name\":\"two\",\"size\":2}]",
                             bad[i].entry);
        write_text("list.json", list);
        write_text("single.json", bad[i].entry);
        write_text("zz.json", "{\"name\":\"three\",\"size\":1}");
        free(list);
        struct seen seen;
        load(&seen);
        assert_int_equal(seen.n, 3);
        assert_string_equal(seen.names[1], "two");
        assert_string_equal(seen.names[2], "three");
        if (seen.n_complaints != complaints)
            print_error("%s\n", bad[i].entry);
        assert_int_equal(seen.n_complaints, complaints);
        assert_contains(seen.complaints[0], "list.json: entry 2: ");
        assert_contains(seen.complaints[0], bad[i].why);
        if (complaints == 2) {
            assert_contains(seen.complaints[1], "single.json: ");
            assert_null(strstr(seen.complaints[1], "entry"));
        }
    }
}

TEST(a_bad_file_harms_no_other)
{
    static const struct {
        const char *text;
        size_t len;
        const char *why;
    } bad[] = {
        {"", 0, NULL},
        {"{", 1, NULL},
        {"{\"name\":\"x\",\"size\":1", 20, NULL},
        {"{\"name\":\"x\",\"size\":1}{}", 23, NULL},
        {"{\"name\":\"x\",\"name\":\"y\",\"size\":1}", 32, "duplicate key \"name\""},
        {"// no\n{\"name\":\"x\",\"size\":1}", 27, NULL},
        {"\xEF\xBB\xBF{\"name\":\"x\",\"size\":1}", 24, "not JSON: a byte order mark"},
        {"{\"name\":\"\xFF\",\"size\":1}", 21, NULL},
        {"{\"name\":\"x\",\"size\":1}\0", 22, NULL},
        {"\0\0\0\0", 4, NULL},
        {"name = x\n", 9, NULL},
        {"{\"name\":\"x\\u0000\",\"size\":1}", 27, "\\u0000"},
    };
    write_text("zz.json", "{\"name\":\"three\",\"size\":1}");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_bytes("bad.json", bad[i].text, bad[i].len);
        struct seen seen;
        load(&seen);
        assert_int_equal(seen.n_complaints, 1);
        char *why = text_of("/bad.json: %s", bad[i].why ? bad[i].why : "not JSON");
        assert_contains(seen.complaints[0], why);
        free(why);
        assert_int_equal(seen.n, 1);
    }
}

TEST(what_is_no_json_is_told_with_its_line)
{
    write_text("a.json", "[\n {\"name\": \"x\",\n  \"size\": 1,}\n]\n");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n_complaints, 1);
    assert_contains(seen.complaints[0], "/a.json: not JSON: ");
    assert_contains(seen.complaints[0], " in line 3");
}

TEST(contradictions_are_told_when_it_is_asked_for)
{
    static const struct {
        const char *earlier, *later, *what; /* NULL: none */
    } cases[] = {
        {"\"name\":\"a\",\"size\":1", "\"name\":\"b\",\"size\":2", NULL},
        {"\"key\":1,\"size\":1", "\"key\":2,\"size\":2", NULL},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1", NULL},
        {"\"name\":\"a\",\"size\":1,\"mode\":\"0600\",\"key\":0,\"ready\":true,\"locked\":false",
         "\"name\":\"a\",\"size\":1,\"lifetime\":\"persistent\",\"labels\":{}", NULL},
        {"\"name\":\"a\",\"size\":1,\"key\":-1", "\"name\":\"a\",\"size\":1,\"key\":4294967295",
         NULL},
        {"\"name\":\"a\",\"size\":1,\"labels\":{\"k\":\"1\",\"l\":\"2\"}",
         "\"name\":\"a\",\"size\":1,\"labels\":{\"l\":\"2\",\"k\":\"1\"}", NULL},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":2", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"mode\":\"0640\"", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"uid\":7", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"gid\":0", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"ttl_ms\":7", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"noreserve\":true", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"locked\":true", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"huge_page_size\":2097152",
         "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"labels\":{\"k\":\"1\"}", "a is"},
        {"\"name\":\"a\",\"size\":1", "\"name\":\"a\",\"size\":1,\"key\":5", "a is"},
        {"\"key\":5,\"size\":1", "\"key\":5,\"size\":2", "key 5 is"},
        {"\"name\":\"a\",\"key\":-1,\"size\":1", "\"name\":\"b\",\"key\":4294967295,\"size\":1",
         "key 4294967295 is"},
        {"\"name\":\"a\",\"key\":5,\"size\":1", "\"name\":\"a\",\"key\":5,\"size\":2", "a is"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *earlier = text_of("[{\"name\":\"z\",\"size\":1},{%s}]", cases[i].earlier);
        char *later = text_of("{%s}", cases[i].later);
        write_text("1.json", earlier);
        write_text("2.json", later);
        struct seen seen;
        load(&seen);
        assert_int_equal(seen.n, 3);
        assert_int_equal(seen.n_complaints, 0);
        check(&seen);
        assert_int_equal(seen.n, 3); /* all are given still */
        if (seen.n_complaints != (cases[i].what ? 1 : 0))
            print_error("%s %s\n", earlier, later);
        assert_int_equal(seen.n_complaints, cases[i].what ? 1 : 0);
        if (cases[i].what) {
            char *want =
                text_of("%s/2.json: %s declared otherwise in %s/1.json", dir, cases[i].what, dir);
            assert_string_equal(seen.complaints[0], want);
            free(want);
        }
        free(earlier);
        free(later);
    }
    /* In one file; and what is no good contradicts nothing. */
    write_text("1.json", "[{\"name\":\"a\",\"size\":1},{\"name\":\"a\",\"size\":2}]");
    write_text("2.json", "{\"name\":\"a\",\"size\":0}");
    struct seen seen;
    check(&seen);
    assert_int_equal(seen.n_complaints, 2);
    assert_contains(seen.complaints[0], "/1.json: a is declared otherwise in ");
    assert_contains(seen.complaints[1], "/2.json: parameter size");
}

TEST(what_is_no_file_or_too_long_is_told)
{
    char *path = text_of("%s/fifo.json", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    free(path);
    path = text_of("%s/dir.json", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    path = text_of("%s/link.json", dir);
    assert_int_equal(symlink("/nonexistent", path), 0);
    free(path);
    static const char entry[] = "{\"name\":\"x\",\"size\":1}";
    enum { MOST = 1024 * 1024 };
    char *longest = malloc(MOST + 1);
    assert_non_null(longest);
    memset(longest, ' ', MOST + 1);
    memcpy(longest, entry, sizeof(entry) - 1);
    write_bytes("most.json", longest, MOST);
    write_bytes("over.json", longest, MOST + 1);
    free(longest);
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n, 1);
    assert_contains(seen.files[0], "/most.json");
    assert_int_equal(seen.n_complaints, 4);
    assert_contains(seen.complaints[0], "/dir.json: cannot be read: Is a directory");
    assert_contains(seen.complaints[1], "/fifo.json: is not a file");
    assert_contains(seen.complaints[2], "/link.json: cannot be read: No such file");
    assert_contains(seen.complaints[3], "/over.json: is longer than 1 MiB");
}

TEST(a_link_to_a_file_is_one)
{
    write_text("elsewhere", "{\"name\":\"x\",\"size\":1}");
    char *path = text_of("%s/link.json", dir);
    assert_int_equal(symlink("elsewhere", path), 0);
    free(path);
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.n_complaints, 0);
}

TEST(who_is_told_can_end_it)
{
    write_text("a.json", "[{\"name\":\"a\",\"size\":1},{\"name\":\"b\",\"size\":1},"
                         "{\"name\":\"c\",\"size\":1}]");
    write_text("b.json", "{\"name\":\"d\",\"size\":1}");
    struct seen seen = {.fail_at = 2, .fail_errno = ENOMEM};
    assert_int_equal(load_from(dir, &seen), -ENOMEM);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.n_complaints, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
        DIR_TEST(nothing_is_declared),
        DIR_TEST(all_parameters_come_through),
        DIR_TEST(a_key_does_for_a_name),
        DIR_TEST(files_come_by_name_and_entries_in_their_order),
        DIR_TEST(a_bad_entry_harms_no_other),
        DIR_TEST(a_bad_file_harms_no_other),
        DIR_TEST(what_is_no_json_is_told_with_its_line),
        DIR_TEST(contradictions_are_told_when_it_is_asked_for),
        DIR_TEST(what_is_no_file_or_too_long_is_told),
        DIR_TEST(a_link_to_a_file_is_one),
        DIR_TEST(who_is_told_can_end_it),
    };
    return RUN_TESTS(tests);
}
