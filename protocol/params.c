/* SPDX-License-Identifier: MIT */
#include "protocol/params.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "protocol/plain.h"
#include "protocol/terms.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define AT(s, member) .offset = offsetof(struct s, member)
#define INT(s, member, low, high)                                                                  \
    {                                                                                              \
        .name = #member, .type = FIELD_INT, AT(s, member), .min = (low), .max = (high)             \
    }
#define BOOL(s, member)                                                                            \
    {                                                                                              \
        .name = #member, .type = FIELD_BOOL, AT(s, member)                                         \
    }
#define MODE(s, member)                                                                            \
    {                                                                                              \
        .name = #member, .type = FIELD_MODE, AT(s, member)                                         \
    }
#define NAME(s, member)                                                                            \
    {                                                                                              \
        .name = #member, .type = FIELD_NAME, AT(s, member)                                         \
    }
#define LABELS(s, member)                                                                          \
    {                                                                                              \
        .name = #member, .type = FIELD_LABELS, AT(s, member)                                       \
    }
#define WORD(s, member, list)                                                                      \
    {                                                                                              \
        .name = #member, .type = FIELD_WORD, AT(s, member), .words = (list)                        \
    }

#define KEY_MIN    INT32_MIN
#define KEY_MAX    UINT32_MAX
#define ID_MAX     (UINT32_MAX - 1LL) /* (uid_t)-1 means «leave it» to the kernel */
#define CURSOR_MAX 64
#define MS_MAX     (INT64_MAX / 4)

#define TARGET(s)                                                                                  \
    {.name = "name", .type = FIELD_NAME, AT(s, target.name)},                                      \
        {.name = "shmid", .type = FIELD_INT, AT(s, target.shmid), .min = 0, .max = INT32_MAX},     \
        {.name = "key", .type = FIELD_INT, AT(s, target.key), .min = KEY_MIN, .max = KEY_MAX},     \
    {                                                                                              \
        .name = "serial", .type = FIELD_INT, AT(s, target.serial), .min = 1, .max = INT64_MAX      \
    }

static const struct field create_fields[] = {
    NAME(create_params, name),
    INT(create_params, key, KEY_MIN, KEY_MAX),
    {.name = "size",
     .type = FIELD_INT,
     .required = true,
     AT(create_params, size),
     .min = 1,
     .max = INT64_MAX},
    MODE(create_params, mode),
    BOOL(create_params, exclusive),
    BOOL(create_params, replace),
    BOOL(create_params, hold),
    INT(create_params, uid, 0, ID_MAX),
    INT(create_params, gid, 0, ID_MAX),
    WORD(create_params, lifetime, lifetime_words),
    INT(create_params, ttl_ms, 0, MS_MAX),
    INT(create_params, idle_ttl_ms, 0, MS_MAX),
    BOOL(create_params, ready),
    LABELS(create_params, labels),
    INT(create_params, huge_page_size, 0, INT64_MAX),
    BOOL(create_params, noreserve),
    BOOL(create_params, locked),
    BOOL(create_params, any_owner),
};

/* ready, release, disown */
static const struct field target_fields[] = {TARGET(target_params)};

/* stat, hold */
static const struct field owned_target_fields[] = {
    TARGET(target_params),
    INT(target_params, owner, 0, ID_MAX),
};

static const struct field set_fields[] = {
    TARGET(set_params),
    MODE(set_params, mode),
    INT(set_params, uid, 0, ID_MAX),
    INT(set_params, gid, 0, ID_MAX),
    NAME(set_params, new_name),
    LABELS(set_params, labels),
    WORD(set_params, lifetime, lifetime_words),
    INT(set_params, ttl_ms, 0, MS_MAX),
    INT(set_params, idle_ttl_ms, 0, MS_MAX),
    BOOL(set_params, locked),
};

static const struct field remove_fields[] = {
    TARGET(remove_params),
    BOOL(remove_params, only_if_unattached),
};

