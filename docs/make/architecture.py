#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws docs/architecture.svg from the text below: architecture.py >docs/architecture.svg

A test compares the two, so that what is drawn is what stands here.
"""

import html

# A box: where its left edge, its top and its right edge are, in steps of the grid; its title, and what it says.
BOXES = {
    "c": (0, 0, 3, "your program, in C or C++", "libshmd, shmd.hpp"),
    "python": (3, 0, 6, "your program, in Python", "package shmd"),
    "other": (6, 0, 9, "any other program", "JSON over a socket"),
    "shmdctl": (9, 0, 12, "shmdctl", "for shells and people"),
    "io": (3.5, 2, 12, "daemon/io", "sockets, timers, signals, pidfds: the only libevent"),
    "rpc": (3.5, 3, 12, "daemon/rpc", "sessions, the table of methods, turns: bytes in, replies out"),
    "core": (3.5, 4, 12, "daemon/core", "segments, rights, quotas, lifetimes, events: no system calls"),
    "sys": (3.5, 5, 6.3, "daemon/sys", "kernel, clock, processes"),
    "protocol": (6.3, 5, 9.2, "protocol/", "what a request may be"),
    "store": (9.2, 5, 12, "daemon/store", "the journal"),
    "segments": (0, 7, 7.4, "System V segments, in the kernel", "they stay when the daemon dies"),
    "state": (7.4, 7, 12, "/run/shmd", "the socket, and what the daemon knows"),
}
# An arrow: from where, to where, what passes. Places are steps of the grid.
ARROWS = (
    ((4.5, 1), (4.5, 2), "requests and replies, one JSON object a line, over a Unix socket", "both"),
    ((1.2, 1), (1.2, 7), "shmat(): the data", "both"),
    ((4.2, 6), (4.2, 7), "creates, removes, looks", "one"),
    ((10.2, 6), (10.2, 7), "records", "one"),
)
TITLE = "shmd: who asks whom. No byte of a segment passes through the daemon."

STEP_X, STEP_Y, GAP, MARGIN = 76, 58, 8, 16
FILL, LINE, TEXT, SOFT = "#eef3f8", "#5b7894", "#222222", "#555555"


def x(step):
    return MARGIN + step * STEP_X


def y(step):
    return MARGIN + 24 + step * STEP_Y


def box(left, top, right, title, text):
    width, height = (right - left) * STEP_X - GAP, STEP_Y - GAP
    middle = x(left) + width / 2
    title, text = html.escape(title), html.escape(text)
    yield (f'<rect x="{x(left):g}" y="{y(top):g}" width="{width:g}" height="{height:g}" rx="4" fill="{FILL}" '
           f'stroke="{LINE}"/>')
    yield f'<text x="{middle:g}" y="{y(top) + 21:g}" text-anchor="middle" font-weight="bold">{title}</text>'
    yield f'<text x="{middle:g}" y="{y(top) + 38:g}" text-anchor="middle" fill="{SOFT}">{text}</text>'


def arrow(start, end, text, ends):
    top, bottom = y(start[1]) - GAP + 2, y(end[1]) - 3
    first = ' marker-start="url(#tip)"' if ends == "both" else ""
    yield (f'<path d="M{x(start[0]):g} {top:g}V{bottom:g}" stroke="{LINE}" stroke-width="1.5"{first} '
           'marker-end="url(#tip)"/>')
    middle = (top + bottom) / 2 + 4 if end[1] - start[1] < 3 else y(4)
    yield f'<text x="{x(start[0]) + 10:g}" y="{middle:g}" fill="{SOFT}">{html.escape(text)}</text>'


def picture():
    width = x(12) + MARGIN - GAP
    height = y(8) + MARGIN - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="13" fill="{TEXT}">',
        f"<title>{html.escape(TITLE)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        f'<text x="{x(0):g}" y="{MARGIN + 12}">{html.escape(TITLE)}</text>',
    ]
    for each in BOXES.values():
        lines += box(*each)
    for each in ARROWS:
        lines += arrow(*each)
    return "\n".join((*lines, "</svg>"))


if __name__ == "__main__":
    print(picture())
