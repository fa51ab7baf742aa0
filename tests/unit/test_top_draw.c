/* SPDX-License-Identifier: MIT */
/*
 * The screen of top, at the widths and heights that terminals have.
 */
#include "tests/unit/support.h"

#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <time.h>

#include "client/cli/plain_text.h"
#include "client/cli/top_draw.h"
#include "client/cli/top_tables.h"

#define MIB (UINT64_C(1) << 20)

static struct top_model model;
static struct top_view view;

static void name_of(uint32_t uid, char *ret, size_t size)
{
    snprintf(ret, size, uid == 1 ? "\xE6\xBC\xA2" : "user%" PRIu32, uid);
}

static void add(uint64_t serial, const char *name, int shmid, uint64_t size, uint32_t uid)
{
    struct shmd_segment s = {.serial = serial, .name = name, .shmid = shmid, .size = size};
    s.managed = serial != 0;
    s.state = SHMD_STATE_READY;
    s.lifetime = serial ? SHMD_LIFETIME_PROCESS : 0;
    s.uid = s.creator.uid = uid;
    s.nattch = (uint64_t)shmid;
    s.creator.comm = "ma\x1Bker";
    assert_int_equal(top_model_add(&model, &s), 0);
}

static void look(int64_t at_ms, uint64_t rss)
{
    struct kernel_memory memory[] = {{1, rss, 0}};
    top_model_begin(&model);
    add(1, "frames/1", 1, 64 * MIB, 1000);
    add(2, "a-name-that-is-much-longer-than-forty-columns-of-a-terminal", 2, 3 * MIB, 1);
    add(0, NULL, 3, 4096, 1000);
    if (at_ms > 1000)
        add(3, "fresh", 4, 1, 1000);
    assert_int_equal(top_model_end(&model, at_ms, memory, 1), 0);
}

static void tell(enum shmd_event_kind kind, const char *name, enum shmd_reason reason)
{
    const struct shmd_segment s = {.name = name, .shmid = 5, .size = 4096};
    const struct shmd_event event = {
        .kind = kind, .segment = &s, .at_ms = 3723000, .reason = reason};
    top_model_event(&model, &event);
}

static int start(void **state)
{
    const struct shmd_limit limits[] = {{"max_segments_per_uid", 10, true, 8},
                                        {"max_bytes_per_uid", 128 * MIB, true, 64 * MIB}};
    struct shmd_info info = {.limits = limits, .n_limits = 2};
    (void)state;
    info.kernel.shmmni = 4096;
    info.kernel.segments = 4095;
    info.kernel.shmall = UINT64_MAX;
    top_model_init(&model, name_of);
    top_view_init(&view);
    snprintf(model.daemon, sizeof(model.daemon), "the daemon at /run/x");
    assert_int_equal(top_model_info(&model, &info), 0);
    look(1000, MIB);
    look(2000, 3 * MIB);
    tell(SHMD_EVENT_CREATED, "fresh", 0);
    tell(SHMD_EVENT_REMOVED, "o\x1B[2Jld", SHMD_REASON_EXPIRED);
    top_model_event(&model, &(struct shmd_event){.kind = SHMD_EVENT_GAP, .missed = 9});
    return 0;
}

static int end(void **state)
{
    (void)state;
    top_model_deinit(&model);
    return 0;
}

/* --- a screen */

static struct top_screen draw(int width, int height)
{
    struct top_screen screen;
    assert_int_equal(top_draw(&model, &view, width, height, &screen), 0);
    assert_int_equal(screen.width, width);
    assert_int_equal(screen.height, height);
    for (int i = 0; i < height; i++) {
        const struct top_line *line = &screen.lines[i];
        char again[8192];
        plain_text(line->text, again, sizeof(again));
        assert_string_equal(line->text, again); /* it is harmless */
        assert_true(line->width <= width);
        assert_int_equal(plain_text_width(line->text), line->width);
        for (int column = 0; column < line->width; column++)
            assert_true(line->looks[column] < TOP_LOOKS);
    }
    return screen;
}

