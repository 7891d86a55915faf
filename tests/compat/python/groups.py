"""A group whose members are killed, with one of three clients: groups.py CLIENT BOOTSTRAP

Each member is a process of its own. It prints what it reads, and what it has committed. All records
are read by someone; what was committed is read by nobody who came later.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time

PARTITIONS = 3
# produced before the members come; more follow as long as the scenario lasts, so that there is
# something to read for whoever comes late
RECORDS = 150
SESSION_MS = 6000
# a member pauses so long between records that it can be killed in the middle
PAUSE = 0.01


def say(*words):
    print(*words, flush=True)


def member_kafka_python(bootstrap, topic, group):
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic, bootstrap_servers=[bootstrap], group_id=group, auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=SESSION_MS, heartbeat_interval_ms=500,
        max_poll_records=5,
    )
    while True:
        batches = consumer.poll(timeout_ms=500)
        for partition, records in batches.items():
            for record in records:
                say("read", partition.partition, record.offset)
                time.sleep(PAUSE)
        if batches:
            try:
                consumer.commit()
            except Exception as error:
                say("refused", repr(error))
                continue
            for partition in consumer.assignment():
                say("committed", partition.partition, consumer.position(partition))


def member_aiokafka(bootstrap, topic, group):
    from aiokafka import AIOKafkaConsumer

    async def read():
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=SESSION_MS, heartbeat_interval_ms=500,
        )
        await consumer.start()
        while True:
            batches = await consumer.getmany(timeout_ms=500, max_records=5)
            for partition, records in batches.items():
                for record in records:
                    say("read", partition.partition, record.offset)
                    await asyncio.sleep(PAUSE)
            offsets = {partition: records[-1].offset + 1 for partition, records in batches.items() if records}
            if offsets:
                try:
                    await consumer.commit(offsets)
                except Exception as error:
                    say("refused", repr(error))
                    continue
                for partition, offset in offsets.items():
                    say("committed", partition.partition, offset)

    asyncio.run(read())


def member_confluent(bootstrap, topic, group):
    times = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}
    read_confluent(bootstrap, topic, group, times)


def member_confluent_kip848(bootstrap, topic, group):
    read_confluent(bootstrap, topic, group, {"group.protocol": "consumer"})


def read_confluent(bootstrap, topic, group, settings):
    from confluent_kafka import Consumer, KafkaException

    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, **settings,
    })
    consumer.subscribe([topic])
    while True:
        records = [record for record in consumer.consume(5, timeout=0.5) if not record.error()]
        for record in records:
            say("read", record.partition(), record.offset())
            time.sleep(PAUSE)
        if records:
            try:
                done = consumer.commit(asynchronous=False)
            except KafkaException as error:
                say("refused", error)
                continue
            for partition in done:
                say("committed", partition.partition, partition.offset)


class Member:
    """A member's process and what it has printed."""

    def __init__(self, client, bootstrap, topic, group):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, f"member-{client}", bootstrap, topic, group],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.split())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def told(self, word):
        return [(int(line[1]), int(line[2])) for line in self.lines if line[:1] == [word] and len(line) == 3]

    def committed(self):
        offsets = {}
        for partition, offset in self.told("committed"):
            offsets[partition] = max(offset, offsets.get(partition, 0))
        return offsets


class Flow:
    """Records that go on coming until it is stopped; `ends` is then where each partition ends."""

    def __init__(self, bootstrap, topic):
        self.stopping = threading.Event()
        self.ends = dict.fromkeys(range(PARTITIONS), 0)
        self.error = None
        self.thread = threading.Thread(target=self.produce, args=(bootstrap, topic), daemon=True)
        self.thread.start()

    def produce(self, bootstrap, topic):
        from kafka import KafkaProducer

        try:
            producer = KafkaProducer(bootstrap_servers=[bootstrap])
            while not self.stopping.is_set() or sum(self.ends.values()) < RECORDS:
                for partition in self.ends:
                    producer.send(topic, b"a record", partition=partition).get(30)
                    self.ends[partition] += 1
                if sum(self.ends.values()) >= RECORDS:
                    self.stopping.wait(0.1)
            producer.close()
        except Exception as error:
            self.error = error

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert self.error is None, self.error
        return self.ends


def eventually(reason, ask, seconds=60):
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, reason
        time.sleep(0.05)


def scenario(client, bootstrap):
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
    from kafka.admin import NewTopic

    topic, group = f"groups-{client}", f"group-of-{client}"
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()
    flow = Flow(bootstrap, topic)

    first = Member(client, bootstrap, topic, group)
    second = Member(client, bootstrap, topic, group)
    started = [first, second]
    try:
        eventually("both read and commit", lambda: all(len(m.told("committed")) > 2 for m in started))
        first.kill()
        dead = first.committed()
        third = Member(client, bootstrap, topic, group)
        started.append(third)
        eventually("the third reads and commits", lambda: len(third.told("committed")) > 2, 120)
        ends = flow.stop()
        everything = {(partition, offset) for partition in ends for offset in range(ends[partition])}
        seen = lambda: {read for m in started for read in m.told("read")}
        eventually("all records are read", lambda: seen() == everything, 90)
        for partition, offset in third.told("read"):
            assert offset >= dead.get(partition, 0), (partition, offset, dead)

        def all_committed():
            best = {}
            for member in started:
                for partition, offset in member.committed().items():
                    best[partition] = max(offset, best.get(partition, 0))
            return best == ends

        eventually("all is committed", all_committed)
    finally:
        for member in started:
            member.kill()
    # whoever asks later is told the same
    consumer = KafkaConsumer(bootstrap_servers=[bootstrap], group_id=group)
    for partition in range(PARTITIONS):
        committed = consumer.committed(TopicPartition(topic, partition))
        assert committed == ends[partition], (partition, committed, ends)
    consumer.close()


def end_with_parent():
    """A member must not outlive the scenario, however that ends."""
    sys.stdin.read()
    os._exit(0)


if sys.argv[1].startswith("member-"):
    threading.Thread(target=end_with_parent, daemon=True).start()
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
else:
    scenario(*sys.argv[1:])
