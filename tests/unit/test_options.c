/* SPDX-License-Identifier: MIT */
/*
 * The command line: what is not said depends on who runs the daemon and on the environment; what is
 * said wrongly is named.
 */
#include "tests/unit/support.h"

#include "daemon/config.h"
#include "daemon/options.h"

static const char *runtime_dir, *runtime_directory, *config_home, *home;

static char *fake_env(const char *name)
{
    const char *value = NULL;
    if (strcmp(name, "XDG_RUNTIME_DIR") == 0)
        value = runtime_dir;
    else if (strcmp(name, "RUNTIME_DIRECTORY") == 0)
        value = runtime_directory;
    else if (strcmp(name, "XDG_CONFIG_HOME") == 0)
        value = config_home;
    else if (strcmp(name, "HOME") == 0)
        value = home;
    return (char *)(uintptr_t)value;
}

static int clear_env(void **state)
{
    (void)state;
    runtime_dir = runtime_directory = config_home = home = NULL;
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
    check_bad("", 1000,
              "XDG_RUNTIME_DIR is not set: give --socket, and the state is kept beside it");
    check_bad("--state-dir /a", 1000, "XDG_RUNTIME_DIR is not set");
    check("--socket /a/b --state-dir /c", 1000, "/a/b", 0600, "/c");
    check("--socket /a/b", 1000, "/a/b", 0600, "/a");
    runtime_dir = "";
    check_bad("", 1000, "XDG_RUNTIME_DIR is not set");
    runtime_dir = "run/user";
    check_bad("", 1000, "XDG_RUNTIME_DIR is not an absolute path");
}

/* As the manual says: who starts it by a script or in a container changes what stands there. */
TEST(the_last_of_an_option_counts)
{
    struct options o;
    check("--socket /a/b --socket-mode 0600 --state-dir /c --socket /d/e --state-dir=/f "
          "--socket-mode 0640",
          0, "/d/e", 0640, "/f");
    assert_int_equal(parse("--config /a --log-level error --config /b --log-level debug", 0, &o),
                     OPTIONS_RUN);
    assert_string_equal(o.config, "/b");
    assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
    options_deinit(&o);
    assert_int_equal(parse("--dump-state /a --dump-state /b", 0, &o), OPTIONS_DUMP_STATE);
    assert_string_equal(o.dump_state, "/b");
    options_deinit(&o);
    check_bad("--log-level loud --log-level info", 0, "--log-level loud: must be");
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

/* WANT NULL: no configuration is read. */
static void check_config(const char *line, uint32_t uid, const char *want)
{
    static const char *const more[] = {"", "--check-config"};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        struct options o;
        char *whole = text_of("%s %s", line, more[i]);
        assert_int_equal(parse(whole, uid, &o), i == 0 ? OPTIONS_RUN : OPTIONS_CHECK_CONFIG);
        if (!o.config != !want || (want && strcmp(o.config, want) != 0))
            fail_msg("%s: %s, and not %s", whole, o.config ? o.config : "none",
                     want ? want : "none");
        assert_int_equal(o.config_given, strstr(line, "--config") != NULL);
        options_deinit(&o);
        free(whole);
    }
}

TEST(the_systems_configuration_is_the_systems_alone)
{
    runtime_dir = "/run/user/1000";
    config_home = "/users/ann/settings";
    check_config("", 0, config_system_path);
    check_config("", 999, config_system_path);
    check_config("--socket-mode 0600 --log-level debug", 0, config_system_path);
    check_config("--socket /tmp/s", 0, NULL);
    check_config("--state-dir /tmp/d", 0, NULL);
    check_config("--socket /tmp/s --state-dir /tmp/d", 1000, NULL);
    check_config("--socket /tmp/s --state-dir /tmp/d --config c.conf", 0, "c.conf");
    check_config("--config c.conf", 0, "c.conf");
    check_config("--config c.conf", 1000, "c.conf");
}

TEST(a_user_s_configuration_is_below_the_user_s_home)
{
    runtime_dir = "/run/user/1000";
    check_config("", 1000, NULL);
    home = "/users/ann";
    check_config("", 1000, "/users/ann/.config/shmd/shmd.conf");
    config_home = "";
    check_config("", 1000, "/users/ann/.config/shmd/shmd.conf");
    config_home = "relative";
    check_config("", 1000, "/users/ann/.config/shmd/shmd.conf");
    config_home = "/users/ann/settings";
    check_config("", 1000, "/users/ann/settings/shmd/shmd.conf");
    home = "relative";
    check_config("", 1000, "/users/ann/settings/shmd/shmd.conf");
    config_home = NULL;
    check_config("", 1000, NULL);
}

TEST(a_check_needs_no_place_for_a_socket)
{
    struct options o;
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
        cmocka_unit_test_setup(the_last_of_an_option_counts, clear_env),
        cmocka_unit_test_setup(the_state_is_beside_the_socket_unless_said, clear_env),
        cmocka_unit_test_setup(the_service_manager_s_directory, clear_env),
        cmocka_unit_test_setup(modes, clear_env),
        cmocka_unit_test_setup(levels, clear_env),
        cmocka_unit_test_setup(the_systems_configuration_is_the_systems_alone, clear_env),
        cmocka_unit_test_setup(a_user_s_configuration_is_below_the_user_s_home, clear_env),
        cmocka_unit_test_setup(a_check_needs_no_place_for_a_socket, clear_env),
        cmocka_unit_test_setup(a_dump_needs_nothing_else, clear_env),
        cmocka_unit_test_setup(what_is_not_known_is_named, clear_env),
        cmocka_unit_test_setup(a_socket_s_path_has_an_end, clear_env),
        cmocka_unit_test_setup(help_and_version, clear_env),
    };
    return RUN_TESTS(tests);
}
