/*
 * The command line: what is not said depends on who runs the daemon and on the environment; what is
 * said wrongly is named.
 */
#include "tests/unit/support.h"

#include "daemon/config.h"
#include "daemon/options.h"

static const char *runtime_dir, *runtime_directory;

static char *fake_env(const char *name)
{
    const char *value = NULL;
    if (strcmp(name, "XDG_RUNTIME_DIR") == 0)
        value = runtime_dir;
    else if (strcmp(name, "RUNTIME_DIRECTORY") == 0)
        value = runtime_directory;
    return (char *)(uintptr_t)value;
}

static int clear_env(void **state)
{
    (void)state;
    runtime_dir = runtime_directory = NULL;
    return 0;
}

/* What was written to both streams by the last parse. */
static char out_text[4096], err_text[4096];

/* LINE is split at its blanks; "''" is an empty argument. */
static enum options_result parse(const char *line, uint32_t uid, struct options *ret)
{
    char *copy = text_of("shmd %s", line), *argv[32];
    int argc = 0;
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    argv[argc] = NULL;
    memset(out_text, 0, sizeof(out_text));
    memset(err_text, 0, sizeof(err_text));
    FILE *out = fmemopen(out_text, sizeof(out_text), "w");
    FILE *err = fmemopen(err_text, sizeof(err_text), "w");
    assert_true(out && err);
    enum options_result result = options_parse(argc, argv, fake_env, uid, ret, out, err);
    fclose(out);
    fclose(err);
    free(copy);
    return result;
}

static void check(const char *line, uint32_t uid, const char *socket, uint32_t mode,
                  const char *state_dir)
{
    struct options o;
    enum options_result result = parse(line, uid, &o);
    if (result != OPTIONS_RUN)
        print_error("%s: %s\n", line, err_text);
    assert_int_equal(result, OPTIONS_RUN);
    assert_string_equal(o.socket, socket);
    assert_int_equal(o.socket_mode, mode);
    assert_string_equal(o.state_dir, state_dir);
    assert_string_equal(out_text, "");
    assert_string_equal(err_text, "");
    options_deinit(&o);
}

static void check_bad(const char *line, uint32_t uid, const char *part)
{
    struct options o, before;
    memset(&o, 0x5A, sizeof(o));
    before = o;
    assert_int_equal(parse(line, uid, &o), OPTIONS_EXIT_USAGE);
    assert_memory_equal(&o, &before, sizeof(o));
    assert_string_equal(out_text, "");
    assert_int_equal(strncmp(err_text, "shmd: ", 6), 0);
    assert_contains(err_text, part);
    assert_contains(err_text, "shmd --help");
}

TEST(the_system_has_its_places)
{
    static const uint32_t uids[] = {0, 1, 999};
    runtime_dir = "/run/user/0"; /* does not matter */
    for (size_t i = 0; i < 3; i++)
        check("", uids[i], "/run/shmd/shmd.sock", 0666, "/run/shmd");
}

TEST(a_user_has_its_own)
{
    runtime_dir = "/run/user/1000";
    check("", 1000, "/run/user/1000/shmd/shmd.sock", 0600, "/run/user/1000/shmd");
    check("", UINT32_MAX - 1, "/run/user/1000/shmd/shmd.sock", 0600, "/run/user/1000/shmd");
}

TEST(a_user_without_a_runtime_directory)
{
    check_bad("", 1000, "XDG_RUNTIME_DIR is not set: say --socket and --state-dir");
    check_bad("--state-dir /a", 1000, "XDG_RUNTIME_DIR is not set");
    check("--socket /a/b --state-dir /c", 1000, "/a/b", 0600, "/c");
    check("--socket /a/b", 1000, "/a/b", 0600, "/a");
    runtime_dir = "";
    check_bad("", 1000, "XDG_RUNTIME_DIR is not set");
    runtime_dir = "run/user";
    check_bad("", 1000, "XDG_RUNTIME_DIR is not an absolute path");
}

TEST(the_state_is_beside_the_socket_unless_said)
{
    runtime_dir = "/run/user/1000";
    check("--socket /x/y/s.sock", 0, "/x/y/s.sock", 0666, "/x/y");
    check("--socket /s.sock", 0, "/s.sock", 0666, "/");
    check("--socket s.sock", 0, "s.sock", 0666, ".");
    check("--socket d/s.sock", 1000, "d/s.sock", 0600, "d");
    check("--socket /x//s.sock", 1000, "/x//s.sock", 0600, "/x");
    check("--socket //s.sock", 1000, "//s.sock", 0600, "/");
    check("--state-dir /d", 1000, "/run/user/1000/shmd/shmd.sock", 0600, "/d");
    check("--state-dir=/d --socket=/e/f", 0, "/e/f", 0666, "/d");
}

TEST(the_service_manager_s_directory)
{
    runtime_directory = "/run/other";
    check("", 999, "/run/shmd/shmd.sock", 0666, "/run/other");
    check("--state-dir /d", 999, "/run/shmd/shmd.sock", 0666, "/d");
    check("--socket /e/f", 999, "/e/f", 0666, "/e");
    runtime_directory = "/run/one:/run/two";
    check("", 999, "/run/shmd/shmd.sock", 0666, "/run/one");
    runtime_directory = "";
    check("", 999, "/run/shmd/shmd.sock", 0666, "/run/shmd");
}

