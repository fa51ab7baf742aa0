#include "daemon/store/row.h"

#include <errno.h>
#include <string.h>

#include "daemon/util/siphash.h"
#include "protocol/params.h"

/* What a row's values come to, in the order of its columns. */
struct sum {
    uint64_t so_far[2];
};

static void sum_up(struct sum *sum, const void *data, size_t len)
{
    sum->so_far[0] = siphash(sum->so_far, data, len);
    sum->so_far[1]++;
}

static void sum_up_int(struct sum *sum, int64_t value)
{
    sum_up(sum, &value, sizeof(value));
}

/* NULL is another than the empty text. */
static void sum_up_text(struct sum *sum, const char *text)
{
    sum_up(sum, text ? text : "\xFF", text ? strlen(text) : 1);
}

/* As it is stored: a positive number. */
static int64_t sum_of(const struct sum *sum)
{
    int64_t value = (int64_t)(sum->so_far[0] & INT64_MAX);
    return value ? value : 1;
}

/* Whether TEXT, of LEN bytes, is UTF-8 as JSON wants it. */
static bool is_utf8(const char *text, size_t len)
{
    static const uint32_t least[] = {0, 0x80, 0x800,
                                     0x10000}; /* by the number of bytes that follow */
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
        return "too many labels";
    for (size_t i = 0; i < count; i++) {
        if (params_check_label_key(labels[i].key))
            return "a label's key is not one";
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels[i].key, labels[j].key) == 0)
                return "a label occurs twice";
        size_t len = strlen(labels[i].value);
        if (len > LABEL_VALUE_MAX || !is_utf8(labels[i].value, len))
            return "a label's value is not one";
    }
    return NULL;
}

const char *row_check_segment(const struct segment *s)
{
    if (s->serial == 0 || s->serial > INT64_MAX)
        return "serial out of range";
    if (s->name && params_check_name(s->name))
        return "name is not one";
    if (s->shmid < 0)
        return "shmid out of range";
    if (s->cpid < 0 || s->creator.pid < 0)
        return "pid out of range";
    if (s->size == 0 || s->size > INT64_MAX)
        return "size out of range";
    if (!is_comm(s->creator.comm))
        return "creator_comm is not one";
    if ((unsigned)s->state >= STATE_REMOVED)
        return "state out of range";
    if ((unsigned)s->lifetime >= LIFETIME_COUNT)
        return "lifetime out of range";
    if (s->huge_page_size > INT64_MAX || (s->huge_page_size & (s->huge_page_size - 1)) != 0)
        return "huge_page_size is not a power of two";
    if (s->expires_at_ms < 0)
        return "expires_at_ms out of range";
    return check_labels(s->labels, s->n_labels);
}

const char *row_check_tie(const struct stored_tie *tie)
{
    if ((unsigned)tie->role >= TIE_ROLES)
        return "role out of range";
    if (tie->identity.pid <= 0)
        return "pid out of range";
    return is_comm(tie->comm) ? NULL : "comm is not one";
}

/* --- writing: values in the order of the columns; the first failure stays */

struct binder {
    sqlite3_stmt *statement;
    int place;
    int code;
    struct sum sum;
};

static void bind_int(struct binder *b, int64_t value)
{
    sum_up_int(&b->sum, value);
    if (b->code == SQLITE_OK)
        b->code = sqlite3_bind_int64(b->statement, ++b->place, value);
}

/* NULL is SQL's. */
static void bind_text(struct binder *b, const char *value)
{
    sum_up_text(&b->sum, value);
    if (b->code == SQLITE_OK)
        b->code = sqlite3_bind_text(b->statement, ++b->place, value, -1, SQLITE_STATIC);
}

/* Key, NUL, value, NUL for each. */
static void bind_labels(struct binder *b, const struct label *labels, size_t count, char *room)
{
    char *end = room;
    for (size_t i = 0; i < count; i++) {
        end = stpcpy(end, labels[i].key) + 1;
        end = stpcpy(end, labels[i].value) + 1;
    }
    sum_up(&b->sum, room, (size_t)(end - room));
    if (b->code == SQLITE_OK)
        b->code = sqlite3_bind_blob(b->statement, ++b->place, count > 0 ? room : NULL,
                                    (int)(end - room), SQLITE_STATIC);
}

