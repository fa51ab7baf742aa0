# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += libprotocol.la
libprotocol_la_SOURCES = \
	protocol/brackets.c protocol/brackets.h \
	protocol/dialect.h \
	protocol/errors.c protocol/errors.h \
	protocol/json_arena.c protocol/json_arena.h \
	protocol/json_check.c protocol/json_check.h \
	protocol/json_number.c protocol/json_number.h \
	protocol/json_slice.c protocol/json_slice.h \
	protocol/jsonrpc.c protocol/jsonrpc.h \
	protocol/jsonrpc_client.c protocol/jsonrpc_client.h \
	protocol/limits.h \
	protocol/message.c protocol/message.h \
	protocol/methods.c protocol/methods.h \
	protocol/other_framing.c protocol/other_framing.h \
	protocol/orphan.c protocol/orphan.h \
	protocol/params.c protocol/params.h \
	protocol/params_encode.c \
	protocol/plain.c protocol/plain.h \
	protocol/plain_answer.c protocol/plain_answer.h \
	protocol/plain_token.c protocol/plain_token.h \
	protocol/reply.c protocol/reply.h \
	protocol/scanner.c protocol/scanner.h \
	protocol/segment_json.c protocol/segment_json.h \
	protocol/terms.c protocol/terms.h \
	protocol/value.c protocol/value.h \
	protocol/writer.c protocol/writer.h
libprotocol_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
libprotocol_la_LIBADD = $(JANSSON_LIBS)