/* The line that begins with TEXT. */
static const struct top_line *line_with(const struct top_screen *screen, const char *text)
{
    for (int i = 0; i < screen->height; i++)
        if (strncmp(screen->lines[i].text, text, strlen(text)) == 0)
            return &screen->lines[i];
    print_error("no line begins with \"%s\"; there are:\n", text);
    for (int i = 0; i < screen->height; i++)
        print_error("%s\n", screen->lines[i].text);
    fail();
    return NULL;
}

static bool has(const struct top_screen *screen, const char *text)
{
    for (int i = 0; i < screen->height; i++)
        if (strstr(screen->lines[i].text, text))
            return true;
    return false;
}

static enum top_look look_at(const struct top_line *line, const char *text)
{
    const char *at = strstr(line->text, text);
    assert_non_null(at);
    return line->looks[at - line->text]; /* of a line without wide characters before it */
}

#define CASE(name) static void name(void **state __attribute__((unused)))

CASE(eighty_columns)
{
    struct top_screen s = draw(80, 24);
    assert_string_equal(s.lines[0].text, "shmd: 4 segments, 67M, by SIZE, the daemon at /run/x "
                                         "                           ");
    assert_contains(line_with(&s, "kernel segments")->text, "4095 of 4096");
    assert_contains(line_with(&s, "kernel segments")->text, "  kernel bytes ");
    assert_contains(line_with(&s, "your segments")->text, "64M of 128M");
    assert_string_equal(line_with(&s, "NAME")->text, "NAME                       SIZE     RSS    "
                                                     "GROWTH NATTCH OWNER     SHMID STATE  ");
    assert_string_equal(line_with(&s, "frames/1")->text,
                        "frames/1                    64M      3M     +2M/s      1 user1000      1 "
                        "ready");
    assert_contains(line_with(&s, "a-name-that")->text, "~ ");
    assert_contains(line_with(&s, "- ")->text, "4K");
    assert_string_equal(line_with(&s, "01:02:03 created")->text,
                        "01:02:03 created  fresh  shmid 5, 4K, nattch 0");
    assert_contains(line_with(&s, "01:02:03 removed")->text, "o\\x1b[2Jld");
    assert_contains(line_with(&s, "01:02:03 removed")->text, "expired");
    line_with(&s, "gap: 9 events were missed");
    assert_string_equal(s.lines[23].text, "q quit  ? help  s sort  / filter  r reverse  "
                                          "p processes  u users  e events");
    top_screen_deinit(&s);
}

CASE(forty_columns)
{
    struct top_screen s = draw(40, 24);
    assert_string_equal(line_with(&s, "NAME")->text, "NAME          SIZE    RSS  GROWTH NATTCH");
    assert_string_equal(line_with(&s, "frames/1")->text,
                        "frames/1       64M     3M   +2M/s      1");
    assert_contains(line_with(&s, "your segments")->text, "8 of 10");
    assert_false(has(&s, "STATE"));
    assert_string_equal(s.lines[23].text, "q quit  ? help  s sort  / filter");
    top_screen_deinit(&s);
}

CASE(two_hundred_columns)
{
    struct top_screen s = draw(200, 50);
    const char *headings = line_with(&s, "NAME")->text;
    assert_contains(headings, "SIZE");
    assert_contains(headings, "CREATOR");
    assert_contains(headings, "CREATED");
    line_with(&s, "a-name-that-is-much-longer-than-forty-columns-of-a-terminal ");
    assert_contains(line_with(&s, "kernel segments")->text, "your segments");
    assert_true(has(&s, "ma\\x1bker"));
    top_screen_deinit(&s);
}

