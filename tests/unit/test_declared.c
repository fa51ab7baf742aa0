/* SPDX-License-Identifier: MIT */
/*
 * Declared segments: the good entries are read in order; a bad one becomes an error with its file,
 * line, key and reason, and does not affect the others.
 */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/declared.h"
#include "protocol/terms.h"

static const struct machine machine = {.huge_page_sizes = {2 << 20, 1 << 30},
                                       .n_huge_page_sizes = 2};

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

/* What a reading gave. */
struct seen {
    size_t n, n_errors;
    char names[40][SEGMENT_NAME_MAX + 1];
    char files[40][128];
    unsigned lines[40];
    char errors[40][1200]; /* FILE:LINE: MESSAGE */
    char keys[40][64];     /* of the errors */
};

static void see(const struct declared_segment *declaration, struct seen *seen)
{
    const struct create_params *p = &declaration->params;
    assert_true(seen->n < 40);
    assert_true(p->name || p->key.value != 0);
    if (p->name)
        assert_null(params_check_name(p->name));
    strcpy(seen->names[seen->n], p->name ? p->name : "");
    snprintf(seen->files[seen->n], sizeof(seen->files[0]), "%s", declaration->file);
    seen->lines[seen->n] = declaration->line;
    seen->n++;
}

/* Reads FROM; DECLARED is the caller's. */
static void read_all(const char *from, struct seen *ret, struct declared *declared)
{
    struct config_errors errors = {0};
    *ret = (struct seen){0};
    assert_int_equal(declared_read(from, &machine, declared, &errors), 0);
    for (size_t i = 0; i < declared->count; i++)
        see(&declared->items[i], ret);
    assert_true(errors.count < 40);
    for (size_t i = 0; i < errors.count; i++) {
        assert_true(strlen(errors.items[i].message) > 5);
        config_error_text(&errors.items[i], ret->errors[i], sizeof(ret->errors[i]));
        snprintf(ret->keys[i], sizeof(ret->keys[i]), "%s", errors.items[i].key);
    }
    ret->n_errors = errors.count;
    config_errors_deinit(&errors);
}

static void load_from(const char *from, struct seen *ret)
{
    struct declared declared;
    read_all(from, ret, &declared);
    declared_deinit(&declared);
}

static void load(struct seen *ret)
{
    load_from(dir, ret);
}

TEST(nothing_is_declared)
{
    struct seen seen;
    load_from(NULL, &seen);
    assert_int_equal(seen.n + seen.n_errors, 0);
    load_from("/nonexistent/segments.d", &seen);
    assert_int_equal(seen.n + seen.n_errors, 0);
    load(&seen);
    assert_int_equal(seen.n + seen.n_errors, 0);
    write_text("a.json", "[]");
    write_text("b.json", " [ ]\n\n");
    load(&seen);
    assert_int_equal(seen.n + seen.n_errors, 0);
    load_from("/dev/null", &seen);
    assert_int_equal(seen.n_errors, 1);
    assert_string_equal(seen.errors[0], "/dev/null: cannot be read: Not a directory");
}

TEST(what_no_create_can_make_here)
{
    struct seen seen;
    write_text("a.json", "[{\"name\":\"a\",\"size\":1,\n\"huge_page_size\":12345},\n"
                         "{\"name\":\"b\",\"size\":1,\"huge_page_size\":4096},\n"
                         "{\"name\":\"c\",\"size\":1,\"huge_page_size\":2097152},\n"
                         "{\"name\":\"d\",\n\"size\":9223372036854775807}]");
    load(&seen);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.names[0], "c");
    assert_int_equal(seen.n_errors, 3);
    assert_contains(seen.errors[0],
                    "a.json:2: entry 1: parameter huge_page_size: this kernel has no "
                    "pages of that size");
    assert_string_equal(seen.keys[0], "huge_page_size");
    assert_contains(seen.errors[1], "a.json:3: entry 2: parameter huge_page_size: ");
    assert_contains(seen.errors[2], "a.json:6: entry 4: parameter size: no process can attach");
    assert_string_equal(seen.keys[2], "size");
}

