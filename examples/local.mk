# Examples are programs of their own: they know of the tree only what is installed.
noinst_PROGRAMS += examples/backbone
examples_backbone_SOURCES = examples/backbone.c examples/ring.c examples/ring.h
examples_backbone_CPPFLAGS = -I$(top_srcdir)/client $(SHMD_CPPFLAGS)
examples_backbone_CFLAGS = $(AM_CFLAGS) -pthread
# The program itself and no script around it: who kills its pid means it.
examples_backbone_LDFLAGS = $(AM_LDFLAGS) -no-install -pthread
examples_backbone_LDADD = libshmd.la
EXTRA_DIST += examples/README.md examples/backbone.py examples/producer.sh examples/wait.sh
