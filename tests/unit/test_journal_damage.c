/* SPDX-License-Identifier: MIT */
/* Each bit of a journal changed, and each prefix of it: what was acknowledged is there, or the file
 * is set aside whole; and the next daemon works. */
#include "tests/unit/journal_case.h"

#include "daemon/store/header.h"
#include "daemon/util/siphash.h"

static uint8_t *bytes; /* a small journal */
static size_t size;

/* The script without its large segments, and a torn end if TORN. */
static void make_small(size_t torn)
{
    assert_opens(false);
    static const unsigned steps[] = {0, 1, 2, 3, 4, 5, 8, 10};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_int_equal(world_step(&w, steps[i]), 0);
    world_kill(&w);
    size = journal_file()->size + torn;
    bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 0, size);
    memcpy(bytes, journal_file()->data, journal_file()->size);
}

/* Opens BYTES changed: false when they are set aside, byte for byte, with an error; true when all
 * that the model has is there. */
static bool opens(const uint8_t *changed, size_t n)
{
    static const struct model nothing;
    struct store_contents contents;
    fake_host_put(&w.host, "state.journal", changed, n);
    assert_int_equal(world_open(&w, &contents), 0);
    const struct fake_file *aside = fake_host_find(&w.host, "state.journal.corrupt-1700000000");
    bool is_good = !aside;
    assert_true(world_holds(&w, &contents, is_good ? &w.model : &nothing, true));
    store_contents_deinit(&contents);
    if (aside) {
        assert_int_equal(aside->size, n);
        assert_memory_equal(aside->data, changed, n);
        assert_int_equal(w.n_errors, 1);
        assert_contains(w.log, "kept as DIR/state.journal.corrupt-1700000000");
        /* The next daemon works. */
        static struct model model;
        model = w.model;
        w.model = nothing;
        assert_int_equal(world_put(&w, 1, 1), 0);
        world_kill(&w);
        assert_int_equal(world_open(&w, &contents), 0);
        assert_true(world_holds(&w, &contents, &w.model, true));
        store_contents_deinit(&contents);
        w.model = model;
        fake_host_delete(&w.host, "state.journal.corrupt-1700000000");
    }
    world_kill(&w);
    return is_good;
}

TEST(each_bit)
{
    make_small(0);
    unsigned aside = 0;
    assert_true(opens(bytes, size));
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            aside += !opens(bytes, size);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    print_message("# %zu bits changed, %u set aside\n", size * 8, aside);
    assert_int_equal(aside, size * 8);
    free(bytes);
}

TEST(each_byte_replaced)
{
    make_small(0);
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        static const uint8_t values[] = {0x00, 0xFF, 0x7F, 0x01};
        uint8_t was = bytes[i];
        for (size_t k = 0; k < sizeof(values); k++) {
            if (values[k] == was)
                continue;
            bytes[i] = values[k];
            assert_false(opens(bytes, size));
            count++;
        }
        bytes[i] = was;
    }
    print_message("# %u replaced bytes, all set aside\n", count);
    free(bytes);
}

TEST(each_prefix)
{
    make_small(0);
    for (size_t n = 0; n < size; n++)
        assert_false(opens(bytes, n));
    print_message("# %zu prefixes, all set aside\n", size);
    assert_true(opens(bytes, size));
    free(bytes);
}

/* The header of one journal does not go with the records of another. */
TEST(records_of_another_seed)
{
    struct header header;
    char why[200];
    make_small(0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(header_decode(bytes, size, &header, why, sizeof(why)), 0);
        header.seed[i] ^= 1;
        header_encode(&header, bytes);
        assert_false(opens(bytes, size));
        header.seed[i] ^= 1;
        header_encode(&header, bytes);
    }
    assert_true(opens(bytes, size));
    free(bytes);
}

