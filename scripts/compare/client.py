"""Three clients do the same work on the same broker, in turn: ours, librdkafka and Kafka's own (Java).

Python's standard library only. `scripts/bench client` builds what is needed and starts this.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import page
from nodes import Duramen, Failed, Kafka
from rows import JAVA_CLIENT, Aim, call, create
from setting import ROOT, say, setting

OURS, LIBRDKAFKA, JAVA = CLIENTS = ("duramen-client", "librdkafka", "Java")
FIGURES = {"mb_per_s": "MB/s", "cpu_s_per_gb": "client CPU-s/GB", "allocations": "allocations a record"}
SPEED, CPU, ALLOCATIONS = Aim(1.0, True), Aim(0.7, False), Aim(0.1, False, absolute=True)
INSIDE = [("start of a broker in the process", "start/temporary, threads", "ms", 20),
          ("the same in a folder, for the first time", "start/durable, new, threads", "ms", 20),
          ("a record and its answer, no socket, one thread", "round trip/in process, one thread", "µs", 50),
          ("a record and its answer, no socket, threads", "round trip/in process, threads", "µs", 50)]
NANOSECONDS = {"ms": 1e6, "µs": 1e3}


@dataclasses.dataclass
class Row:
    """Words for the clients' programs behind `produce` or `consume`, and the topic's partitions."""
    name: str
    title: str
    work: str
    partitions: int
    load: tuple = ()
    quick: bool = False


def produce(size, partitions, codec="none", batch="default", quick=False):
    """What takes some two seconds: 300 MB, or as many records as a client of 100 B can send meanwhile."""
    count = {100: 3_000_000, 1000: 600_000, 10_000: 60_000}[size]
    words = {100: "100 B", 1000: "1 KB", 10_000: "10 KB"}[size]
    batches = "its own batches" if batch == "default" else f"batches of {int(batch) // 1024} KiB"
    parts = "1 partition" if partitions == 1 else f"{partitions} partitions"
    suffix = "" if batch == "default" else f"-{int(batch) // 1024}k"
    return Row(f"produce-{size}-{partitions}-{codec}{suffix}", f"produce {words}, {parts}, {codec}, {batches}",
               "produce", partitions, (count, size, codec, batch), quick)


def consume(size, partitions, quick=False):
    words = {100: "100 B", 1000: "1 KB"}[size]
    parts = "1 partition" if partitions == 1 else f"{partitions} partitions"
    return Row(f"consume-{size}-{partitions}", f"consume {words}, {parts}", "consume", partitions,
               (1_000_000_000 // size if size > 100 else 5_000_000, size, "none", "default"), quick)


ROWS = [produce(100, 12), produce(1000, 1), produce(1000, 12, quick=True), produce(10_000, 12),
        produce(1000, 12, "lz4"), produce(100, 12, batch="65536"), produce(1000, 12, batch="65536", quick=True),
        consume(100, 12), consume(1000, 1), consume(1000, 12, quick=True)]


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench client", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="duramen-client beside librdkafka and Kafka's own client, on one broker.",
        epilog="examples:\n"
               "  scripts/bench client                      all rows, three rounds, into docs/benchmarks/client\n"
               "  scripts/bench client --quick              the main rows once, into target/bench-client\n"
               "  scripts/bench client --broker kafka       on Apache Kafka, into target/bench-client\n"
               "  scripts/bench client --rows 'consume-*'   only these, into target/bench-client")
    parser.add_argument("--quick", action="store_true", help="one round of the main rows")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 3, with --quick 1")
    parser.add_argument("--rows", metavar="NAMES", help="only these, patterns between commas")
    parser.add_argument("--broker", choices=("duramen", "kafka"), default="duramen", help="default duramen")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where the results go")
    parser.add_argument("--work", type=pathlib.Path, metavar="DIR",
                        help="where the broker's data goes while it runs; at least 12 GB")
    for name in ("--duramen", "--clients", "--jars", "--target"):
        parser.add_argument(name, type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def command(args, client, *words):
    if client == JAVA:
        return ["java", "-Xmx512M", "-cp", f"{args.jars}/*", JAVA_CLIENT, *words]
    return [args.clients, {OURS: "duramen"}.get(client, client), *words]


def figures(told):
    gigabytes = told["bytes"] / 1e9
    found = {"mb_per_s": gigabytes * 1e3 / told["seconds"], "cpu_s_per_gb": told["cpu_seconds"] / gigabytes}
    if "allocations" in told:
        return {"allocations": told["allocations"] / told["records"]}
    return found


def once(args, node, row, client):
    """One client does the row's work; each that produces has a topic of its own."""
    topic = row.name if row.work == "consume" else f"{row.name}-{client}"
    if topic not in node.filled:
        create(node, topic, row.partitions)
        node.filled.add(topic)
        if row.work == "consume":
            call([args.clients, "duramen", "produce", node.address, topic, *row.load])
    load = row.load if row.work == "produce" else ()
    return figures(json.loads(call(command(args, client, row.work, node.address, topic, *load))))


def turn(args, folder, rows, order, results):
    """All rows on one fresh broker, the clients in this order, and ours once more on one thread that counts."""
    node = {"duramen": Duramen, "kafka": Kafka}[args.broker](args, folder)
    try:
        node.start()
        node.wait_for_port()
        for row in rows:
            for client in (*order, "allocations"):
                try:
                    found = once(args, node, row, client)
                except (Failed, OSError, ValueError, KeyError) as why:
                    found = {"failed": str(why)}
                if client == "allocations":
                    results[row.name][OURS][-1].update(found)
                else:
                    results[row.name][client].append(found)
                shown = ", ".join(f"{name} {value if isinstance(value, str) else f'{value:.3g}'}"
                                  for name, value in found.items())
                say(f"  {client:15} {row.name:26} {shown}")
    finally:
        node.remove()