int row_bind_segment(sqlite3_stmt *statement, const struct segment *s,
                     char labels_room[static ROW_LABELS_MAX])
{
    struct binder b = {.statement = statement};
    bind_int(&b, (int64_t)s->serial);
    bind_text(&b, s->name);
    bind_int(&b, s->key);
    bind_int(&b, s->shmid);
    bind_int(&b, s->cpid);
    bind_int(&b, s->cuid);
    bind_int(&b, (int64_t)s->size);
    bind_int(&b, s->creator.uid);
    bind_int(&b, s->creator.gid);
    bind_int(&b, s->creator.pid);
    bind_text(&b, s->creator.comm);
    bind_int(&b, s->creator.was_admin);
    bind_int(&b, s->state);
    bind_int(&b, s->lifetime);
    bind_int(&b, s->noreserve);
    bind_int(&b, s->adopted);
    bind_int(&b, (int64_t)s->huge_page_size);
    bind_int(&b, s->created_at_ms);
    bind_int(&b, s->expires_at_ms);
    bind_labels(&b, s->labels, s->n_labels, labels_room);
    bind_int(&b, sum_of(&b.sum));
    return b.code;
}

int row_bind_tie(sqlite3_stmt *statement, uint64_t serial, size_t place,
                 const struct stored_tie *tie)
{
    struct binder b = {.statement = statement};
    bind_int(&b, (int64_t)serial);
    bind_int(&b, (int64_t)place);
    bind_int(&b, tie->role);
    bind_int(&b, tie->identity.pid);
    bind_int(&b, (int64_t)tie->identity.inode);
    bind_int(&b, (int64_t)tie->identity.started_at);
    bind_int(&b, tie->uid);
    bind_text(&b, tie->comm);
    bind_int(&b, tie->since_at_ms);
    bind_int(&b, sum_of(&b.sum));
    return b.code;
}

/* --- reading: values in the order of the columns; the first that is wrong stays */

struct reader {
    sqlite3_stmt *statement;
    int column;
    int error;
    const char *why;
    struct sum sum;
};

static void refuse(struct reader *r, int error, const char *why)
{
    if (r->error == 0) {
        r->error = error;
        r->why = why;
    }
}

bool row_read_int(sqlite3_stmt *statement, int column, int64_t min, int64_t max, int64_t *ret)
{
    if (sqlite3_column_type(statement, column) != SQLITE_INTEGER)
        return false;
    int64_t value = sqlite3_column_int64(statement, column);
    if (value < min || value > max)
        return false;
    *ret = value;
    return true;
}

static int64_t read_int(struct reader *r, int64_t min, int64_t max)
{
    int64_t value = min;
    if (!row_read_int(r->statement, r->column++, min, max, &value))
        refuse(r, -EBADMSG, "a number is out of range");
    sum_up_int(&r->sum, value);
    return value;
}

/* The last column. */
static void read_sum(struct reader *r)
{
    const struct sum sum = r->sum;
    int64_t stored = read_int(r, 0, INT64_MAX);
    if (stored != 0 && stored != sum_of(&sum))
        refuse(r, -EBADMSG, "it is not as it was written");
}

/* The text as SQLite has it until the next step; NULL for SQL's NULL and for what is no text. */
static const char *read_text(struct reader *r, bool may_be_null)
{
    int column = r->column++;
    int type = sqlite3_column_type(r->statement, column);
    if (type == SQLITE_NULL && may_be_null) {
        sum_up_text(&r->sum, NULL);
        return NULL;
    }
    const char *text = NULL;
    if (type != SQLITE_TEXT) {
        refuse(r, -EBADMSG, "a text is not one");
    } else if (!(text = (const char *)sqlite3_column_text(r->statement, column))) {
        refuse(r, -ENOMEM, "out of memory");
    } else if (strlen(text) != (size_t)sqlite3_column_bytes(r->statement, column)) {
        refuse(r, -EBADMSG, "a text has a NUL in it");
    }
    sum_up_text(&r->sum, text);
    return text;
}

static void read_comm(struct reader *r, char ret[static COMM_MAX])
{
    const char *text = read_text(r, false);
    size_t len = text ? strlen(text) : 0;
    if (len >= COMM_MAX) {
        refuse(r, -EBADMSG, "a process's name is too long");
        return;
    }
    if (text)
        memcpy(ret, text, len + 1);
}

