"""The rows: what is done to a broker, and which figures that gives. Each row is the same on both."""

import dataclasses
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

from nodes import Failed, die_with_us

JAVA_CLIENT = pathlib.Path(__file__).resolve().parents[2] / "benches/clients/KafkaClient.java"
CACHES = pathlib.Path("/proc/sys/vm/drop_caches")
PAGE_CACHE = "page cache"
DISK = "disk before ack"
# What commits get: Duramen has them on the disk, Kafka in its page cache.
OWN_DEFAULT = "own default"


@dataclasses.dataclass(frozen=True)
class Aim:
    """What Duramen's figure divided by Kafka's must reach; with `absolute`, its own figure."""
    limit: float
    at_least: bool
    absolute: bool = False


AT_LEAST_JAVA, AT_LEAST_BENCH = Aim(1.3, True), Aim(3, True)
CPU_IN, CPU_OUT = Aim(1 / 4, False), Aim(1 / 8, False)
DURABLE = Aim(5, True)


@dataclasses.dataclass
class Row:
    name: str
    title: str
    durability: str
    run: object
    aims: dict
    quick: bool = False


# ---- tools ------------------------------------------------------------------------------------

def call(command, seconds=180):
    """Runs a tool to its end; its output, or why it failed."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=seconds, preexec_fn=die_with_us, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{pathlib.Path(command[0]).name} took over {seconds} s") from late
    if done.returncode != 0:
        raise Failed((done.stderr or done.stdout).strip().splitlines()[-1][:300])
    return done.stdout


def duramen(node, *words, seconds=180):
    return call([node.setup.duramen, *words, "--brokers", node.address], seconds)


def bench(node, *words, seconds=180):
    return json.loads(duramen(node, "bench", *words, "--format", "json", seconds=seconds))


def configs(node, durable):
    return [word for text in node.durability(durable) for word in ("-c", text)]


def create(node, topic, partitions, durable=False):
    duramen(node, "topic", "create", topic, "-p", partitions, "--timeout", "120s",
            *configs(node, durable))


def clients_cpu():
    """User and system seconds of all tools that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def with_cpu(node, measure):
    """Figures of `measure`, with what they cost the broker, and its client: whichever uses all that the
    machine has is the limit."""
    before, clients_before = node.cpu(), clients_cpu()
    records, size, seconds = measure()
    gigabytes = size / 1e9
    return {"mb_per_s": size / 1e6 / seconds, "records_per_s": records / seconds,
            "cpu_s_per_gb": (node.cpu() - before) / gigabytes,
            "client_cpu_s_per_gb": (clients_cpu() - clients_before) / gigabytes}


# ---- produce and consume ----------------------------------------------------------------------

def produce_java(node, topic, size, count, codec):
    words = ["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", count,
             "--record-size", size, "--throughput", "-1", "--command-property",
             f"bootstrap.servers={node.address}", "acks=all", f"compression.type={codec}"]
    out = call(["java", "-Xmx512M", "-cp", f"{node.setup.jars}/*", *words])
    found = re.findall(r"(\d+) records sent, ([\d.]+) records/sec", out)
    if not found or int(found[-1][0]) != count:
        raise Failed(f"ProducerPerformance did not send all: {out.strip()[-200:]}")
    return count, count * size, count / float(found[-1][1])


def produce_bench(node, topic, size, count, codec):
    told = bench(node, "produce", topic, "--size", size, "-n", count, "-z", codec)
    return told["records"], told["bytes"], told["seconds"]


def consume_java(node, topic):
    told = json.loads(call(["java", "-Xmx512M", "-cp", f"{node.setup.jars}/*",
                            JAVA_CLIENT, "consume", node.address, topic]))
    return told["records"], told["bytes"], told["seconds"]


def consume_bench(node, topic):
    told = bench(node, "consume", topic)
    return told["records"], told["bytes"], told["seconds"]