CASE(hardly_any_room)
{
    struct top_screen s = draw(20, 5);
    line_with(&s, "shmd: 4 segments, 67");
    line_with(&s, "NAME");
    line_with(&s, "frames/1");
    assert_string_equal(s.lines[4].text, "q quit  ? help");
    assert_int_equal(s.shown, 2);
    top_screen_deinit(&s);
}

/* Whatever the size, and whatever is shown: draw() looks at each line. */
CASE(every_size)
{
    static const int widths[] = {1, 2, 3, 7, 15, 20, 39, 40, 59, 60, 77, 80, 150, 333};
    snprintf(model.status, sizeof(model.status), "The daemon is away");
    for (int panel = 0; panel < TOP_PANELS; panel++)
        for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
            for (int height = 1; height < 30; height++) {
                view.panel = (enum top_panel)panel;
                view.shows_help = height % 7 == 0;
                view.is_typing = height % 5 == 0;
                struct top_screen s = draw(widths[w], height);
                top_screen_deinit(&s);
            }
}

CASE(looks)
{
    struct top_screen s = draw(80, 24);
    const struct top_line *headings = line_with(&s, "NAME");
    assert_int_equal(look_at(headings, "SIZE"), TOP_LOOK_SORTED);
    assert_int_equal(look_at(headings, "RSS"), TOP_LOOK_HEADING);
    assert_int_equal(look_at(line_with(&s, "fresh"), "fresh"), TOP_LOOK_NEW);
    assert_int_equal(look_at(line_with(&s, "frames/1"), "frames"), TOP_LOOK_PLAIN);
    assert_int_equal(look_at(line_with(&s, "kernel segments"), "["), TOP_LOOK_FULL);
    assert_int_equal(look_at(line_with(&s, "your segments"), "["), TOP_LOOK_HIGH);
    top_screen_deinit(&s);
}

CASE(a_daemon_that_is_away)
{
    top_model_status(&model, "The daemon is away (%s).", "\x1B[31m");
    struct top_screen s = draw(80, 24);
    assert_int_equal(look_at(line_with(&s, "The daemon is away (\\x1b[31m)."), "The"),
                     TOP_LOOK_ALARM);
    line_with(&s, "frames/1"); /* what was there is seen */
    top_screen_deinit(&s);
}

CASE(users_and_their_quotas)
{
    top_view_key(&view, 'u', 0, 0);
    struct top_screen s = draw(130, 24);
    const struct top_line *user = line_with(&s, "user1000");
    assert_contains(user->text, "[##########          ]  50 % of 128M");
    assert_contains(user->text, " 20 % of 10");
    assert_int_equal(look_at(user, "["), TOP_LOOK_GOOD);
    line_with(&s, "\xE6\xBC\xA2       "); /* which takes two columns */
    assert_contains(line_with(&s, "USER")->text, "OF BYTES");
    top_screen_deinit(&s);
    model.user_max_bytes = UINT64_MAX;
    model.user_max_segments = UINT64_MAX;
    s = draw(130, 24);
    assert_contains(line_with(&s, "user1000")->text, "no limit");
    assert_contains(line_with(&s, "user1000")->text, "of 4096 (kernel)");
    top_screen_deinit(&s);
}

CASE(processes)
{
    const struct shmd_attachment row = {
        .shmid = 1, .pid = 77, .uid = 1000, .comm = "re\nader", .count = 2, .unit = "db.service"};
    const struct shmd_attachment *const rows[] = {&row};
    const struct shmd_attachments all = {.processes = rows, .count = 1};
    assert_int_equal(top_model_processes(&model, &all), 0);
    top_view_key(&view, 'p', 0, 0);
    struct top_screen s = draw(80, 24);
    assert_string_equal(line_with(&s, "     77")->text,
                        "     77 re\\x0aader          64M        1      2 user1000 db.service");
    line_with(&s, "shmd: 1 process, ");
    top_screen_deinit(&s);
}

