"""Results as JSON, as a Markdown page and as plots, and the few lines that README.md may quote."""

import json
import os
import pathlib
import statistics

import plots

UNITS = {"mb_per_s": "MB/s", "cpu_s_per_gb": "broker CPU-s/GB",
         "client_cpu_s_per_gb": "client CPU-s/GB", "p50_ms": "p50 ms", "p99_ms": "p99 ms",
         "p99_9_ms": "p99.9 ms", "ready_ms": "ms", "anonymous_mb": "anonymous MB",
         "cpu_percent": "% of a core", "join_s": "s until the last has joined",
         "cpu_s_per_1000_heartbeats": "broker CPU-s/1,000 heartbeats", "commits_per_s": "commits/s"}
WHAT_ROWS_ARE = pathlib.Path(__file__).resolve().parents[2] / "docs/benchmarks/README.md"
BEGIN, END = "<!-- scripts/bench compare --readme -->", "<!-- end -->"
# What README.md quotes: words, the rows' name, the figure.
QUOTED = [
    ("Records in, through the Java client (1 KB, 12 partitions)", "produce-java-1000-12-none", "mb_per_s"),
    ("Records in, through `duramen bench`", "produce-bench-1000-12-none", "mb_per_s"),
    ("Records out, through `duramen bench`", "consume-bench-12-hot", "mb_per_s"),
    ("Broker processor time per GB in (Java client)", "produce-java-1000-12-none", "cpu_s_per_gb"),
    ("Broker processor time per GB out (Java client)", "consume-java-12-hot", "cpu_s_per_gb"),
    ("End-to-end p99 at 20,000 records/s", "latency-20k", "p99_ms"),
    ("Records in with an ack from the disk (Java client, 12 partitions)", "durable-java-12", "mb_per_s"),
    ("Anonymous memory under load", "memory", "anonymous_mb"),
    ("Start to first acknowledged write", "start", "ready_ms"),
]


def series(told, row, figure, broker):
    return [each[figure] for each in told["rows"][row][broker] if figure in each]


def ratios(told, row, figure, sides=("duramen", "kafka")):
    """The first side's figure divided by the second's, round by round, and that of the medians first."""
    both = [[each.get(figure) for each in told["rows"][row][side]] for side in sides]
    pairs = [(ours, theirs) for ours, theirs in zip(*both) if ours is not None and theirs]
    if not pairs:
        return None
    medians = [statistics.median(side) for side in zip(*pairs)]
    every = [ours / theirs for ours, theirs in pairs]
    return medians[0] / medians[1], min(every), max(every)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values):
    if not values:
        return "failed"
    middle, low, high = statistics.median(values), min(values), max(values)
    return number(middle) if len(values) == 1 else f"{number(middle)} ({number(low)}–{number(high)})"


def ratio_words(found):
    if found is None:
        return "-"
    middle, low, high = (f"{each:.2f}" if each >= 0.1 else f"{each:.3f}" for each in found)
    return f"{middle} ({low}–{high})" if low != high else middle


def verdict(told, row, figure):
    """What the aim was, and whether it is met: None without an aim or a figure."""
    aim = row.aims.get(figure)
    found = ratios(told, row.name, figure)
    ours = series(told, row.name, figure, "duramen")
    if aim is None or not ours or (found is None and not aim.absolute):
        return None
    value = statistics.median(ours) if aim.absolute else found[0]
    met = value >= aim.limit if aim.at_least else value <= aim.limit
    sign, unit = "≥" if aim.at_least else "≤", f" {UNITS[figure]}" if aim.absolute else ""
    return f"{sign} {aim.limit:.3g}{unit}", met


def lines(told, rows):
    """Every figure of every row, as cells."""
    for row in rows:
        figures = [name for name in UNITS
                   if any(series(told, row.name, name, broker) for broker in ("duramen", "kafka"))]
        for figure in figures:
            judged = verdict(told, row, figure)
            aim = "" if judged is None else judged[0]
            met = "" if judged is None else ("met" if judged[1] else "**missed**")
            yield [row.title, row.durability, UNITS[figure],
                   spread(series(told, row.name, figure, "duramen")),
                   spread(series(told, row.name, figure, "kafka")),
                   ratio_words(ratios(told, row.name, figure)), aim, met]


def failures(told):
    for name, sides in told["rows"].items():
        for broker, rounds in sides.items():
            for figures in rounds:
                if "failed" in figures:
                    yield f"- {name}, {broker}: {figures['failed']}"


def markdown(folder, told, rows, charts):
    heading = ["row", "ack means", "figure", "Duramen", "Apache Kafka", "ratio", "aim", ""]
    out = ["# Duramen beside Apache Kafka 4.3.1", "",
           "Written by `scripts/bench compare`; do not edit. "
           f"[What each row is]({os.path.relpath(WHAT_ROWS_ARE, folder)}).", "",
           "Medians, with the smallest and largest round in brackets; the ratio is Duramen's figure divided by",
           "Kafka's, with the smallest and largest of the rounds. Absolute figures are those of one machine.", "",
           "| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    out += ["| " + " | ".join(cells) + " |" for cells in lines(told, rows)]
    floors = {name: [each[name] for each in told["floor"]] for name in told["floor"][0]}
    out += ["", "## The machine's limit", "",
            "16 KiB frames from loopback TCP, CRC-32C, one `pwrite` of all that came, an answer each "
            f"(`benches/floor.rs`): {spread(floors['mb_per_s'])} MB/s, "
            f"{spread(floors['cpu_s_per_gb'])} CPU-s/GB.", ""]
    out += [f"![{plots.NAMES[name]}]({name}.svg)\n" for name in charts]
    out += ["## Setting", ""]
    out += [f"- {name.replace('_', ' ')}: {value}" for name, value in told["setting"].items()]
    failed = list(failures(told))
    out += ["", "## Not measured", "", *failed] if failed else []
    return "\n".join(out) + "\n"


def short(told, rows):
    judged = [(row, figure, verdict(told, row, figure)) for row in rows for figure in row.aims]
    judged = [each for each in judged if each[2] is not None]
    out = [f"{sum(met for *_, (_, met) in judged)} of {len(judged)} aims met"]
    out += [f"missed: {row.title}: {UNITS[figure]} {ratio_words(ratios(told, row.name, figure))}, aim {aim}"
            for row, figure, (aim, met) in judged if not met]
    return "\n".join(out + list(failures(told)))


def write(folder, told, rows):
    folder.mkdir(parents=True, exist_ok=True)
    titled = dict(told, aims=[
        {"row": row.name, "figure": figure, "aim": judged[0], "met": judged[1]}
        for row in rows for figure in row.aims if (judged := verdict(told, row, figure))])
    (folder / "results.json").write_text(json.dumps(titled, indent=1) + "\n")
    charts = plots.all_of(told, rows, series)
    (folder / "results.md").write_text(markdown(folder, told, rows, charts))
    for name, svg in charts.items():
        (folder / f"{name}.svg").write_text(svg)


def into_readme(file, told, rows):
    """Replaces what stands between the two marks by the ratios of this run."""
    text = file.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{file} has no place for the ratios: {BEGIN} … {END}")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    cells = [(words, ratios(told, row, figure)) for words, row, figure in QUOTED if row in told["rows"]]
    body = ["", "", "| Duramen ÷ Apache Kafka 4.3.1, one node, one machine | ratio (rounds) |", "|---|---|"]
    body += [f"| {words} | {ratio_words(found)} |" for words, found in cells if found]
    file.write_text(before + BEGIN + "\n".join(body) + "\n\n" + END + after)