PRODUCERS = {"java": produce_java, "bench": produce_bench}
CONSUMERS = {"java": consume_java, "bench": consume_bench}
CLIENT = {"java": "Java client", "bench": "duramen bench"}
# About what takes four seconds on Kafka: records by client and size.
COUNT = {("java", 100): 2_000_000, ("java", 1000): 300_000, ("java", 10_000): 40_000,
         ("bench", 100): 5_000_000, ("bench", 1000): 1_000_000, ("bench", 10_000): 100_000}
SIZE = {100: "100 B", 1000: "1 KB", 10_000: "10 KB"}


def produce(client, size, partitions, codec="none", quick=False):
    name = f"produce-{client}-{size}-{partitions}-{codec}"

    def run(node):
        create(node, name, partitions)
        count = COUNT[client, size]
        return with_cpu(node, lambda: PRODUCERS[client](node, name, size, count, codec))

    speed = AT_LEAST_JAVA if client == "java" else AT_LEAST_BENCH
    title = f"produce {SIZE[size]}, {parts(partitions)}, {codec}, {CLIENT[client]}"
    return Row(name, title, PAGE_CACHE, run, {"mb_per_s": speed, "cpu_s_per_gb": CPU_IN}, quick)


def durable(client, partitions, quick=False):
    name = f"durable-{client}-{partitions}"

    def run(node):
        create(node, name, partitions, durable=True)
        # As many as without the disk: for fewer the Java client is measured while it warms up.
        count = COUNT["java", 1000]
        return with_cpu(node, lambda: PRODUCERS[client](node, name, 1000, count, "none"))

    title = f"durable produce 1 KB, {parts(partitions)}, {CLIENT[client]}"
    return Row(name, title, DISK, run, {"mb_per_s": DURABLE}, quick)


def consume(client, partitions, cold=False, quick=False):
    kind = "cold" if cold else "hot"
    topic = f"read-{partitions}"

    def run(node):
        if topic not in node.filled:
            create(node, topic, partitions)
            produce_bench(node, topic, 1000, 1_000_000, "none")
            node.filled.add(topic)
        if cold:
            drop_caches()
        return with_cpu(node, lambda: CONSUMERS[client](node, topic))

    speed = AT_LEAST_JAVA if client == "java" else AT_LEAST_BENCH
    aims = {} if cold else {"mb_per_s": speed, "cpu_s_per_gb": CPU_OUT}
    title = f"consume 1 KB, {parts(partitions)}, {kind}, {CLIENT[client]}"
    return Row(f"consume-{client}-{partitions}-{kind}", title, PAGE_CACHE, run, aims, quick)


def parts(count):
    return f"{count} partition" + ("s" if count > 1 else "")


def drop_caches():
    os.sync()
    try:
        CACHES.write_text("3")
    except OSError as refused:
        raise Failed("emptying the page cache needs root") from refused


# ---- latency, memory, starting, idling ----------------------------------------------------------

def latency(rate, quick=False):
    name = f"latency-{rate // 1000}k"

    def run(node):
        words = ["-p", 12, *configs(node, False), "--rate", rate, "--duration", "6s", "--warmup", "3s"]
        told = bench(node, "latency", name, *words)
        ends = told["end_to_end_ms"]
        return {"p50_ms": ends["p50"], "p99_ms": ends["p99"], "p99_9_ms": ends["p99_9"]}

    aims = {"p99_ms": Aim(1 / 4, False)} if rate == 20_000 else {}
    title = f"end to end, 1 KB, 12 partitions, {rate // 1000},000 records/s"
    return Row(name, title, PAGE_CACHE, run, aims, quick)


def first_write(node, began):
    """Milliseconds from the start of the process to the first acknowledged write."""
    deadline = began + 120
    while True:
        node.wait_for_port(max(deadline - time.monotonic(), 0.1))
        try:
            bench(node, "produce", "ready", "-n", 1, "--linger", "0s", *configs(node, False), seconds=60)
            return {"ready_ms": (time.monotonic() - began) * 1e3}
        except Failed:
            if time.monotonic() > deadline:
                raise


