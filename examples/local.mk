# SPDX-License-Identifier: MIT
# Examples are programs of their own: they know of the tree only what is installed.
noinst_PROGRAMS += examples/backbone
examples_backbone_SOURCES = examples/backbone.c examples/ring.c examples/ring.h
examples_backbone_CPPFLAGS = -I$(top_srcdir)/client $(SHMD_CPPFLAGS)
examples_backbone_CFLAGS = $(AM_CFLAGS) -pthread
# The program itself and no script around it: a signal to its pid must reach it.
examples_backbone_LDFLAGS = $(AM_LDFLAGS) -no-install -pthread
examples_backbone_LDADD = libshmd.la

# The same program in C and in C++; a machine without a compiler for C++ builds the rest.
noinst_PROGRAMS += examples/hello
examples_hello_SOURCES = examples/hello.c
examples_hello_CPPFLAGS = -I$(top_srcdir)/client $(SHMD_CPPFLAGS)
examples_hello_LDADD = libshmd.la

# Their source is installed as it is; demo builds the backbone from there.
examplesdir = $(docdir)/examples
dist_examples_DATA = examples/README.md examples/backbone.c examples/ring.c examples/ring.h \
	examples/hello.c examples/hello.cpp
dist_examples_SCRIPTS = examples/backbone.py examples/demo examples/frames.py examples/hello.js examples/hello.py examples/hello.sh \
	examples/producer.sh examples/wait.sh examples/workers.py
