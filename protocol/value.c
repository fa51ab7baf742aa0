/* SPDX-License-Identifier: MIT */
#include "protocol/value.h"

#include <jansson.h>
#include <math.h>

struct value value_of_json(const json_t *json)
{
    struct value value = {.kind = VALUE_NONE, .json = json};
    if (!json)
        return value;
    switch (json_typeof(json)) {
    case JSON_STRING:
        value.kind = VALUE_STRING;
        value.text = json_string_value(json);
        value.len = json_string_length(json);
        break;
    case JSON_INTEGER:
        value.kind = VALUE_INT;
        value.integer = json_integer_value(json);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value.kind = VALUE_BOOL;
        value.boolean = json_is_true(json);
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_REAL:
    case JSON_NULL: value.kind = VALUE_OTHER; break;
    }
    return value;
}

bool value_is_integer(const struct value *value, int64_t *ret)
{
    if (value->kind == VALUE_INT) {
        *ret = value->integer;
        return true;
    }
    if (value->kind != VALUE_OTHER || !json_is_real(value->json))
        return false;
    double real = json_real_value(value->json);
    if (fabs(real) > 0x1p53 || (double)(int64_t)real - real != 0)
        return false;
    *ret = (int64_t)real;
    return true;
}

bool value_is_beyond_int64(const json_t *json)
{
    double real = json_real_value(json); /* 0 for what is none */
    return real >= 0x1p63 || real < -0x1p63;
}