TEST(all_parameters_come_through)
{
    write_text("a.json",
               "{\"name\":\"frames\",\"key\":-1,\"size\":4096,\"mode\":\"0640\",\"uid\":7,"
               "\"gid\":8,\"lifetime\":\"persistent\",\"ttl_ms\":9,\"ready\":true,"
               "\"labels\":{\"a\":\"b\"},\"huge_page_size\":0,\"noreserve\":true,"
               "\"locked\":false,\"any_owner\":true,\"exclusive\":false}\n");
    struct seen seen;
    struct declared declared;
    read_all(dir, &seen, &declared);
    assert_int_equal(seen.n_errors, 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.names[0], "frames");
    char *file = text_of("%s/a.json", dir);
    assert_string_equal(seen.files[0], file);
    free(file);
    const struct create_params *p = &declared.items[0].params;
    assert_int_equal(p->key.value, -1);
    assert_int_equal(p->size.value, 4096);
    assert_int_equal(p->mode.value, 0640);
    assert_int_equal(p->uid.value, 7);
    assert_int_equal(p->gid.value, 8);
    assert_int_equal(p->lifetime.value, LIFETIME_PERSISTENT);
    assert_int_equal(p->ttl_ms.value, 9);
    assert_int_equal(p->labels.count, 1);
    assert_true(p->noreserve.value && p->any_owner.value && p->ready.value);
    declared_deinit(&declared);
}

TEST(a_key_does_for_a_name)
{
    write_text("a.json", "{\"key\":77,\"size\":4096}");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n_errors, 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.names[0], "");
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
    assert_int_equal(seen.n_errors, 0);
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
        size_t errors = strcmp(bad[i].entry, "[]") == 0 ? 1 : 2;
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
        if (seen.n_errors != errors)
            print_error("%s\n", bad[i].entry);
        assert_int_equal(seen.n_errors, errors);
        assert_contains(seen.errors[0], "list.json:1: entry 2: ");
        assert_contains(seen.errors[0], bad[i].why);
        if (errors == 2) {
            assert_contains(seen.errors[1], "single.json:1: ");
            assert_null(strstr(seen.errors[1], "entry"));
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
        assert_int_equal(seen.n_errors, 1);
        assert_contains(seen.errors[0], "/bad.json:");
        assert_contains(seen.errors[0], bad[i].why ? bad[i].why : "not JSON");
        assert_int_equal(seen.n, 1);
    }
}