static const struct field list_fields[] = {
    {.name = "prefix", .type = FIELD_PREFIX, AT(list_params, prefix)},
    INT(list_params, uid, 0, ID_MAX),
    WORD(list_params, lifetime, lifetime_words),
    WORD(list_params, state, state_words),
    LABELS(list_params, labels),
    WORD(list_params, scope, scope_words),
    INT(list_params, limit, 1, LIST_LIMIT_MAX),
    {.name = "cursor", .type = FIELD_CURSOR, AT(list_params, cursor), .min = 1, .max = CURSOR_MAX},
};

static const struct field wait_fields[] = {
    {.name = "name", .type = FIELD_NAME, .required = true, AT(wait_params, name)},
    INT(wait_params, timeout_ms, 0, MS_MAX),
    BOOL(wait_params, hold),
    INT(wait_params, owner, 0, ID_MAX),
};

static const struct field adopt_fields[] = {
    INT(adopt_params, shmid, 0, INT32_MAX),
    INT(adopt_params, key, KEY_MIN, KEY_MAX),
    NAME(adopt_params, name),
    WORD(adopt_params, lifetime, lifetime_words),
    INT(adopt_params, ttl_ms, 0, MS_MAX),
    LABELS(adopt_params, labels),
};

static const struct field subscribe_fields[] = {
    {.name = "prefix", .type = FIELD_PREFIX, AT(subscribe_params, prefix)},
    {.name = "kinds", .type = FIELD_WORDS, AT(subscribe_params, kinds), .words = event_words},
    INT(subscribe_params, after, 0, INT64_MAX),
};

static int check_create(const union params *params, struct failure *f);
static int check_target(const union params *params, struct failure *f);
static int check_adopt(const union params *params, struct failure *f);

#define TABLE(fields) (fields), COUNT(fields)

static const struct field_table tables[METHOD_COUNT] = {
    [METHOD_INFO] = {NULL, 0, false, NULL},
    [METHOD_CREATE] = {TABLE(create_fields), false, check_create},
    [METHOD_STAT] = {TABLE(owned_target_fields), true, check_target},
    [METHOD_SET] = {TABLE(set_fields), true, check_target},
    [METHOD_REMOVE] = {TABLE(remove_fields), true, check_target},
    [METHOD_LIST] = {TABLE(list_fields), false, NULL},
    [METHOD_READY] = {TABLE(target_fields), true, check_target},
    [METHOD_WAIT] = {TABLE(wait_fields), false, NULL},
    [METHOD_HOLD] = {TABLE(owned_target_fields), true, check_target},
    [METHOD_RELEASE] = {TABLE(target_fields), true, check_target},
    [METHOD_ADOPT] = {TABLE(adopt_fields), false, check_adopt},
    [METHOD_DISOWN] = {TABLE(target_fields), true, check_target},
    [METHOD_RELOAD] = {NULL, 0, false, NULL},
    [METHOD_SUBSCRIBE] = {TABLE(subscribe_fields), false, NULL},
    [METHOD_METRICS] = {NULL, 0, false, NULL},
};

_Static_assert(COUNT(create_fields) <= 32, "one bit each in decode_member()");
_Static_assert(offsetof(struct target_params, target) == 0, "the target stands first");
_Static_assert(offsetof(struct set_params, target) == 0, "the target stands first");
_Static_assert(offsetof(struct remove_params, target) == 0, "the target stands first");

