"""confluent-kafka against a broker: confluent.py SCENARIO BOOTSTRAP"""

import sys
import time

from confluent_kafka import (
    Consumer, KafkaException, Producer, TopicCollection, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
)

BEGINNING, END = -2, -1


def consumer_of(bootstrap):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })


def take(consumer, count):
    got = []
    while len(got) < count:
        messages = consumer.consume(count - len(got), timeout=60)
        assert messages, f"only {len(got)} of {count}"
        for message in messages:
            assert message.error() is None, message.error()
        got.extend(messages)
    return got


def eventually(reason, ask):
    """Kafka's brokers learn of a topic a moment after the answer that made it."""
    for _ in range(3000):
        if ask():
            return
        time.sleep(0.02)
    raise AssertionError(reason)


def codecs(bootstrap):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        for idempotent in (False, True):
            topic = f"confluent-{codec}-{idempotent}"
            done = []

            def delivered(error, message):
                assert error is None, error
                done.append(message.offset())

            producer = Producer({
                "bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 10,
                "enable.idempotence": idempotent,
            })
            sent = [(f"k{n}".encode(), f"value {n} ".encode() * 20) for n in range(500)]
            for key, value in sent:
                producer.produce(
                    topic, key=key, value=value, partition=0, headers={"h": key}, callback=delivered
                )
            assert producer.flush(60) == 0
            assert done == list(range(500)), done[:10]
            consumer = consumer_of(bootstrap)
            consumer.assign([TopicPartition(topic, 0, BEGINNING)])
            got = take(consumer, 500)
            assert [(m.key(), m.value()) for m in got] == sent, codec
            assert all(m.headers() == [("h", m.key())] for m in got)
            consumer.close()


def offsets(bootstrap):
    topic = "confluent-offsets"
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(100):
        producer.produce(topic, str(n).encode(), timestamp=1_600_000_000_000 + 10 * n, partition=0)
    assert producer.flush(60) == 0
    consumer = consumer_of(bootstrap)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=60) == (0, 100)
    found = consumer.offsets_for_times([TopicPartition(topic, 0, 1_600_000_000_495)], timeout=60)
    assert found[0].offset == 50, found
    late = consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_000)], timeout=60)
    assert late[0].offset == END, late
    consumer.assign([TopicPartition(topic, 0, 95)])
    assert [m.offset() for m in take(consumer, 5)] == [95, 96, 97, 98, 99]
    # with an epoch, this client asks first whether the log still is the one it knew
    consumer.assign([TopicPartition(topic, 0, 90, leader_epoch=0)])
    assert [m.offset() for m in take(consumer, 10)] == list(range(90, 100))
    consumer.close()


def only(futures):
    (future,) = futures.values()
    return future.result(timeout=60)


def admin(bootstrap):
    topic = "confluent-admin"
    client = AdminClient({"bootstrap.servers": bootstrap})
    only(client.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "3600000"})]))
    try:
        only(client.create_topics([NewTopic(topic, 2, 1)]))
        raise AssertionError("a topic was created twice")
    except KafkaException as error:
        assert error.args[0].name() == "TOPIC_ALREADY_EXISTS", error

    def partitions(count):
        known = client.list_topics(timeout=60).topics.get(topic)
        return known is not None and len(known.partitions) == count

    eventually("the topic has two partitions", lambda: partitions(2))
    only(client.create_partitions([NewPartitions(topic, 3)]))
    eventually("the topic has three partitions", lambda: partitions(3))
    described = only(client.describe_topics(TopicCollection([topic])))
    assert len(described.partitions) == 3, described
    resource = ConfigResource("topic", topic)
    assert only(client.describe_configs([resource]))["retention.ms"].value == "3600000"
    change = ConfigResource("topic", topic, incremental_configs=[
        ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET),
    ])
    only(client.incremental_alter_configs([change]))

    def changed():
        entry = only(client.describe_configs([resource]))["retention.ms"]
        return (entry.value, entry.is_default) == ("7200000", False)

    eventually("the setting is changed", changed)
    assert len(client.describe_cluster().result(timeout=60).nodes) == 1
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(10):
        producer.produce(topic, str(n).encode(), partition=1, timestamp=1_600_000_000_000 + n)
    assert producer.flush(60) == 0
    low = only(client.delete_records([TopicPartition(topic, 1, 4)]))
    assert low.low_watermark == 4, low
    partition = TopicPartition(topic, 1)
    assert only(client.list_offsets({partition: OffsetSpec.earliest()})).offset == 4
    assert only(client.list_offsets({partition: OffsetSpec.latest()})).offset == 10
    assert only(client.list_offsets({partition: OffsetSpec.max_timestamp()})).offset == 9
    only(client.delete_topics([topic]))
    eventually("the topic is gone", lambda: topic not in client.list_topics(timeout=60).topics)


{"codecs": codecs, "offsets": offsets, "admin": admin}[sys.argv[1]](sys.argv[2])