TEST(an_error_has_its_line_and_key)
{
    static const struct {
        const char *text, *key, *message; /* MESSAGE begins with the line */
    } cases[] = {
        {"[\n {\"name\": \"x\",\n  \"size\": 1,}\n]\n", "", "3: not JSON: "},
        {"", "", "1: not JSON: "},
        {"\n\n  {\n\"name\": \"x\",\n\"size\":\n0}", "size", "5: parameter size"},
        {"\n\n  {\n\"name\": \"x\"}", "size", "3: parameter size: missing"},
        {"[{\"name\":\"x\",\"size\":1},\n\n{\"name\":\"y\",\n\"colour\":1,\"size\":1}]", "colour",
         "4: entry 2: parameter colour"},
        {"[\n\n7]", "params", "3: entry 1: "},
        {"{\"name\":\"x\",\"size\":1,\n\"labels\":{\n\"a\":1}}", "labels", "2: parameter labels"},
        {"{\n\"size\":1,\n\"lifetime\":\"process\",\"name\":\"x\"}", "lifetime",
         "3: parameter lifetime"},
        {"{\n\"size\":1,\n\"name\":\"x\",\"ready\":false}", "ready", "3: parameter ready"},
        {"{\n\"size\":1,\n\"key\":0}", "name", "1: parameter name: missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen;
        write_text("a.json", cases[i].text);
        load(&seen);
        char *want = text_of("%s/a.json:%s", dir, cases[i].message);
        if (seen.n_errors != 1 || strncmp(seen.errors[0], want, strlen(want)) != 0)
            print_error("%s\ngives %s\nand not %s\n", cases[i].text, seen.errors[0], want);
        assert_int_equal(seen.n_errors, 1);
        assert_memory_equal(seen.errors[0], want, strlen(want));
        assert_string_equal(seen.keys[0], cases[i].key);
        free(want);
    }
    /* A good entry has its line, too. */
    struct seen seen;
    write_text("a.json", "\n[\n{\"name\":\"x\",\"size\":1},\n\n {\n\"name\":\"y\",\"size\":1}]");
    load(&seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.lines[0], 3);
    assert_int_equal(seen.lines[1], 5);
}

TEST(very_many_errors_end_the_reading)
{
    struct config_errors errors = {0};
    struct declared declared;
    char *many = repeat("7,\n", 100000), *text = text_of("[%s7]", many);
    write_text("a.json", text);
    write_text("b.json", text);
    assert_int_equal(declared_read(dir, &machine, &declared, &errors), 0);
    assert_int_equal(declared.count, 0);
    assert_true(errors.count >= CONFIG_ERRORS_MAX && errors.count <= CONFIG_ERRORS_MAX + 1);
    assert_int_equal(errors.items[CONFIG_ERRORS_MAX - 1].line, CONFIG_ERRORS_MAX);
    declared_deinit(&declared);
    config_errors_deinit(&errors);
    free(many);
    free(text);
}

TEST(an_entry_that_contradicts_an_earlier_one_is_left_out)
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
        assert_int_equal(seen.n, cases[i].what ? 2 : 3);
        if (seen.n_errors != (cases[i].what ? 1 : 0))
            print_error("%s %s\n", earlier, later);
        assert_int_equal(seen.n_errors, cases[i].what ? 1 : 0);
        if (cases[i].what) {
            char *want = text_of("%s/2.json:1: %s declared differently in %s/1.json, line 1", dir,
                                 cases[i].what, dir);
            assert_string_equal(seen.errors[0], want);
            free(want);
        }
        free(earlier);
        free(later);
    }
    /* In one file; and what is no good contradicts nothing. */
    write_text("1.json", "[{\"name\":\"a\",\"size\":1},{\"name\":\"a\",\"size\":2}]");
    write_text("2.json", "{\"name\":\"a\",\"size\":0}");
    struct seen seen;
    load(&seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.n_errors, 2);
    assert_contains(seen.errors[0], "/2.json:1: parameter size");
    assert_contains(seen.errors[1], "/1.json:1: a is declared differently in ");
    assert_string_equal(seen.keys[1], "name");
    /* What is left out contradicts nothing. */
    write_text("1.json",
               "[{\"name\":\"a\",\"size\":1},\n{\"name\":\"a\",\"key\":7,\"size\":2},\n"
               "{\"name\":\"b\",\"key\":7,\"size\":3},\n{\"name\":\"b\",\"key\":7,\"size\":4}]");
    write_text("2.json", "[]");
    load(&seen);
    assert_int_equal(seen.n, 2);
    assert_string_equal(seen.names[1], "b");
    assert_int_equal(seen.n_errors, 2);
    assert_contains(seen.errors[0], "/1.json:2: a is declared differently");
    assert_contains(seen.errors[1], "/1.json:4: b is declared differently");
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
    assert_int_equal(seen.n_errors, 4);
    assert_contains(seen.errors[0], "/dir.json: cannot be read: Is a directory");
    assert_contains(seen.errors[1], "/fifo.json: is not a file");
    assert_contains(seen.errors[2], "/link.json: cannot be read: No such file");
    assert_contains(seen.errors[3], "/over.json: is longer than 1 MiB");
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
    assert_int_equal(seen.n_errors, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
        DIR_TEST(nothing_is_declared),
        DIR_TEST(what_no_create_can_make_here),
        DIR_TEST(all_parameters_come_through),
        DIR_TEST(a_key_does_for_a_name),
        DIR_TEST(files_come_by_name_and_entries_in_their_order),
        DIR_TEST(a_bad_entry_harms_no_other),
        DIR_TEST(a_bad_file_harms_no_other),
        DIR_TEST(an_error_has_its_line_and_key),
        DIR_TEST(very_many_errors_end_the_reading),
        DIR_TEST(an_entry_that_contradicts_an_earlier_one_is_left_out),
        DIR_TEST(what_is_no_file_or_too_long_is_told),
        DIR_TEST(a_link_to_a_file_is_one),
    };
    return RUN_TESTS(tests);
}
