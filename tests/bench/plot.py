#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the JSON of `make bench` into what docs/performance.md shows.

    plot.py BENCH.JSON --svg FILE    a bar for each thing with a bar to meet, as a part of that bar; and
                                     what was measured over the number of segments, as curves
    plot.py BENCH.JSON --table       the tables, in Markdown
    plot.py BENCH.JSON --page FILE   the same, in the place of those that FILE has
"""

import argparse
import html
import json
import math
import sys
import time

WIDTH, LEFT, RIGHT, ROW = 860, 330, 150, 26
MET, MISSED, LINE, TEXT = "#4c8c5a", "#b5543b", "#888888", "#222222"

PANEL_WIDTH, PANEL_HEIGHT = WIDTH // 2, 250
COLOURS = ("#2f6db5", "#b5543b", "#4c8c5a", "#8a5aa8")
KERNELS = {"kernel": "", "fake": "5 3"}  # how their lines are dashed
PANELS = (  # the title, the curves, whether the figures are on a logarithmic axis too
    ("look-ups, µs", ("name", "shmid", "key", "serial"), False),
    ("create and remove, µs", ("pair",), False),
    ("a page of list that matches nothing, µs", ("no-name", "no-label"), False),
    ("start, ms", ("start",), True),
)


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def figure(row):
    return "< noise" if row.get("noise") else f"{number(row.get('figure'))} {row['unit']}"


def verdict(row):
    if "met" not in row:
        return ""
    return "met" if row["met"] else "**missed**"


def table(rows):
    lines = ["| what | figure | ratio | to | bar | goal | |", "|---|---:|---:|---|---:|---:|---|"]
    for row in rows:
        cells = [row["title"], figure(row), number(row.get("ratio")),
                 row.get("against", ""), number(row.get("bar")), number(row.get("goal")), verdict(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bars(row):
    """How much of the bar is used up, and how much of it the goal would be; less is better."""
    value = row.get("ratio", row["figure"])
    # What is to be fast is told by its inverse: all bars read the same way.
    more_is_better = row["id"] in ("list", "burst-shmd", "burst-shmd-redis")
    goal = row.get("goal")
    if more_is_better:
        return row["bar"] / value, row["bar"] / goal if goal else None
    return max(value, 0) / row["bar"], goal / row["bar"] if goal else None


def bar_chart(rows):
    """Lines of SVG, and how high they are."""
    rows = [row for row in rows if "bar" in row]
    if not rows:
        return [], 0
    scale = (WIDTH - LEFT - RIGHT) / max(1.25, max(bars(row)[0] for row in rows))
    one = LEFT + scale
    out = []
    for i, row in enumerate(rows):
        y = 16 + i * ROW
        used, goal = bars(row)
        value = row.get("ratio", row["figure"])
        told = f"{number(value)} times" if "ratio" in row else figure(row)
        out += [f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end">{html.escape(row["title"])}</text>',
                f'<rect x="{LEFT}" y="{y + 2}" width="{used * scale:.1f}" height="{ROW - 9}" '
                f'fill="{MET if row["met"] else MISSED}"/>',
                f'<text x="{LEFT + max(used, 1) * scale + 8:.1f}" y="{y + 14}">{told}, '
                f'bar {number(row["bar"])}</text>']
        if goal:
            x = LEFT + goal * scale
            out.append(f'<path d="M{x:.1f} {y}v{ROW - 5}" stroke="{TEXT}" stroke-dasharray="3 2"/>')
    bottom = 16 + ROW * len(rows)
    out += [f'<path d="M{one:.1f} 8V{bottom}" stroke="{LINE}" stroke-width="2"/>',
            f'<text x="{one:.1f}" y="{bottom + 18}" text-anchor="middle">the bar</text>',
            f'<text x="{LEFT}" y="{bottom + 36}">shorter is better; dashed: the goal</text>']
    return out, bottom + 44


def round_up(value):
    """To one digit that counts, and no more than needed."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