/* A header that says that less was acknowledged, or a part of a change: with the right sum. */
TEST(what_was_acknowledged_ends_with_a_change)
{
    struct header header;
    char why[200];
    make_small(0);
    size_t changes = 0, good = 0;
    for (size_t at = HEADER_SIZE; at < size; at += 16 + bytes[at] + (size_t)bytes[at + 1] * 256)
        changes += bytes[at + 5] == 0; /* the record ends its change */
    assert_int_equal(header_decode(bytes, size, &header, why, sizeof(why)), 0);
    for (header.committed = HEADER_SIZE; header.committed <= size; header.committed++) {
        header_encode(&header, bytes);
        good += opens(bytes, size);
    }
    assert_int_equal(good, changes + 1);
    free(bytes);
}

/* With right sums, and yet what no daemon would have written. */
TEST(two_records_of_one_segment)
{
    static const char *const whys[] = {"same shmid", "same key", "same name"};
    for (int i = 0; i < 3; i++) {
        struct stored_segment first = *example_segment(&w, 1, 0), second = first;
        const struct store_record records[] = {
            {.type = STORE_SEGMENT, .serial = 1, .segment = &first},
            {.type = STORE_SEGMENT, .serial = 2, .segment = &second},
        };
        struct store_contents contents;
        const char *reason;
        first.key = 7;
        first.name = "a";
        second.serial = 2;
        second.shmid = first.shmid + (i > 0);
        second.key = i == 1 ? 7 : 8;
        second.name = i == 2 ? "a" : "b";
        world_deinit(&w);
        world_init(&w);
        assert_opens(false);
        assert_int_equal(journal_ops.write(w.journal, records, 2, &reason), 0);
        world_kill(&w);
        assert_int_equal(world_open(&w, &contents), 0);
        assert_int_equal(contents.n_segments, 0);
        assert_contains(w.log, whys[i]);
        store_contents_deinit(&contents);
    }
}

/* Anybody finds two such names in minutes, where the hash has a key that he knows. */
TEST(names_that_share_a_hash_are_two_names)
{
    static const uint64_t known[2] = {1, 2};
    static const char *const names[] = {"dcgyuj0bkogyi", "3inamp0pmyose"};
    struct stored_segment segments[2];
    struct store_record records[2];
    struct store_contents contents;
    const char *reason;
    assert_int_equal(siphash(known, names[0], strlen(names[0])),
                     siphash(known, names[1], strlen(names[1])));
    assert_opens(false);
    for (unsigned i = 0; i < 2; i++) {
        segments[i] = *example_segment(&w, i + 1, 0);
        segments[i].shmid = (int32_t)i;
        segments[i].key = 0;
        segments[i].name = names[i];
        records[i] =
            (struct store_record){.type = STORE_SEGMENT, .serial = i + 1, .segment = &segments[i]};
    }
    assert_int_equal(journal_ops.write(w.journal, records, 2, &reason), 0);
    world_kill(&w);
    assert_int_equal(world_open(&w, &contents), 0);
    assert_int_equal(contents.n_segments, 2);
    store_contents_deinit(&contents);
    assert_int_equal(fake_host_count(&w.host, "corrupt"), 0);
}

TEST(each_record_left_out_or_moved)
{
    make_small(0);
    unsigned count = 0;
    size_t starts[64], n = 0;
    for (size_t at = 128; at < size; at += 16 + bytes[at] + (size_t)bytes[at + 1] * 256)
        starts[n++] = at;
    starts[n] = size;
    uint8_t *changed = malloc(size);
    assert_non_null(changed);
    for (size_t i = 0; i < n; i++) {
        size_t length = starts[i + 1] - starts[i];
        memcpy(changed, bytes, starts[i]);
        memcpy(changed + starts[i], bytes + starts[i + 1], size - starts[i + 1]);
        assert_false(opens(changed, size - length));
        for (size_t k = i + 1; k < n; k++) { /* in place of a later one */
            memcpy(changed, bytes, size);
            size_t other = starts[k + 1] - starts[k];
            memcpy(changed + starts[k], bytes + starts[i], length < other ? length : other);
            assert_false(opens(changed, size));
            count++;
        }
        count++;
    }
    print_message("# %u records left out or moved, all set aside\n", count);
    free(changed);
    free(bytes);
}