const struct field_table *params_table(enum method method)
{
    return &tables[method];
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool of_name_set(const char *value)
{
    for (; *value; value++)
        if (!is_letter_or_digit(*value) && !strchr("._:@/-", *value))
            return false;
    return true;
}

const char *params_check_name(const char *value)
{
    if (*value == '\0' || strlen(value) > SEGMENT_NAME_MAX)
        return "must be 1 to 255 bytes long";
    if (!is_letter_or_digit(*value) && *value != '_')
        return "must begin with a letter, a digit or _";
    return of_name_set(value) ? NULL : "may hold only A-Z a-z 0-9 . _ : @ / -";
}

const char *params_check_label_key(const char *value)
{
    if (*value == '\0' || strlen(value) > LABEL_KEY_MAX)
        return "must be 1 to 63 bytes long";
    return of_name_set(value) ? NULL : "may hold only A-Z a-z 0-9 . _ : @ / -";
}

static const char *kind_of_real(const json_t *real)
{
    if (value_is_beyond_int64(real))
        return "a number beyond the range of a 64-bit integer";
    return fabs(json_real_value(real)) > 0x1p53 ? "a real number above 2^53, which is not exact"
                                                : "a number that is not an integer";
}

static const char *kind_of(const struct value *value)
{
    switch (value->kind) {
    case VALUE_STRING: return "a string";
    case VALUE_INT: return "an integer";
    case VALUE_BOOL: return "a boolean";
    case VALUE_NONE:
    case VALUE_RAW:
    case VALUE_OTHER: break;
    }
    switch (json_typeof(value->json)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return kind_of_real(value->json);
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static int refuse_kind(struct failure *f, const char *name, const char *want,
                       const struct value *value)
{
    failure_invalid_parameter(f, name, "must be %s, not %s", want, kind_of(value));
    return -EINVAL;
}

static int decode_int(const struct field *field, const struct value *value, struct opt_int *ret,
                      struct failure *f)
{
    if (value_is_beyond_int64(value->json)) {
        failure_invalid_parameter(f, field->name, "is beyond the range of a 64-bit integer");
        return -EINVAL;
    }
    int64_t v;
    if (!value_is_integer(value, &v))
        return refuse_kind(f, field->name, "an integer", value);
    if (v < field->min || v > field->max) {
        failure_invalid_parameter(f, field->name,
                                  "must be from %" PRId64 " to %" PRId64 ", not %" PRId64,
                                  field->min, field->max, v);
        return -EINVAL;
    }
    *ret = (struct opt_int){true, v};
    return 0;
}

/* The words of a list, or the names of fields, with commas between; cut at the room left. */
struct word_list {
    char text[400];
    size_t used;
};

static void list_word(struct word_list *list, const char *word)
{
    size_t len = strlen(word);
    if (list->used + len + 3 > sizeof(list->text))
        return;
    if (list->used > 0) {
        memcpy(list->text + list->used, ", ", 2);
        list->used += 2;
    }
    memcpy(list->text + list->used, word, len + 1);
    list->used += len;
}

/* The index of VALUE's word, or -EINVAL. */
static int find_word(const struct field *field, const struct value *value, struct failure *f)
{
    if (value->kind != VALUE_STRING)
        return refuse_kind(f, field->name, "a string", value);
    int found = term_find(field->words, value->text);
    if (found >= 0)
        return found;
    struct word_list list = {0};
    for (int i = 0; field->words[i]; i++)
        list_word(&list, field->words[i]);
    failure_invalid_parameter(f, field->name, "must be one of %s", list.text);
    return -EINVAL;
}

static int decode_word(const struct field *field, const struct value *value, struct opt_int *ret,
                       struct failure *f)
{
    int found = find_word(field, value, f);
    if (found < 0)
        return found;
    *ret = (struct opt_int){true, found};
    return 0;
}

static int decode_words(const struct field *field, const struct value *value, struct opt_int *ret,
                        struct failure *f)
{
    if (!json_is_array(value->json))
        return refuse_kind(f, field->name, "an array of strings", value);
    int64_t bits = 0;
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const struct value item = value_of_json(json_array_get(value->json, i));
        int found = find_word(field, &item, f);
        if (found < 0)
            return found;
        bits |= INT64_C(1) << found;
    }
    *ret = (struct opt_int){true, bits};
    return 0;
}

static int decode_mode(const struct field *field, const struct value *value, struct opt_int *ret,
                       struct failure *f)
{
    if (value->kind == VALUE_INT || json_is_real(value->json)) {
        failure_invalid_parameter(f, field->name,
                                  "must be a string of octal digits such as \"0640\": JSON numbers "
                                  "are decimal, and 644 is not 0644");
        return -EINVAL;
    }
    if (value->kind != VALUE_STRING)
        return refuse_kind(f, field->name, "a string of octal digits such as \"0640\"", value);
    const char *text = value->text;
    size_t len = strlen(text);
    int64_t mode = 0;
    bool good = len == 3 || len == 4;
    for (size_t i = 0; good && i < len; i++) {
        good = text[i] >= '0' && text[i] <= '7';
        mode = mode * 8 + (text[i] - '0');
    }
    if (!good || mode > 0777) {
        failure_invalid_parameter(f, field->name,
                                  "must be three or four octal digits from \"0000\" to \"0777\"");
        return -EINVAL;
    }
    *ret = (struct opt_int){true, mode};
    return 0;
}

static int decode_text(const struct field *field, const struct value *value, const char **ret,
                       struct failure *f)
{
    if (value->kind != VALUE_STRING)
        return refuse_kind(f, field->name, "a string", value);
    const char *text = value->text;
    const char *reason = NULL;
    if (field->type == FIELD_NAME) {
        reason = params_check_name(text);
    } else if (field->type == FIELD_PREFIX) {
        if (strlen(text) > SEGMENT_NAME_MAX)
            reason = "must be at most 255 bytes long";
        else if (!of_name_set(text))
            reason = "may hold only A-Z a-z 0-9 . _ : @ / -";
    } else if (strlen(text) < (size_t)field->min || strlen(text) > (size_t)field->max) {
        reason = "must be a cursor from an earlier answer";
    }
    if (reason) {
        failure_invalid_parameter(f, field->name, "%s", reason);
        return -EINVAL;
    }
    *ret = text;
    return 0;
}

static int decode_labels(const struct field *field, const struct value *value, struct labels *ret,
                         struct failure *f)
{
    const json_t *object = value->json;
    if (!json_is_object(object))
        return refuse_kind(f, field->name, "an object of strings", value);
    if (json_object_size(object) > SEGMENT_LABELS_MAX) {
        failure_invalid_parameter(f, field->name, "must have at most %d pairs, not %zu",
                                  SEGMENT_LABELS_MAX, json_object_size(object));
        return -EINVAL;
    }
    ret->given = true;
    ret->count = 0;
    const char *key;
    json_t *member;
    json_object_foreach ((json_t *)(uintptr_t)object, key, member) {
        const char *reason = params_check_label_key(key);
        if (reason) {
            failure_invalid_parameter(f, field->name, "a label's key %s", reason);
            return -EINVAL;
        }
        if (!json_is_string(member)) {
            const struct value other = value_of_json(member);
            failure_invalid_parameter(f, field->name,
                                      "the value of \"%s\" must be a string, not %s", key,
                                      kind_of(&other));
            return -EINVAL;
        }
        if (json_string_length(member) > LABEL_VALUE_MAX) {
            failure_invalid_parameter(f, field->name,
                                      "the value of \"%s\" must be at most %d bytes long", key,
                                      LABEL_VALUE_MAX);
            return -EINVAL;
        }
        ret->items[ret->count++] = (struct label){key, json_string_value(member)};
    }
    return 0;
}

static int decode_field(const struct field *field, const struct value *value, void *into,
                        struct failure *f)
{
    switch (field->type) {
    case FIELD_INT: return decode_int(field, value, into, f);
    case FIELD_BOOL:
        if (value->kind != VALUE_BOOL)
            return refuse_kind(f, field->name, "true or false", value);
        *(struct opt_bool *)into = (struct opt_bool){true, value->boolean};
        return 0;
    case FIELD_WORD: return decode_word(field, value, into, f);
    case FIELD_WORDS: return decode_words(field, value, into, f);
    case FIELD_MODE: return decode_mode(field, value, into, f);
    case FIELD_NAME:
    case FIELD_PREFIX:
    case FIELD_CURSOR: return decode_text(field, value, into, f);
    case FIELD_LABELS: return decode_labels(field, value, into, f);
    }
    return -EINVAL;
}

static int refuse_unknown(const struct field_table *table, enum method method, const char *name,
                          struct failure *f)
{
    struct word_list list = {.text = "none"};
    for (size_t i = 0; i < table->count; i++)
        list_word(&list, table->fields[i].name);
    failure_invalid_parameter(f, name, "unknown; %s takes: %s", method_word(method), list.text);
    return -EINVAL;
}

static int check_create(const union params *params, struct failure *f)
{
    const struct create_params *p = &params->create;
    if (!p->replace.value)
        return 0;
    if (p->exclusive.value || p->key.value != 0) {
        failure_invalid_parameter(f, "replace", "does not go with %s",
                                  p->exclusive.value ? "exclusive" : "key");
        return -EINVAL;
    }
    if (!p->name) {
        failure_invalid_parameter(f, "replace", "needs a name: it says what is replaced");
        return -EINVAL;
    }
    return 0;
}

static int check_target(const union params *params, struct failure *f)
{
    const struct target *target = &params->target.target;
    int n = (target->name != NULL) + target->shmid.given + target->key.given;
    if (n > 1) {
        failure_invalid_parameter(f, target->name && target->shmid.given ? "shmid" : "key",
                                  "name only one of name, shmid and key");
        return -EINVAL;
    }
    if (n == 0 && !target->serial.given) {
        failure_invalid_parameter(f, "name",
                                  "missing: say which segment by name, shmid, key or "
                                  "serial");
        return -EINVAL;
    }
    if (target->key.given && target->key.value == 0) {
        failure_invalid_parameter(f, "key", "0 is IPC_PRIVATE and denotes no segment");
        return -EINVAL;
    }
    return 0;
}

static int check_adopt(const union params *params, struct failure *f)
{
    const struct adopt_params *p = &params->adopt;
    if (p->shmid.given == p->key.given) {
        failure_invalid_parameter(f, p->shmid.given ? "key" : "shmid",
                                  "say which segment by exactly one of shmid and key");
        return -EINVAL;
    }
    if (p->key.given && p->key.value == 0) {
        failure_invalid_parameter(f, "key", "0 is IPC_PRIVATE and denotes no segment");
        return -EINVAL;
    }
    return 0;
}

/* Decodes the member NAME into RET, and notes in SEEN, a bit for each field, that it was there. */
static int decode_member(enum method method, const char *name, const struct value *value,
                         union params *ret, uint32_t *seen, struct failure *f)
{
    const struct field_table *table = &tables[method];
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (strcmp(field->name, name) != 0)
            continue;
        *seen |= UINT32_C(1) << i;
        return decode_field(field, value, (char *)ret + field->offset, f);
    }
    return refuse_unknown(table, method, name, f);
}

static int check_all(enum method method, const union params *params, uint32_t seen,
                     struct failure *f)
{
    const struct field_table *table = &tables[method];
    for (size_t i = 0; i < table->count; i++) {
        if (table->fields[i].required && !(seen & UINT32_C(1) << i)) {
            failure_invalid_parameter(f, table->fields[i].name, "missing: %s needs it",
                                      method_word(method));
            return -EINVAL;
        }
    }
    return table->check ? table->check(params, f) : 0;
}

int params_decode(enum method method, const json_t *params, union params *ret, struct failure *f)
{
    uint32_t seen = 0;
    memset(ret, 0, sizeof(*ret));

    if (json_is_null(params) || (json_is_array(params) && json_array_size(params) == 0))
        params = NULL;
    if (params && !json_is_object(params)) {
        failure_invalid_parameter(f, "params", "must be an object: parameters go by name");
        return -EINVAL;
    }
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *)(uintptr_t)params, name, member) {
        const struct value value = value_of_json(member);
        if (decode_member(method, name, &value, ret, &seen, f) < 0)
            return -EINVAL;
    }
    return check_all(method, ret, seen, f);
}

int params_decode_plain(enum method method, const struct plain *request, union params *ret,
                        struct failure *f)
{
    uint32_t seen = 0;
    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < request->n_params; i++) {
        const struct plain_param *p = &request->params[i];
        if (decode_member(method, p->name, &p->value, ret, &seen, f) < 0)
            return -EINVAL;
    }
    return check_all(method, ret, seen, f);
}