class Axes:
    """A panel's: from a number of segments and a figure to a place."""

    def __init__(self, x, y, curves, is_log):
        figures = [point["figure"] for curve in curves for point in curve["points"]]
        most = max(point["segments"] for curve in curves for point in curve["points"])
        self.left, self.top = x + 54, y + 30
        self.width, self.height = PANEL_WIDTH - 80, PANEL_HEIGHT - 90
        self.decades = range(1, math.ceil(math.log10(most)) + 1)
        if is_log:
            exponents = range(math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures))) + 1)
            self.marks = [10.0 ** exponent for exponent in exponents]
            self.part = lambda v: math.log10(v / self.marks[0]) / math.log10(self.marks[-1] / self.marks[0])
        else:
            top = round_up(max(figures))
            self.marks = [0, top / 2, top]
            self.part = lambda v: v / top

    def x(self, segments):
        return self.left + self.width * (math.log10(segments) - 1) / max(1, len(self.decades) - 1)

    def y(self, figure):
        return self.top + self.height * (1 - self.part(figure))

    def draw(self):
        bottom = self.top + self.height
        out = []
        for mark in self.marks:
            y = self.y(mark)
            out += [f'<path d="M{self.left} {y:.1f}h{self.width}" stroke="{LINE}" stroke-width="0.5"/>',
                    f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:,g}</text>']
        for decade in self.decades:
            x = self.x(10 ** decade)
            out += [f'<path d="M{x:.1f} {bottom}v4" stroke="{LINE}"/>',
                    f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{short(10 ** decade)}</text>']
        return out


def short(segments):
    if segments >= 1000000:
        return f"{segments // 1000000}M"
    return f"{segments // 1000}k" if segments >= 1000 else str(segments)


def panel(x, y, title, curves, is_log):
    axes = Axes(x, y, curves, is_log)
    ids = sorted({curve["id"] for curve in curves}, key=[curve["id"] for curve in curves].index)
    out = [f'<text x="{axes.left}" y="{y + 16}" font-weight="bold">{html.escape(title)}</text>', *axes.draw()]
    for curve in curves:
        colour = COLOURS[ids.index(curve["id"])]
        places = [(axes.x(p["segments"]), axes.y(p["figure"])) for p in curve["points"]]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5" '
                   f'stroke-dasharray="{KERNELS[curve["kernel"]] or "none"}"/>')
        out += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2" fill="{colour}"/>' for px, py in places]
    if len(ids) > 1:
        names = "".join(f'<tspan fill="{COLOURS[i]}" dx="10">{html.escape(name)}</tspan>' for i, name in enumerate(ids))
        out.append(f'<text x="{axes.left}" y="{axes.top + axes.height + 36}">{names}</text>')
    return out


def curve_chart(curves, top):
    """The same, from TOP on."""
    panels = [(title, [curve for curve in curves if curve["id"] in ids], is_log) for title, ids, is_log in PANELS]
    panels = [one for one in panels if one[1]]
    if not panels:
        return [], 0
    out = [f'<text x="54" y="{top + 20}">over the number of segments; solid: on the kernel; dashed: on a kernel in '
           'memory, without sockets</text>']
    for i, (title, of_panel, is_log) in enumerate(panels):
        out += panel(PANEL_WIDTH * (i % 2), top + 30 + PANEL_HEIGHT * (i // 2), title, of_panel, is_log)
    return out, 30 + PANEL_HEIGHT * ((len(panels) + 1) // 2)


def svg(bench):
    chart, bars_height = bar_chart(bench["rows"])
    curves, curves_height = curve_chart(bench.get("curves", []), bars_height)
    height = bars_height + curves_height
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *chart, *curves, "</svg>"]) + "\n"


def curve_table(curves):
    """A row for each curve, a column for each number of segments."""
    sizes = sorted({point["segments"] for curve in curves for point in curve["points"]})
    lines = ["| over the number of segments | on | " + " | ".join(f"{n:,.0f}" for n in sizes) + " |",
             "|---|---|" + "---:|" * len(sizes)]
    for curve in curves:
        figures = {point["segments"]: point["figure"] for point in curve["points"]}
        on = "the kernel" if curve["kernel"] == "kernel" else "one in memory"
        cells = [f'{curve["title"]}, {curve["unit"]}', on, *(number(figures.get(n)) for n in sizes)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(bench):
    """All that is said of it, in Markdown."""
    parts = [time.strftime(f"{bench['machine']}. %-d %B %Y.", time.gmtime(bench["measured_at_ms"] / 1000)),
             table(bench["rows"])]
    if bench.get("curves"):
        parts.append(curve_table(bench["curves"]))
    parts.append("\n".join(f"- {note}" for note in bench["notes"]))
    return "\n\n".join(parts) + "\n"


def put_into_page(path, command, text):
    """In the place of what stands there from the line that names the COMMAND on."""
    begin, end = f"<!-- {command} writes from here -->\n\n", "\n<!-- to here -->\n"
    with open(path, encoding="utf-8") as file:
        before, found, rest = file.read().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        sys.exit(f"{path} has no place for what {command} writes")
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + text + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--page", metavar="FILE")
    options = parser.parse_args()
    with open(options.json, encoding="utf-8") as file:
        bench = json.load(file)
    # Before anything is written: the plot and the page belong together.
    if options.page and bench.get("quick"):
        sys.exit(f"{options.json} is of a quick run (--quick), of which no figure counts: "
                 "run `make bench` without it first")
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(svg(bench))
    if options.table:
        print(tables(bench), end="")
    if options.page:
        put_into_page(options.page, "plot.py", tables(bench))


if __name__ == "__main__":
    main()