/* With the right sum, as no daemon would have written it. */
TEST(a_header_that_ends_within_a_change)
{
    make_small(0);
    struct header header;
    char why[200];
    assert_int_equal(header_decode(bytes, size, &header, why, sizeof(why)), 0);
    assert_int_equal(header.committed, size);
    unsigned aside = 0, ends = 0;
    for (header.committed = 128; header.committed <= size; header.committed++) {
        header_encode(&header, bytes);
        if (opens(bytes, size))
            ends++; /* whole changes behind it are taken */
        else
            aside++;
    }
    print_message("# %u places within a change, %u between changes\n", aside, ends);
    assert_int_equal(ends, 10); /* before and behind the counters, and behind eight changes */
    free(bytes);
}

TEST(a_torn_end_is_cut_off)
{
    enum { TORN = 40 };
    make_small(TORN);
    for (unsigned fill = 0; fill < 256; fill++) {
        memset(bytes + size - TORN, (int)fill, TORN);
        for (size_t n = size - TORN + 1; n <= size; n += fill % 13 + 1) {
            struct store_contents contents;
            fake_host_put(&w.host, "state.journal", bytes, n);
            assert_int_equal(world_open(&w, &contents), 0);
            assert_true(world_holds(&w, &contents, &w.model, true));
            store_contents_deinit(&contents);
            assert_contains(w.log, "cut off");
            assert_int_equal(w.n_errors + w.n_warnings, 0);
            assert_int_equal(journal_file()->size, size - TORN);
            world_kill(&w);
        }
    }
    free(bytes);
}

TEST(what_is_no_file_or_no_journal_is_set_aside)
{
    make_small(0);
    static const struct {
        const char *content;
        size_t n;
        const char *part;
    } cases[] = {
        {"", 0, "it has 0 bytes"},
        {"shmdjrnl", 8, "it has 8 bytes"},
        {"this is text, as an editor would write it, and it is long enough to be a header of a "
         "journal, so that its first bytes decide what becomes of it ................",
         150, "not a journal of shmd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store_contents contents;
        fake_host_put(&w.host, "state.journal", cases[i].content, cases[i].n);
        assert_int_equal(world_open(&w, &contents), 0);
        assert_int_equal(contents.n_segments, 0);
        store_contents_deinit(&contents);
        assert_contains(w.log, cases[i].part);
        assert_int_equal(fake_host_count(&w.host, "corrupt"), i + 1); /* under a free name */
        world_kill(&w);
    }
    struct store_contents contents;
    bytes[8] = 2; /* a later format; what it has in its other bytes is not looked at */
    fake_host_put(&w.host, "state.journal", bytes, size);
    assert_int_equal(world_open(&w, &contents), 0);
    store_contents_deinit(&contents);
    assert_contains(w.log, "format 2");
    world_kill(&w);
    journal_file()->is_regular = false;
    assert_int_equal(world_open(&w, &contents), 0);
    store_contents_deinit(&contents);
    assert_contains(w.log, "not a regular file");
    assert_int_equal(fake_host_count(&w.host, "corrupt"), 5);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(each_bit),
        JOURNAL_TEST(each_byte_replaced),
        JOURNAL_TEST(each_prefix),
        JOURNAL_TEST(records_of_another_seed),
        JOURNAL_TEST(what_was_acknowledged_ends_with_a_change),
        JOURNAL_TEST(two_records_of_one_segment),
        JOURNAL_TEST(names_that_share_a_hash_are_two_names),
        JOURNAL_TEST(each_record_left_out_or_moved),
        JOURNAL_TEST(a_header_that_ends_within_a_change),
        JOURNAL_TEST(a_torn_end_is_cut_off),
        JOURNAL_TEST(what_is_no_file_or_no_journal_is_set_aside),
    };
    return RUN_TESTS(tests);
}