def start(node):
    """On an empty directory: what an earlier start made is removed."""
    renew(node)
    return first_write(node, node.start())


def renew(node):
    node.remove()
    node.filled.clear()
    node.__init__(node.setup, node.folder)


def memory(node):
    return {"anonymous_mb": node.anonymous_mb()}


def restart(records):
    def run(node):
        # With the data of the rows before, a restart would read all that they left unsynced.
        renew(node)
        node.start()
        node.wait_for_port()
        bench(node, "produce", "ready", "-n", 1, *configs(node, False))
        create(node, "restart", 1)
        produce_bench(node, "restart", 1000, records, "none")
        node.end(signal.SIGKILL)
        return first_write(node, node.start())
    return run


def idle(node):
    renew(node)
    node.start()
    node.wait_for_port()
    for part in range(5):
        create(node, f"idle-{part}", 1000)
    time.sleep(5)
    before = node.cpu()
    time.sleep(10)
    return {"cpu_percent": (node.cpu() - before) * 10, "anonymous_mb": node.anonymous_mb()}


# ---- groups -------------------------------------------------------------------------------------

def groups(count, members, quick=False):
    """Commits and heartbeats of members that are all there; each part costs what it costs above joining."""
    name = f"groups-{count}-{members}"
    heartbeats = 100

    def run(node):
        create(node, name, 12)
        words = [name, "--groups", count, "--members", members, "--timeout", "120s"]

        def part(kind, beats, commits):
            before = node.cpu()
            told = bench(node, "groups", *words, "--prefix", f"{name}-{kind}", "--heartbeats", beats,
                         "--commits", commits, seconds=400)
            return told, node.cpu() - before

        part("warm", 0, 1)  # the first one makes the topic of offsets
        _, joining = part("join", 0, 0)
        _, beating = part("beat", heartbeats, 0)
        told, _ = part("all", 0, 50)
        beaten = count * members * heartbeats
        return {"join_s": told["join_ms"]["max"] / 1e3,
                "cpu_s_per_1000_heartbeats": max(beating - joining, 0) / beaten * 1e3,
                "commits_per_s": told["commits_per_s"], "p99_ms": told["commit_ms"]["p99"]}

    title = f"{count:,} groups of {members:,}" if count > 1 else f"a group of {members:,}"
    return Row(name, title, OWN_DEFAULT, run, {}, quick)


# ---- the table ----------------------------------------------------------------------------------

def table(quick):
    memory_aim, ready_aim = Aim(1 / 20, False), Aim(100, False, absolute=True)
    stored = 1_000_000 if quick else 5_000_000
    rows = [Row("start", "start to first acknowledged write", PAGE_CACHE, start,
                {"ready_ms": ready_aim}, True)]
    for client in PRODUCERS:
        for size in SIZE:
            for partitions in (1, 12):
                rows.append(produce(client, size, partitions, quick=(size, partitions) == (1000, 12)))
        rows += [produce(client, 1000, 12, codec) for codec in ("lz4", "zstd")]
    for client in CONSUMERS:
        rows += [consume(client, 1), consume(client, 12, quick=True), consume(client, 12, cold=True)]
    rows += [latency(1_000), latency(20_000, quick=True), latency(50_000)]
    for client in PRODUCERS:
        rows += [durable(client, 1), durable(client, 12, quick=True)]
    rows += [groups(1_000, 1), groups(1, 1_000)]
    rows += [
        Row("memory", "anonymous memory after the rows above", "-", memory,
            {"anonymous_mb": memory_aim}, True),
        Row("restart", f"restart after kill -9 with {stored // 1_000_000} GB to first acknowledged write",
            PAGE_CACHE, restart(stored), {}, True),
        Row("idle", "5,000 idle partitions", "-", idle, {}, False),
    ]
    return [row for row in rows if row.quick or not quick]