TEST(modes)
{
    check("--socket-mode 660", 0, "/run/shmd/shmd.sock", 0660, "/run/shmd");
    check("--socket-mode 0777", 0, "/run/shmd/shmd.sock", 0777, "/run/shmd");
    check("--socket-mode 000", 0, "/run/shmd/shmd.sock", 0, "/run/shmd");
    static const char *const bad[] = {"''",  "66",  "00660", "1777", "668",
                                      "rw-", "-66", "0x1b",  "+660"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *line = text_of("--socket-mode %s", bad[i]);
        check_bad(line, 0, "octal");
        free(line);
    }
}

TEST(levels)
{
    for (int i = 0; log_level_words[i]; i++) {
        char *line = text_of("--log-level %s", log_level_words[i]);
        struct options o;
        assert_int_equal(parse(line, 0, &o), OPTIONS_RUN);
        assert_true(o.has_log_level);
        assert_int_equal(o.log_level, i);
        options_deinit(&o);
        free(line);
    }
    check_bad("--log-level loud", 0,
              "--log-level loud: must be error, warning, notice, info or debug");
    struct options o;
    assert_int_equal(parse("", 0, &o), OPTIONS_RUN);
    assert_false(o.has_log_level);
    options_deinit(&o);
}

TEST(the_configuration)
{
    struct options o;
    assert_int_equal(parse("", 0, &o), OPTIONS_RUN);
    assert_string_equal(o.config, config_default_path);
    assert_false(o.config_given);
    options_deinit(&o);
    assert_int_equal(parse("--config c.conf", 0, &o), OPTIONS_RUN);
    assert_string_equal(o.config, "c.conf");
    assert_true(o.config_given);
    options_deinit(&o);
    /* To check it, nobody needs a place for a socket. */
    assert_int_equal(parse("--check-config --config c.conf", 1000, &o), OPTIONS_CHECK_CONFIG);
    assert_string_equal(o.config, "c.conf");
    assert_null(o.socket);
    options_deinit(&o);
    options_deinit(&o);
}

TEST(a_dump_needs_nothing_else)
{
    struct options o;
    assert_int_equal(parse("--dump-state state.journal", 1000, &o), OPTIONS_DUMP_STATE);
    assert_string_equal(o.dump_state, "state.journal");
    assert_null(o.socket);
    options_deinit(&o);
    check_bad("--dump-state", 0, "--dump-state needs a value");
    check_bad("--dump-state ''", 0, "empty path");
}

TEST(what_is_not_known_is_named)
{
    check_bad("--sockets /x", 0, "--sockets: unknown");
    check_bad("--frob", 0, "--frob: unknown");
    check_bad("--log-level info --frob", 0, "--frob: unknown");
    check_bad("--s /x", 0, "--s: unknown or ambiguous");
    check_bad("-x", 0, "-x: unknown");
    check_bad("-vx", 0, "-v: unknown");
    check_bad("start", 0, "start: shmd takes no arguments");
    check_bad("--socket /x start --frob", 0, "start: shmd takes no arguments");
    check_bad("-- x", 0, "x: shmd takes no arguments");
    check_bad("-", 0, "-: shmd takes no arguments");
    check_bad("--socket", 0, "--socket needs a value");
    check_bad("--state-dir /d --config", 0, "--config needs a value");
    check_bad("--help=me", 0, "--help=me: this option takes no value");
    check_bad("--socket ''", 0, "empty path");
    check_bad("--state-dir=", 0, "empty path");
    check_bad("--config=", 0, "empty path");
}

TEST(a_socket_s_path_has_an_end)
{
    char *name = repeat("s", 106), *line = text_of("--socket /%s", name);
    struct options o;
    assert_int_equal(parse(line, 0, &o), OPTIONS_RUN);
    options_deinit(&o);
    free(line);
    line = text_of("--socket /s%s", name);
    check_bad(line, 0, "at most 107 bytes");
    free(line);
    free(name);
}

TEST(help_and_version)
{
    struct options o;
    assert_int_equal(parse("--version", 1000, &o), OPTIONS_EXIT_OK);
    assert_int_equal(strncmp(out_text, "shmd ", 5), 0);
    assert_true(out_text[5] >= '0' && out_text[5] <= '9');
    assert_ptr_equal(strchr(out_text, '\n'), out_text + strlen(out_text) - 1);
    assert_string_equal(err_text, "");

    assert_int_equal(parse("--help", 1000, &o), OPTIONS_EXIT_OK);
    assert_string_equal(err_text, "");
    static const char *const all[] = {"--socket ", "--socket-mode ",  "--state-dir ",
                                      "--config ", "--check-config ", "--log-level ",
                                      "--help ",   "--version "};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_contains(out_text, all[i]);
    for (char *line = out_text, *end; (end = strchr(line, '\n')); line = end + 1)
        if (end - line > 80)
            fail_msg("longer than 80: %.*s", (int)(end - line), line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_system_has_its_places, clear_env),
        cmocka_unit_test_setup(a_user_has_its_own, clear_env),
        cmocka_unit_test_setup(a_user_without_a_runtime_directory, clear_env),
        cmocka_unit_test_setup(the_state_is_beside_the_socket_unless_said, clear_env),
        cmocka_unit_test_setup(the_service_manager_s_directory, clear_env),
        cmocka_unit_test_setup(modes, clear_env),
        cmocka_unit_test_setup(levels, clear_env),
        cmocka_unit_test_setup(the_configuration, clear_env),
        cmocka_unit_test_setup(a_dump_needs_nothing_else, clear_env),
        cmocka_unit_test_setup(what_is_not_known_is_named, clear_env),
        cmocka_unit_test_setup(a_socket_s_path_has_an_end, clear_env),
        cmocka_unit_test_setup(help_and_version, clear_env),
    };
    return RUN_TESTS(tests);
}
