"""Runs the rows on both brokers in turn, fresh each round, and writes what came out.

Python's standard library only. `scripts/bench compare` builds what is needed and starts this.
"""

import argparse
import fnmatch
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import page
from nodes import KAFKA_JVM, Duramen, Failed, Kafka
from rows import table
from setting import ROOT, say, setting

KAFKA = "4.3.1, KRaft, one node, " + " ".join(KAFKA_JVM)
DURAMEN = "release build, one node, defaults but for durability, which the row says"


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Duramen beside Apache Kafka 4.3.1, the same rows on both.",
        epilog="examples:\n"
               "  scripts/bench compare                          all rows, three rounds, into docs/benchmarks\n"
               "  scripts/bench compare --quick                  the main rows once, into target/bench-quick\n"
               "  scripts/bench compare --rows 'latency-*,start' only these, into target/bench-part\n"
               "  scripts/bench compare --readme                 and put the ratios into README.md")
    parser.add_argument("--quick", action="store_true", help="one round of the main rows")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 3, with --quick 1")
    parser.add_argument("--rows", metavar="NAMES", help="only these, patterns between commas")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where the results go")
    parser.add_argument("--work", type=pathlib.Path, metavar="DIR",
                        help="where the brokers' data goes while it runs; at least 20 GB")
    parser.add_argument("--readme", action="store_true", help="replace the ratios in README.md")
    for name in ("--duramen", "--floor", "--jars", "--target"):
        parser.add_argument(name, type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(args):
    rows = table(args.quick)
    if args.rows:
        patterns = args.rows.split(",")
        rows = [row for row in rows if any(fnmatch.fnmatch(row.name, each) for each in patterns)]
    if not rows:
        sys.exit("no row has such a name; see scripts/bench compare --list")
    return rows


def turn(kind, args, folder, rows, results):
    """All rows on one fresh broker."""
    node = kind(args, folder)
    try:
        node.start()
        node.wait_for_port()
        for row in rows:
            began = time.monotonic()
            try:
                if node.process.poll() is not None:
                    node.start()
                    node.wait_for_port()
                figures = row.run(node)
            except (Failed, OSError, ValueError, KeyError) as why:
                figures = {"failed": str(why)}
            results[row.name][kind.name].append(figures)
            shown = ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name}: {value}"
                              for name, value in figures.items())
            say(f"  {kind.name:8} {row.name:28} {shown}  [{time.monotonic() - began:.1f} s]")
    finally:
        node.remove()


def main():
    args = arguments()
    rows = chosen(args)
    if args.list:
        for row in rows:
            print(f"{row.name:30} {row.title}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rounds = args.rounds or (1 if args.quick else 3)
    whole = not (args.quick or args.rows)
    kind = "bench-quick" if args.quick else "bench-part"
    args.out = args.out or (ROOT / "docs/benchmarks" if whole else args.target / kind)
    args.work = args.work or pathlib.Path(tempfile.gettempdir())
    work = pathlib.Path(tempfile.mkdtemp(prefix="duramen-bench.", dir=args.work))
    began = time.monotonic()
    try:
        if shutil.disk_usage(work).free < (8e9 if args.quick else 20e9):
            sys.exit(f"{work} has too little space; name another folder with --work")
        results = {row.name: {"duramen": [], "kafka": []} for row in rows}
        told = {"setting": setting(args.work, rounds, quick=args.quick, kafka=KAFKA, duramen=DURAMEN), "floor": [], "rows": results}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            floor = subprocess.run([args.floor, "2000", work], capture_output=True, text=True, check=True)
            told["floor"].append(json.loads(floor.stdout))
            pair = [Kafka, Duramen] if number % 2 == 0 else [Duramen, Kafka]
            for broker in pair:
                turn(broker, args, work / broker.name, rows, results)
        told["setting"]["minutes"] = round((time.monotonic() - began) / 60, 1)
        page.write(args.out, told, rows)
        if args.readme:
            page.into_readme(ROOT / "README.md", told, rows)
        print(page.short(told, rows))
        say(f"written to {args.out} after {told['setting']['minutes']} minutes")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
