#!/usr/bin/env python3
"""Turns the JSON of `make bench` into what docs/performance.md shows.

    plot.py BENCH.JSON --svg FILE    a bar for each thing with a bar to meet, as a part of that bar
    plot.py BENCH.JSON --table       the table, in Markdown
"""

import argparse
import html
import json

WIDTH, LEFT, RIGHT, ROW = 860, 330, 150, 26
MET, MISSED, LINE, TEXT = "#4c8c5a", "#b5543b", "#888888", "#222222"


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def verdict(row):
    if "met" not in row:
        return ""
    return "met" if row["met"] else "**missed**"


def table(rows):
    lines = ["| what | figure | ratio | to | bar | goal | |", "|---|---:|---:|---|---:|---:|---|"]
    for row in rows:
        cells = [row["title"], f"{number(row.get('figure'))} {row['unit']}", number(row.get("ratio")),
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


def svg(rows):
    rows = [row for row in rows if "bar" in row]
    scale = (WIDTH - LEFT - RIGHT) / max(1.25, max(bars(row)[0] for row in rows))
    height = ROW * len(rows) + 60
    one = LEFT + scale
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="{TEXT}">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for i, row in enumerate(rows):
        y = 16 + i * ROW
        used, goal = bars(row)
        value = row.get("ratio", row["figure"])
        unit = "times" if "ratio" in row else row["unit"]
        out += [f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end">{html.escape(row["title"])}</text>',
                f'<rect x="{LEFT}" y="{y + 2}" width="{used * scale:.1f}" height="{ROW - 9}" '
                f'fill="{MET if row["met"] else MISSED}"/>',
                f'<text x="{LEFT + max(used, 1) * scale + 8:.1f}" y="{y + 14}">{number(value)} {unit}, '
                f'bar {number(row["bar"])}</text>']
        if goal:
            x = LEFT + goal * scale
            out.append(f'<path d="M{x:.1f} {y}v{ROW - 5}" stroke="{TEXT}" stroke-dasharray="3 2"/>')
    bottom = 16 + ROW * len(rows)
    out += [f'<path d="M{one:.1f} 8V{bottom}" stroke="{LINE}" stroke-width="2"/>',
            f'<text x="{one:.1f}" y="{bottom + 18}" text-anchor="middle">the bar</text>',
            f'<text x="{LEFT}" y="{bottom + 36}">shorter is better; dashed: the goal</text>', "</svg>"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    with open(options.json, encoding="utf-8") as file:
        bench = json.load(file)
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(svg(bench["rows"]))
    if options.table:
        print(bench["machine"] + "\n")
        print(table(bench["rows"]))
        print()
        for note in bench["notes"]:
            print(f"- {note}")


if __name__ == "__main__":
    main()