static void read_labels(struct reader *r, struct label **ret, size_t *ret_count)
{
    int column = r->column++;
    int type = sqlite3_column_type(r->statement, column);
    if (type == SQLITE_NULL) {
        sum_up(&r->sum, "", 0);
        return;
    }
    const char *blob = type == SQLITE_BLOB ? sqlite3_column_blob(r->statement, column) : NULL;
    size_t len = (size_t)sqlite3_column_bytes(r->statement, column);
    if (type == SQLITE_BLOB && len > 0 && !blob) {
        refuse(r, -ENOMEM, "out of memory");
        return;
    }
    sum_up(&r->sum, blob ? blob : "", blob ? len : 0);
    struct label items[SEGMENT_LABELS_MAX];
    size_t count = 0;
    const char *at = blob, *end = blob ? blob + len : NULL;
    while (at < end && count < SEGMENT_LABELS_MAX) {
        const char *value = memchr(at, '\0', (size_t)(end - at));
        const char *stop = value ? memchr(value + 1, '\0', (size_t)(end - value - 1)) : NULL;
        if (!stop)
            break;
        items[count++] = (struct label){at, value + 1};
        at = stop + 1;
    }
    if (count == 0 || at != end) {
        refuse(r, -EBADMSG, "the labels are not pairs of texts");
        return;
    }
    if (segment_copy_labels(items, count, ret) < 0)
        refuse(r, -ENOMEM, "out of memory");
    else
        *ret_count = count;
}

static void free_segment(struct segment **segment)
{
    segment_free(*segment);
}

int row_read_segment(sqlite3_stmt *statement, struct segment **ret, const char **ret_why)
{
    struct reader r = {.statement = statement};
    struct segment *s CLEANUP(free_segment) = segment_new();
    if (!s)
        return -ENOMEM;
    s->serial = (uint64_t)read_int(&r, 1, INT64_MAX);
    const char *name = read_text(&r, true);
    if (name && !(s->name = strdup(name)))
        refuse(&r, -ENOMEM, "out of memory");
    s->key = (uint32_t)read_int(&r, 0, UINT32_MAX);
    s->shmid = (int32_t)read_int(&r, 0, INT32_MAX);
    s->cpid = (int32_t)read_int(&r, 0, INT32_MAX);
    s->cuid = (uint32_t)read_int(&r, 0, UINT32_MAX);
    s->size = (uint64_t)read_int(&r, 1, INT64_MAX);
    s->creator.uid = (uint32_t)read_int(&r, 0, UINT32_MAX);
    s->creator.gid = (uint32_t)read_int(&r, 0, UINT32_MAX);
    s->creator.pid = (int32_t)read_int(&r, 0, INT32_MAX);
    read_comm(&r, s->creator.comm);
    s->creator.was_admin = read_int(&r, 0, 1);
    s->state = (enum segment_state)read_int(&r, 0, STATE_REMOVED - 1);
    s->lifetime = (enum lifetime)read_int(&r, 0, LIFETIME_COUNT - 1);
    s->noreserve = read_int(&r, 0, 1);
    s->adopted = read_int(&r, 0, 1);
    s->huge_page_size = (uint64_t)read_int(&r, 0, INT64_MAX);
    s->created_at_ms = read_int(&r, INT64_MIN, INT64_MAX);
    s->expires_at_ms = read_int(&r, 0, INT64_MAX);
    read_labels(&r, &s->labels, &s->n_labels);
    const char *why = r.error == 0 ? row_check_segment(s) : NULL;
    if (why)
        refuse(&r, -EBADMSG, why);
    read_sum(&r);
    if (r.error < 0)
        *ret_why = r.why;
    else
        *ret = steal_pointer(&s);
    return r.error;
}

int row_read_tie(sqlite3_stmt *statement, struct stored_tie *ret, const char **ret_why)
{
    struct reader r = {.statement = statement};
    struct stored_tie tie = {0};
    (void)read_int(&r, 1, INT64_MAX); /* serial */
    (void)read_int(&r, 0, INT64_MAX); /* place */
    tie.role = (enum tie_role)read_int(&r, 0, TIE_ROLES - 1);
    tie.identity.pid = (int32_t)read_int(&r, 1, INT32_MAX);
    tie.identity.inode = (uint64_t)read_int(&r, INT64_MIN, INT64_MAX);
    tie.identity.started_at = (uint64_t)read_int(&r, INT64_MIN, INT64_MAX);
    tie.uid = (uint32_t)read_int(&r, 0, UINT32_MAX);
    read_comm(&r, tie.comm);
    tie.since_at_ms = read_int(&r, INT64_MIN, INT64_MAX);
    const char *why = r.error == 0 ? row_check_tie(&tie) : NULL;
    if (why)
        refuse(&r, -EBADMSG, why);
    read_sum(&r);
    if (r.error < 0)
        *ret_why = r.why;
    else
        *ret = tie;
    return r.error;
}