def inside(args):
    """What the broker inside this process takes, from the bench that measures it."""
    call(["cargo", "bench", "--locked", "--quiet", "--bench", "embedded", "--", "start|round"], seconds=1800)
    measured = {}
    for file in (args.target / "criterion").glob("*/*/new/benchmark.json"):
        name = json.loads(file.read_text())["full_id"]
        estimates = json.loads((file.parent / "estimates.json").read_text())
        measured[name] = [estimates["median"]["point_estimate"], estimates["median"]["confidence_interval"]]
    rows = []
    for title, name, unit, limit in INSIDE:
        middle, interval = measured[name]
        scale = NANOSECONDS[unit]
        rows.append({"title": title, "unit": unit, "limit": limit, "median": middle / scale,
                     "low": interval["lower_bound"] / scale, "high": interval["upper_bound"] / scale})
    return rows


def aim_of(figure, told, row):
    """The aim in words, and whether it is met."""
    aim = {"mb_per_s": SPEED, "cpu_s_per_gb": CPU, "allocations": ALLOCATIONS}[figure]
    ours = page.series(told, row, figure, OURS)
    found = page.ratios(told, row, figure, (OURS, LIBRDKAFKA))
    if not ours or (found is None and not aim.absolute):
        return "", ""
    value = page.statistics.median(ours) if aim.absolute else found[0]
    met = value >= aim.limit if aim.at_least else value <= aim.limit
    return f"{'≥' if aim.at_least else '≤'} {aim.limit:.3g}", "met" if met else "**missed**"


def lines(told, rows):
    for row in rows:
        for figure, unit in FIGURES.items():
            sides = [page.series(told, row.name, figure, client) for client in CLIENTS]
            if not any(sides):
                continue
            ratios = [page.ratio_words(page.ratios(told, row.name, figure, (OURS, other)))
                      for other in (LIBRDKAFKA, JAVA)]
            yield [row.title, unit, *(page.spread(side) if side else "" for side in sides), *ratios,
                   *aim_of(figure, told, row.name)]


def markdown(told, rows):
    heading = ["row", "figure", *CLIENTS, "÷ librdkafka", "÷ Java", "aim", ""]
    out = ["# duramen-client beside librdkafka and Kafka's own client", "",
           "Written by `scripts/bench client`; do not edit. [What each row is](../README.md#clients).", "",
           "Medians, with the smallest and largest round in brackets. A ratio is our figure divided by theirs, with the",
           "smallest and largest of the rounds; the aim is for the one to librdkafka, and for allocations the figure itself.", "",
           "| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    out += ["| " + " | ".join(cells) + " |" for cells in lines(told, rows)]
    if told["inside"]:
        out += ["", "## The broker inside the process", "",
                "`cargo bench --bench embedded`: median and its 95 % interval.", "",
                "| what | figure | aim | |", "|---|---|---|---|"]
        out += ["| {title} | {median:.3g} {unit} ({low:.3g}–{high:.3g}) | ≤ {limit} {unit} | {met} |".format(
            **each, met="met" if each["median"] <= each["limit"] else "**missed**") for each in told["inside"]]
    out += ["", "## Setting", ""]
    out += [f"- {name.replace('_', ' ')}: {value}" for name, value in told["setting"].items()]
    failed = list(page.failures(told))
    return "\n".join([*out, *(["", "## Not measured", "", *failed] if failed else [])]) + "\n"


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    patterns = args.rows.split(",") if args.rows else ["*"]
    rows = [row for row in ROWS if any(fnmatch.fnmatch(row.name, each) for each in patterns)]
    rows = [row for row in rows if row.quick or not args.quick]
    if not rows:
        sys.exit("no row has such a name: " + ", ".join(row.name for row in ROWS))
    whole = not (args.quick or args.rows or args.broker == "kafka")
    args.out = args.out or (ROOT / "docs/benchmarks/client" if whole else args.target / "bench-client")
    rounds = args.rounds or (1 if args.quick else 3)
    args.work = args.work or pathlib.Path(tempfile.gettempdir())
    work = pathlib.Path(tempfile.mkdtemp(prefix="duramen-bench.", dir=args.work))
    began = time.monotonic()
    try:
        if shutil.disk_usage(work).free < 12e9:
            sys.exit(f"{work} has too little space; name another folder with --work")
        broker = {"duramen": "Duramen of this commit", "kafka": "Apache Kafka 4.3.1"}[args.broker]
        told = {"setting": setting(args.work, rounds, broker=f"{broker}, one node, fresh each round, acks from the page cache",
                                   clients="librdkafka and Kafka 4.3.1's client at their defaults, acks=all, idempotent"),
                "rows": {row.name: {client: [] for client in CLIENTS} for row in rows}}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            order = [CLIENTS[(number + place) % len(CLIENTS)] for place in range(len(CLIENTS))]
            turn(args, work / "node", rows, order, told["rows"])
        told["inside"] = inside(args) if whole else []
        told["setting"]["minutes"] = round((time.monotonic() - began) / 60, 1)
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "results.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        (args.out / "results.md").write_text(markdown(told, rows))
        for cells in lines(told, rows):
            print(" | ".join(cells))
        say(f"written to {args.out} after {told['setting']['minutes']} minutes")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
