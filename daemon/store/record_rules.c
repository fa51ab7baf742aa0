/* SPDX-License-Identifier: MIT */
/* What a record may say. The same rules hold for what is written and for what is read: nothing can
 * be stored that would make the next start take the file for damaged. */
#include <string.h>

#include "daemon/store/store.h"

/* Whether TEXT, of LEN bytes, is UTF-8 as JSON wants it. */
static bool is_utf8(const char *text, size_t len)
{
    /* The least code point, by the number of bytes that follow the first. */
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        size_t more = s[i] < 0x80 ? 0 : s[i] >= 0xF0 ? 3 : s[i] >= 0xE0 ? 2 : 1;
        if ((s[i] >= 0x80 && s[i] < 0xC2) || s[i] > 0xF4 || more >= len - i)
            return false;
        uint32_t code = more == 0 ? s[i] : s[i] & (0x3Fu >> more);
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xC0) != 0x80)
                return false;
            code = code << 6 | (s[i + k] & 0x3F);
        }
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        i += more + 1;
    }
    return true;
}

static bool is_comm(const char comm[static COMM_MAX])
{
    size_t i = 0;
    while (i < COMM_MAX && comm[i] >= 0x20 && comm[i] < 0x7F)
        i++;
    return i < COMM_MAX && comm[i] == '\0';
}

static const char *check_labels(const struct label *labels, size_t count)
{
    if (count > SEGMENT_LABELS_MAX)
        return "it has too many labels";
    for (size_t i = 0; i < count; i++) {
        if (params_check_label_key(labels[i].key))
            return "a label has no valid key";
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels[i].key, labels[j].key) == 0)
                return "a label is there twice";
        size_t len = strlen(labels[i].value);
        if (len > LABEL_VALUE_MAX || !is_utf8(labels[i].value, len))
            return "a label has no valid value";
    }
    return NULL;
}

static bool is_serial(uint64_t serial)
{
    return serial > 0 && serial <= INT64_MAX;
}

static const char *check_segment(const struct stored_segment *s)
{
    if (s->name && params_check_name(s->name))
        return "name is not valid";
    if (s->other_name && params_check_name(s->other_name))
        return "other_name is not valid";
    if (s->replaces > INT64_MAX)
        return "replaces is out of range";
    if (s->shmid < 0)
        return "shmid is negative";
    if (s->cpid < 0 || s->creator.pid < 0)
        return "a pid is negative";
    if (s->size == 0 || s->size > INT64_MAX)
        return "size is out of range";
    if (!is_comm(s->creator.comm))
        return "creator_comm is not printable";
    if ((unsigned)s->state >= STATE_REMOVED)
        return "state is out of range";
    if ((unsigned)s->lifetime >= LIFETIME_COUNT)
        return "lifetime is out of range";
    if (s->huge_page_size > INT64_MAX || (s->huge_page_size & (s->huge_page_size - 1)) != 0)
        return "huge_page_size is not a power of two";
    if (s->expires_at_ms < 0)
        return "expires_at_ms is negative";
    if (s->idle_ttl_ms < 0)
        return "idle_ttl_ms is negative";
    if (s->idle.since_ms < 0)
        return "idle_since_ms is negative";
    if (s->idle.since_ms != 0 && s->idle_ttl_ms == 0)
        return "idle_since_ms is there without idle_ttl_ms";
    return check_labels(s->labels, s->n_labels);
}

static const char *check_tie(const struct stored_tie *tie)
{
    if ((unsigned)tie->role >= TIE_ROLES)
        return "role is out of range";
    if (tie->identity.pid <= 0)
        return "pid is out of range";
    return is_comm(tie->comm) ? NULL : "comm is not printable";
}

const char *store_check_record(const struct store_record *record)
{
    switch (record->type) {
    case STORE_COUNTERS:
        return record->counters.last_serial > INT64_MAX || record->counters.event_serial > INT64_MAX
                   ? "the counters are used up"
                   : NULL;
    case STORE_DAEMON: return record->daemon.pid <= 0 ? "pid is out of range" : NULL;
    case STORE_SEGMENT:
    case STORE_TIE:
    case STORE_UNTIE:
    case STORE_GONE:
    case STORE_IDLE: break;
    default: return "there is no such type of record";
    }
    if (!is_serial(record->serial))
        return "serial is out of range";
    if (record->type == STORE_SEGMENT)
        return record->segment->serial != record->serial ? "it is the record of another segment"
                                                         : check_segment(record->segment);
    if (record->type == STORE_IDLE)
        return record->idle.since_ms <= 0 ? "idle_since_ms is out of range" : NULL;
    return record->type == STORE_GONE ? NULL : check_tie(&record->tie);
}

const char *store_check_intent(const struct store_intent *intent)
{
    if (intent->pid <= 0)
        return "pid is out of range";
    return intent->size == 0 || intent->size > INT64_MAX ? "size is out of range" : NULL;
}
