"""Bar charts as SVG text: for each row the two medians, with a line from the least to the most."""

import html
import math
import statistics

NAMES = {"throughput": "Throughput, MB/s (longer is better)",
         "cpu": "Broker CPU-seconds per GB (shorter is better)",
         "latency": "End-to-end latency, ms (shorter is better)"}
FIGURES = {"throughput": ["mb_per_s"], "cpu": ["cpu_s_per_gb"], "latency": ["p50_ms", "p99_ms", "p99_9_ms"]}
COLOUR = {"duramen": "#8a4b2a", "kafka": "#8c8c8c"}
LEFT, WIDTH, BAR, GAP, TOP = 400, 480, 11, 10, 64


def all_of(told, rows, series):
    """The charts that have something to show, by name."""
    every = {name: bars(told, rows, series, FIGURES[name]) for name in NAMES}
    return {name: chart(NAMES[name], found) for name, found in every.items() if found}


def bars(told, rows, series, figures):
    """Label and values by broker, for rows that have them on both."""
    found = []
    for row in rows:
        for figure in figures:
            sides = {broker: series(told, row.name, figure, broker) for broker in COLOUR}
            if all(sides.values()):
                suffix = "" if len(figures) == 1 else " " + figure[:-3].replace("_", ".")
                found.append((row.title + suffix, sides))
    return found


def chart(title, found):
    """Lengths are logarithmic, so that a factor looks the same everywhere; the figure stands beside."""
    every = [value for _, sides in found for side in sides.values() for value in side if value > 0]
    low = 10 ** math.floor(math.log10(min(every))) if every else 1
    high = 10 ** math.ceil(math.log10(max(every) * 1.01)) if every else 10

    def at(value):
        return LEFT + WIDTH * math.log(max(value, low) / low) / math.log(high / low)

    height = TOP + len(found) * (2 * BAR + GAP) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="10" y="20" font-size="14">{html.escape(title)}; logarithmic</text>']
    for place, (broker, colour) in enumerate(COLOUR.items()):
        x = 10 + place * 90
        out.append(f'<rect x="{x}" y="30" width="11" height="11" fill="{colour}"/>'
                   f'<text x="{x + 16}" y="40">{broker}</text>')
    for step in range(round(math.log10(high / low)) + 1):
        x = at(low * 10 ** step)
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 10}" stroke="#ddd"/>'
                   f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle">{low * 10 ** step:g}</text>')
    for place, (label, sides) in enumerate(found):
        y = TOP + place * (2 * BAR + GAP)
        out.append(f'<text x="{LEFT - 8}" y="{y + BAR + 4}" text-anchor="end">{html.escape(label)}</text>')
        for line, (broker, values) in enumerate(sides.items()):
            middle, top = statistics.median(values), y + line * BAR
            out.append(f'<rect x="{LEFT}" y="{top}" width="{at(middle) - LEFT:.1f}" height="{BAR - 1}" '
                       f'fill="{COLOUR[broker]}"/>'
                       f'<line x1="{at(min(values)):.1f}" y1="{top + BAR / 2}" x2="{at(max(values)):.1f}" '
                       f'y2="{top + BAR / 2}" stroke="black"/>'
                       f'<text x="{at(max(values)) + 5:.1f}" y="{top + BAR - 2}">{middle:.3g}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
