"""A member of a group, for tests/compat/members.rs: member.py CLIENT BOOTSTRAP TOPIC GROUP SESSION-MS

It tells what happens to it, each line with the monotonic clock's time in front: `assigned P…`,
`revoked P…`, `lost P…`, `read P FIRST LAST`, `committed P NEXT`, `refused WHY`. It ends with its
standard input, so that it does not outlive the test; those of confluent leave when they are told to end.
"""

import asyncio
import os
import signal
import sys
import threading
import time

HEARTBEAT_MS = 500
BATCH = 5
# between what it has read and the commit of it, so that it can be killed there
PAUSE = 0.02


def tell(*words):
    print(time.monotonic(), *words, flush=True)


def tell_partitions(word):
    return lambda partitions: tell(word, *sorted(one.partition for one in partitions))


def kafka_python(bootstrap, topic, group, session_ms):
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.errors import KafkaError

    class Listener(ConsumerRebalanceListener):
        on_partitions_assigned = staticmethod(tell_partitions("assigned"))
        on_partitions_revoked = staticmethod(tell_partitions("revoked"))
        on_partitions_lost = staticmethod(tell_partitions("lost"))

    def start():
        return KafkaConsumer(
            bootstrap_servers=[bootstrap], group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=session_ms,
            heartbeat_interval_ms=HEARTBEAT_MS, max_poll_records=BATCH,
        )

    consumer = None
    while consumer is None:
        try:
            consumer = start()
        except KafkaError as error:  # the broker is being killed just now
            tell("failed", repr(error))
    consumer.subscribe([topic], listener=Listener())
    while True:
        try:
            # long: this client can forget a rebalance in whose middle a poll ends, and idles for ever
            batches = consumer.poll(timeout_ms=30_000)
            for partition, records in batches.items():
                tell("read", partition.partition, records[0].offset, records[-1].offset)
            if batches:
                time.sleep(PAUSE)
                consumer.commit()
                for partition in consumer.assignment():
                    tell("committed", partition.partition, consumer.position(partition))
        except KafkaError as error:  # a rebalance, or the broker is being killed just now
            tell("refused", repr(error))


def aiokafka(bootstrap, topic, group, session_ms):
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.errors import KafkaConnectionError

    class Listener(ConsumerRebalanceListener):
        on_partitions_assigned = staticmethod(tell_partitions("assigned"))
        on_partitions_revoked = staticmethod(tell_partitions("revoked"))

    async def read():
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=session_ms,
            heartbeat_interval_ms=HEARTBEAT_MS,
        )
        while True:
            try:
                await consumer.start()
                break
            except KafkaConnectionError:  # the broker is being killed just now
                await asyncio.sleep(0.1)
        consumer.subscribe([topic], listener=Listener())
        while True:
            batches = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            batches = {partition: records for partition, records in batches.items() if records}
            for partition, records in batches.items():
                tell("read", partition.partition, records[0].offset, records[-1].offset)
            if not batches:
                continue
            await asyncio.sleep(PAUSE)
            offsets = {partition: records[-1].offset + 1 for partition, records in batches.items()}
            try:
                await consumer.commit(offsets)
            except Exception as error:
                tell("refused", repr(error))
                continue
            for partition, offset in offsets.items():
                tell("committed", partition.partition, offset)

    asyncio.run(read())


def confluent(bootstrap, topic, group, session_ms):
    times = {"session.timeout.ms": session_ms, "heartbeat.interval.ms": HEARTBEAT_MS}
    read_confluent(bootstrap, topic, group, times)


def confluent_sticky(bootstrap, topic, group, session_ms):
    times = {"session.timeout.ms": session_ms, "heartbeat.interval.ms": HEARTBEAT_MS}
    sticky = {"partition.assignment.strategy": "cooperative-sticky"}
    read_confluent(bootstrap, topic, group, {**times, **sticky})


def confluent_kip848(bootstrap, topic, group, _):
    read_confluent(bootstrap, topic, group, {"group.protocol": "consumer"})


def read_confluent(bootstrap, topic, group, settings):
    from confluent_kafka import Consumer, KafkaException

    def teller(word):
        told = tell_partitions(word)
        return lambda _, partitions: told(partitions)

    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, **settings,
    })
    consumer.subscribe(
        [topic], on_assign=teller("assigned"), on_revoke=teller("revoked"), on_lost=teller("lost"),
    )
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    while not leaving.is_set():
        records = [one for one in consumer.consume(BATCH, timeout=0.2) if not one.error()]
        batches = {}
        for record in records:
            batches.setdefault(record.partition(), []).append(record.offset())
        for partition, offsets in batches.items():
            tell("read", partition, offsets[0], offsets[-1])
        if batches:
            time.sleep(PAUSE)
            try:
                done = consumer.commit(asynchronous=False)
            except KafkaException as error:
                tell("refused", error)
                continue
            for partition in done:
                if partition.offset >= 0:  # of the others nothing was read yet
                    tell("committed", partition.partition, partition.offset)
    consumer.close()


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
clients = {
    "kafka-python": kafka_python, "aiokafka": aiokafka, "confluent": confluent,
    "confluent-sticky": confluent_sticky, "confluent-kip848": confluent_kip848,
}
clients[sys.argv[1]](*sys.argv[2:5], int(sys.argv[5]))
