/* SPDX-License-Identifier: MIT */
/*
 * A state file of any content: opening neither fails nor deletes anything. What is no good is set
 * aside; what is loaded obeys the rules of records; a change works afterwards, and is there at the
 * next start. The dump prints any content.
 *
 * The first byte says what the others are: even, the file; odd, records whose sums are set here, so
 * that what stands behind them is reached, too. There the second byte says how much of it was
 * acknowledged, and each record is its type, whether the change goes on, two bytes of length and
 * the payload.
 */
#include <string.h>

#include "daemon/store/encoding.h"
#include "daemon/store/header.h"
#include "daemon/store/journal.h"
#include "protocol/params.h"
#include "tests/fakes/fake_host.h"
#include "tests/fuzz/fuzz.h"

static struct fake_host host;

static void take_log(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    MUST(level >= LOG_LEVEL_ERROR && strlen(sentence) > 10);
}

static struct journal *open_journal(struct store_contents *ret)
{
    const struct journal_options options = {.host = fake_host(&host),
                                            .directory = "DIR",
                                            .boot_id = "11111111-2222-3333-4444-555555555555",
                                            .ipc_namespace = 4026531839,
                                            .own_uid = 0,
                                            .log = take_log};
    struct journal *j = NULL;
    MUST(journal_open(&options, &j) == 0);
    MUST(journal_ops.load(j, ret) == 0);
    return j;
}

static void check(const struct store_contents *c)
{
    for (size_t i = 0; i < c->n_segments; i++) {
        const struct stored *s = &c->segments[i];
        struct store_record record = {
            .type = STORE_SEGMENT, .serial = s->segment.serial, .segment = &s->segment};
        MUST(!store_check_record(&record));
        MUST(i == 0 || c->segments[i - 1].segment.serial < s->segment.serial);
        MUST(s->segment.serial <= c->counters.last_serial);
        record.type = STORE_TIE;
        for (size_t k = 0; k < s->n_ties; k++) {
            record.tie = s->ties[k];
            MUST(!store_check_record(&record));
        }
    }
    MUST(!c->has_intent || !store_check_intent(&c->intent));
}

/* One more segment, and nothing of what there was. */
static void serve(void)
{
    struct store_contents contents;
    const char *reason;
    struct journal *j = open_journal(&contents);
    check(&contents);
    uint64_t serial = contents.counters.last_serial + 1;
    size_t n = contents.n_segments;
    store_contents_deinit(&contents);
    if (serial > INT64_MAX) {
        journal_close(j);
        return;
    }
    const struct stored_segment segment = {.serial = serial, .shmid = INT32_MAX, .size = 1};
    const struct store_record record = {
        .type = STORE_SEGMENT, .serial = serial, .segment = &segment};
    MUST(journal_ops.write(j, &record, 1, &reason) == 0);
    journal_close(j);
    unsigned files = fake_host_count(&host, "");
    j = open_journal(&contents);
    /* Unless another one had that shmid, of which the store cannot know. */
    MUST(contents.n_segments == n + 1 || fake_host_count(&host, "") == files + 1);
    check(&contents);
    store_contents_deinit(&contents);
    journal_close(j);
}

static void dump(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    const struct host h = fake_host(&host);
    int fd = -1;
    MUST(nowhere);
    fake_host_put(&host, "copy", data, size);
    MUST(h.ops->open(h.context, "copy", false, &fd) == 0);
    int r = journal_dump_from(&h, fd, size, nowhere);
    MUST(r == 0 || r == -74); /* EBADMSG */
    h.ops->close(h.context, fd);
    fake_host_delete(&host, "copy");
}

/* The file that is made from records; how large it is. */
static size_t make_file(const uint8_t *data, size_t size, uint8_t *into)
{
    struct header header = {.seed = {1, 2},
                            .boot_id = "11111111-2222-3333-4444-555555555555",
                            .ipc_namespace = 4026531839,
                            .records_since_at_ms = 1};
    size_t len = HEADER_SIZE;
    uint64_t sum = 0;
    const uint8_t *at = data + 1, *end = data + size;
    while (end - at >= 4) {
        size_t n = (size_t)at[2] | (size_t)at[3] << 8;
        if (n > (size_t)(end - at - 4))
            n = (size_t)(end - at - 4);
        const uint8_t head[] = {(uint8_t)n, (uint8_t)(n >> 8), 0, 0, at[0], at[1] & 1, 0, 0};
        memcpy(into + len, head, sizeof(head));
        memcpy(into + len + sizeof(head), at + 4, n);
        records_seal(into + len, RECORD_OVERHEAD + n, header.seed, &sum);
        len += RECORD_OVERHEAD + n;
        at += 4 + n;
    }
    header.committed = HEADER_SIZE + (size > 0 ? (len - HEADER_SIZE) * data[0] / 255 : 0);
    header.has_intent = size > 0 && data[0] % 2;
    header.intent = (struct store_intent){.size = 1, .pid = 1};
    header_encode(&header, into);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[1 << 19];
    if (size == 0 || size > sizeof(file) / 8)
        return 0;
    bool is_made = data[0] % 2;
    data++;
    size--;
    size_t n = is_made ? make_file(data, size, file) : size;
    const uint8_t *content = is_made ? file : data;
    fake_host_init(&host);
    dump(content, n);
    fake_host_put(&host, "state.journal", content, n);
    serve();
    /* It is in force, or whole under another name. */
    const struct fake_file *aside = fake_host_find(&host, "state.journal.corrupt-1700000000");
    MUST(!aside || (aside->size >= n && (n == 0 || memcmp(aside->data, content, n) == 0)) ||
         fake_host_count(&host, "corrupt") == 1);
    fake_host_deinit(&host);
    return 0;
}
