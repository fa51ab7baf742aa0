/* SPDX-License-Identifier: MIT */
#include "client/start.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD_SIZE = 4 * PATH_MAX + 16 };

/* PATH with SUFFIX as one word of any shell; false: it has what nobody can type. */
static bool quote(const char *path, const char *suffix, char ret[WORD_SIZE])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:@%,";
    static const char apostrophe[] = "'\\''"; /* out of the quotes, and into them again */
    bool is_plain = strspn(path, plain) == strlen(path);
    char *end = ret;
    if (!*path || *path == '-' || strlen(path) >= PATH_MAX)
        return false;
    if (!is_plain)
        *end++ = '\'';
    for (const char *at = path; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            return false;
        if (*at == '\'')
            end = stpcpy(end, apostrophe);
        else
            *end++ = *at;
    }
    end = stpcpy(end, suffix);
    strcpy(end, is_plain ? "" : "'");
    return true;
}

/* As in dirname(3). */
static void directory_of(const char *path, char ret[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(ret, PATH_MAX, ".");
    else
        snprintf(ret, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Cuts DIRECTORY to the part of it that there is. */
static void find_existing(char directory[PATH_MAX])
{
    char whole[PATH_MAX];
    while (access(directory, F_OK) < 0 && strcmp(directory, "/") != 0 &&
           strcmp(directory, ".") != 0) {
        snprintf(whole, sizeof(whole), "%s", directory);
        directory_of(whole, directory);
    }
}

/* Whether only its owner, who is the caller, may write to it. */
static bool is_own(const char *directory)
{
    struct stat st;
    return stat(directory, &st) == 0 && st.st_uid == geteuid() &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_in_path(const char *name)
{
    char file[PATH_MAX];
    struct stat st;
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t len = strcspn(at, ":");
        int n = snprintf(file, sizeof(file), "%.*s/%s", (int)len, at, name);
        if (len > 0 && n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0 &&
            stat(file, &st) == 0 && S_ISREG(st.st_mode))
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

void start_program(char *ret, size_t size)
{
    char installed[WORD_SIZE];
    bool is_named = !is_in_path("shmd") && quote(SHMD_SBINDIR "/shmd", "", installed) &&
                    strlen(installed) < size;
    snprintf(ret, size, "%s", is_named ? installed : "shmd");
}

/* The command line for the socket PATH; false: nobody can type PATH, or there is no room. */
static bool start_line(const char *path, const char *program, char *ret, size_t size)
{
    char directory[PATH_MAX], existing[PATH_MAX];
    char socket[WORD_SIZE], state[WORD_SIZE], missing[WORD_SIZE];
    int length;
    if (!quote(path, "", socket) || !quote(path, ".state", state))
        return false;
    directory_of(path, directory);
    snprintf(existing, sizeof(existing), "%s", directory);
    find_existing(existing);
    if (!quote(directory, "", missing))
        return false;
    if (access(existing, W_OK | X_OK) < 0)
        length = snprintf(ret, size, "as a user who may write to %s: %s --socket %s", existing,
                          program, socket);
    else if (strcmp(existing, directory) != 0)
        length =
            snprintf(ret, size, "mkdir -p -m 755 %s && %s --socket %s", missing, program, socket);
    else if (is_own(directory))
        length = snprintf(ret, size, "%s --socket %s", program, socket);
    else
        length = snprintf(ret, size, "%s --socket %s --state-dir %s", program, socket, state);
    return length >= 0 && (size_t)length < size;
}

void start_text(const char *path, char *ret, size_t size)
{
    char program[256];
    *ret = '\0';
    start_program(program, sizeof(program));
    if (*path && !start_line(path, program, ret, size))
        snprintf(ret, size, "%s --socket PATH, with that path for PATH", program);
}