CASE(a_filter)
{
    top_view_key(&view, '/', 0, 0);
    for (const char *key = "frames"; *key; key++)
        top_view_key(&view, (uint32_t)*key, 0, 0);
    struct top_screen s = draw(80, 24);
    assert_string_equal(s.lines[23].text, "/frames_");
    assert_false(has(&s, "a-name-that"));
    top_screen_deinit(&s);
    top_view_key(&view, TOP_KEY_ENTER, 0, 0);
    s = draw(80, 24);
    line_with(&s, "shmd: 1 segment, 67M, filter frames, by SIZE");
    top_screen_deinit(&s);
}

CASE(scrolled)
{
    view.first = 1;
    struct top_screen s = draw(80, 6);
    assert_int_equal(s.n_rows, 4);
    line_with(&s, "shmd: 4 segments, 67M, from row 2");
    assert_false(has(&s, "frames/1"));
    top_screen_deinit(&s);
    view.first = 99;
    s = draw(80, 24);
    assert_int_equal(view.first, 0);
    line_with(&s, "frames/1");
    top_screen_deinit(&s);
}

CASE(help)
{
    top_view_key(&view, '?', 0, 0);
    struct top_screen s = draw(80, 24);
    line_with(&s, "       q  quit");
    line_with(&s, "Press any key to go back.");
    assert_false(has(&s, "frames/1"));
    top_screen_deinit(&s);
}

CASE(before_the_first_look)
{
    top_model_deinit(&model);
    struct top_screen s = draw(80, 24);
    line_with(&s, "shmd: looking");
    line_with(&s, "NAME");
    top_screen_deinit(&s);
}

/* A character that takes no column cannot be there without end. */
CASE(accents_without_end)
{
    char unit[4001];
    for (size_t i = 0; i < sizeof(unit) - 1; i += 2)
        memcpy(unit + i, "\xCC\x81", 2);
    unit[sizeof(unit) - 1] = '\0';
    const struct shmd_attachment row = {
        .shmid = 1, .pid = 77, .uid = 1000, .comm = "reader", .count = 2, .unit = unit};
    const struct shmd_attachment *const rows[] = {&row};
    const struct shmd_attachments all = {.processes = rows, .count = 1};
    assert_int_equal(top_model_processes(&model, &all), 0);
    top_view_key(&view, 'p', 0, 0);
    struct top_screen s = draw(80, 24);
    line_with(&s, "     77 reader");
    top_screen_deinit(&s);
}

CASE(bars)
{
    char bar[TOP_TEXT_SIZE];
    static const struct {
        uint64_t used, max;
        const char *want;
    } bars[] = {
        {0, 10, "[    ]"},         {1, 1000, "[#   ]"},
        {5, 10, "[##  ]"},         {999, 1000, "[### ]"},
        {1000, 1000, "[####]"},    {2000, 1000, "[####]"},
        {5, UINT64_MAX, "[    ]"}, {0, 0, "[    ]"},
        {5, 0, "[####]"},          {UINT64_MAX - 1, UINT64_MAX - 1, "[####]"},
    };
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        top_bar(bars[i].used, bars[i].max, 6, bar);
        assert_string_equal(bar, bars[i].want);
    }
    assert_int_equal(top_percent(2000, 1000), 200);
    assert_int_equal(top_percent(UINT64_MAX - 1, 1), UINT_MAX);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        EACH(eighty_columns),
        EACH(forty_columns),
        EACH(two_hundred_columns),
        EACH(hardly_any_room),
        EACH(every_size),
        EACH(looks),
        EACH(a_daemon_that_is_away),
        EACH(users_and_their_quotas),
        EACH(processes),
        EACH(a_filter),
        EACH(scrolled),
        EACH(help),
        EACH(before_the_first_look),
        EACH(accents_without_end),
        cmocka_unit_test(bars),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    setenv("TZ", "UTC", 1);
    tzset();
    return RUN_TESTS(tests);
}
