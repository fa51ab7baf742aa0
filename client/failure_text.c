/* SPDX-License-Identifier: MIT */
/*
 * What went wrong and what to do about it, in one sentence for people: of a call, and of a daemon
 * that cannot be reached. shmdctl prints these, and so can any program.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/internal.h"
#include "client/start.h"
#include "protocol/json_slice.h"

/* What is printed into a buffer that may be too small. */
struct text {
    char *buffer;
    size_t size, length; /* of all that was to be printed */
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    bool has_room = text->length < text->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(has_room ? text->buffer + text->length : NULL,
                      has_room ? text->size - text->length : 0, format, args);
    va_end(args);
    if (n > 0)
        text->length += (size_t)n;
}

static bool is_word_part(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether TEXT has WORD, and not only as a part of a longer word. */
static bool has_word(const char *text, struct json_slice word)
{
    const char *end = text + strlen(text);
    for (const char *at = text; at < end; at++) {
        at = memmem(at, (size_t)(end - at), word.text, word.len);
        if (!at)
            return false;
        if ((at == text || !is_word_part(at[-1])) && !is_word_part(at[word.len]))
            return true;
    }
    return false;
}

static bool is_empty_list(struct json_slice value)
{
    return value.len == 2 && memcmp(value.text, "[]", 2) == 0;
}

/* The string in VALUE, with its quotes and backslashes as people write them. Control characters
 * stay escaped: the text is one line. RET has room for VALUE. */
static struct json_slice unescape(struct json_slice value, char *ret)
{
    size_t len = 0;
    for (size_t i = 1; i + 1 < value.len; i++) {
        if (value.text[i] == '\\' && strchr("\"\\/", value.text[i + 1]))
            i++;
        ret[len++] = value.text[i];
    }
    ret[len] = '\0';
    return (struct json_slice){ret, len};
}

/* The parameters of a refusal whose values its sentence does not have. */
static void add_parameters(struct text *text, const struct shmd_failure *failure)
{
    char *plain = malloc(strlen(failure->parameters) + 1);
    struct json_walk walk =
        json_walk_begin((struct json_slice){failure->parameters, strlen(failure->parameters)});
    struct json_slice key, value;
    const char *before = " (";
    while (json_walk_next(&walk, &key, &value)) {
        if (plain && value.len > 1 && *value.text == '"')
            value = unescape(value, plain);
        if (value.len == 0 || is_empty_list(value) || has_word(failure->message, value))
            continue;
        if (key.len == 3 && memcmp(key.text, "key", 3) == 0) /* as ipcs and its user write it */
            add(text, "%skey: 0x%08lx", before, strtoul(value.text, NULL, 10));
        else
            add(text, "%s%.*s: %.*s", before, (int)key.len, key.text, (int)value.len, value.text);
        before = "; ";
    }
    if (*before == ';')
        add(text, ")");
    free(plain);
}

size_t shmd_failure_text(const struct shmd *shmd, char *ret_text, size_t size)
{
    const struct shmd_failure *failure = shmd_last_failure(shmd);
    struct text text = {.buffer = ret_text, .size = ret_text ? size : 0};
    if (text.size > 0)
        *ret_text = '\0';
    if (!failure)
        return 0;
    add(&text, "%s", failure->message);
    add_parameters(&text, failure);
    return text.length;
}

static bool is_of(enum shmd_instance instance, const char *path)
{
    char its[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    return shmd_instance_path(instance, its, sizeof(its)) == 0 && strcmp(path, its) == 0;
}

/* systemd starts only those that have its units. */
static void add_start(struct text *text, const char *path)
{
    char command[1024], program[256];
    if (!path || !*path)
        return;
    start_program(program, sizeof(program));
    if (is_of(SHMD_INSTANCE_SYSTEM, path))
        add(text, " (%ssystemctl start shmd.socket)", geteuid() == 0 ? "" : "as root: ");
    else if (is_of(SHMD_INSTANCE_USER, path))
        add(text, " (systemctl --user start shmd.socket, or %s)", program);
    else {
        start_text(path, command, sizeof(command));
        add(text, " (%s)", command);
    }
}

size_t shmd_unreachable_text(const char *path, int code, char *ret_text, size_t size)
{
    struct text text = {.buffer = ret_text, .size = ret_text ? size : 0};
    char found[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct stat st;
    if (text.size > 0)
        *ret_text = '\0';
    bool is_found = !path && shmd_socket_path(found, sizeof(found)) == 0;
    if (is_found)
        path = found;
    if (code == -ENXIO)
        add(&text, "XDG_RUNTIME_DIR is not set, so its socket cannot be found");
    else if (code == -ENAMETOOLONG)
        add(&text, "the path of the socket is longer than a socket's can be");
    else if (code == -ETIMEDOUT)
        add(&text, "it did not answer in time");
    else if (path && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        add(&text, "it is not a socket");
    else if (code == -ENOENT || code == -ECONNREFUSED) {
        add(&text, "%s; is it running? Start it", shmd_strerror(code));
        add_start(&text, path);
    } else if (code == -EACCES)
        add(&text, "%s; the mode and the group of the socket say who may connect",
            shmd_strerror(code));
    else
        add(&text, "%s", shmd_strerror(code));
    if (is_found && find_lacks_runtime_directory())
        add(&text, "; a daemon of your own was not looked for, as XDG_RUNTIME_DIR is not set");
    return text.length;
}
