/* SPDX-License-Identifier: MIT */
/*
 * Text of others - names, labels, commands, a daemon's sentences - made harmless for a terminal:
 * what is printed holds no control character, no character that is unseen or turns the direction of
 * writing, and is valid UTF-8.
 */
#ifndef SHMD_CLIENT_CLI_PLAIN_TEXT_H
#define SHMD_CLIENT_CLI_PLAIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Prints TEXT. A byte that is a control character or no part of UTF-8 becomes \x1b, such a
 * character of Unicode \u009b or \u202e. */
void print_plain(FILE *file, const char *text);
/* The same into a buffer of SIZE, cut where it is full. */
void plain_text(const char *text, char *ret, size_t size);
/* How many times as long the text may get. */
enum { PLAIN_TEXT_GROWTH = 4 };

bool plain_text_is_utf8(const char *text);

/* How many columns of a terminal TEXT takes, which holds no control character. */
size_t plain_text_width(const char *text);
/* How many bytes of TEXT fit into WIDTH columns; RET_WIDTH: how many columns those take. */
size_t plain_text_cut(const char *text, size_t width, size_t *ret_width);

/* TEXT as one word of a shell's command line, for advice that somebody may copy. It is quoted where
 * a shell would read more than a word in it, and it holds no control character. A word that SIZE
 * has no room for becomes "", because a part of it would lack the closing quote. */
void shell_word(const char *text, char *ret, size_t size);

/* Prints LEN bytes of JSON, which keeps its meaning: a control character in a string is escaped,
 * one between values becomes a space. */
void print_json_text(FILE *file, const char *json, size_t len);

#endif
