"""The two brokers: how each is started, stopped and watched. Loopback only, ports picked free."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

# What kafka-server-start.sh and kafka-run-class.sh of 4.3.1 give the JVM when nothing is set.
KAFKA_JVM = (
    "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 "
    "-XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent "
    "-XX:MaxInlineLevel=15 -Djava.awt.headless=true"
).split()


def die_with_us():
    """In a child: it is killed when this process goes, however it goes."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Failed(Exception):
    """A row that could not be measured; the words say why."""


class Node:
    """One broker with its data directory; made anew for each turn. `filled` names topics to read from."""

    def __init__(self, setup, folder):
        self.setup, self.folder = setup, pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.process = None
        self.filled = set()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts it; returns the time just before, without waiting."""
        log = open(self.folder / "broker.log", "ab")
        command = self.command()
        began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us)
        log.close()
        return began

    def wait_for_port(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"{self.name} stopped: {self.last_words()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.001)
        raise Failed(f"{self.name} did not open its port within {seconds} s")

    def last_words(self):
        lines = (self.folder / "broker.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:])

    def end(self, how=signal.SIGTERM, seconds=60):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remove(self):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        """User and system seconds of the broker so far."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def anonymous_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise Failed("the kernel does not tell RssAnon")


class Duramen(Node):
    name = "duramen"

    def command(self):
        return [self.setup.duramen, "serve", "--data", self.folder / "data", "--http", "off",
                "--listen", self.address, "--log", "warn"]

    @staticmethod
    def durability(durable):
        return ["durability=disk" if durable else "durability=page-cache"]


class Kafka(Node):
    name = "kafka"

    def __init__(self, setup, folder):
        super().__init__(setup, folder)
        self.controller = free_port()
        self.properties = self.folder / "server.properties"
        # config/server.properties as Kafka ships it, but for ports and folder.
        self.properties.write_text("\n".join([
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.bootstrap.servers=127.0.0.1:{self.controller}",
            f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller}",
            f"advertised.listeners=PLAINTEXT://{self.address}",
            "controller.listener.names=CONTROLLER",
            "num.network.threads=3", "num.io.threads=8",
            "socket.send.buffer.bytes=102400", "socket.receive.buffer.bytes=102400",
            "socket.request.max.bytes=104857600",
            f"log.dirs={self.folder / 'data'}",
            "num.partitions=1", "num.recovery.threads.per.data.dir=1",
            "offsets.topic.replication.factor=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
            "log.retention.hours=168", "log.segment.bytes=1073741824",
            "log.retention.check.interval.ms=300000", ""]))
        done = subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "--standalone",
                      "-t", "q1Sh-9_ISia_zwGINzRvyQ", "-c", self.properties),
            capture_output=True, text=True, preexec_fn=die_with_us)
        if done.returncode != 0:
            raise Failed(f"formatting: {done.stderr.strip()[-300:]}")

    def java(self, *words, jvm=()):
        return ["java", *jvm, "-cp", f"{self.setup.jars}/*", *words]

    def command(self):
        return self.java("kafka.Kafka", self.properties, jvm=KAFKA_JVM)

    @staticmethod
    def durability(durable):
        return ["flush.messages=1"] if durable else []
