"""kafka-python against a broker: kafka_python.py SCENARIO BOOTSTRAP"""

import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import (
    MessageSizeTooLargeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError,
)

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


def reader(bootstrap, topic, partition=0):
    consumer = KafkaConsumer(bootstrap_servers=[bootstrap], auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition)])
    return consumer


def take(consumer, count):
    got = []
    for message in consumer:
        got.append(message)
        if len(got) == count:
            return got


def eventually(reason, ask):
    """Kafka's brokers learn of a topic a moment after the answer that made it."""
    for _ in range(3000):
        if ask():
            return
        time.sleep(0.02)
    raise AssertionError(reason)


def codecs(bootstrap):
    for codec in CODECS:
        topic = f"kafka-python-{codec}"
        producer = KafkaProducer(
            bootstrap_servers=[bootstrap], compression_type=codec, linger_ms=20
        )
        sent = [
            (f"k{n}".encode(), f"value {n} ".encode() * 20, [("n", str(n).encode())], 1_700_000_000_000 + n)
            for n in range(500)
        ]
        futures = [
            producer.send(topic, key=k, value=v, headers=h, timestamp_ms=t, partition=0)
            for k, v, h, t in sent
        ]
        offsets = [future.get(60).offset for future in futures]
        assert offsets == list(range(500)), offsets[:10]
        producer.close()
        consumer = reader(bootstrap, topic)
        got = [(m.key, m.value, [tuple(h) for h in m.headers], m.timestamp) for m in take(consumer, 500)]
        assert got == sent, (codec, got[:1], sent[:1])
        consumer.close()


def acks(bootstrap):
    for level in (0, 1, "all"):
        topic = f"kafka-python-acks-{level}"
        producer = KafkaProducer(bootstrap_servers=[bootstrap], acks=level, enable_idempotence=False)
        for n in range(50):
            producer.send(topic, str(n).encode(), partition=0)
        producer.flush()
        producer.close()
        consumer = reader(bootstrap, topic)
        assert [m.value for m in take(consumer, 50)] == [str(n).encode() for n in range(50)]
        consumer.close()
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    admin.create_topics([NewTopic("kafka-python-small", 1, 1, topic_configs={"max.message.bytes": "1000"})])
    # an idempotent producer of this client stays poisoned after a refused batch
    producer = KafkaProducer(bootstrap_servers=[bootstrap], enable_idempotence=False)
    try:
        producer.send("kafka-python-small", b"x" * 5000).get(60)
        raise AssertionError("a batch over max.message.bytes was taken")
    except MessageSizeTooLargeError:
        pass
    producer.send("kafka-python-small", b"x" * 500).get(60)
    producer.close()
    admin.close()


def offsets(bootstrap):
    topic = "kafka-python-offsets"
    producer = KafkaProducer(bootstrap_servers=[bootstrap])
    for n in range(100):
        producer.send(topic, str(n).encode(), timestamp_ms=1_600_000_000_000 + 10 * n, partition=0)
    producer.flush()
    consumer = reader(bootstrap, topic)
    partition = TopicPartition(topic, 0)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 100}
    found = consumer.offsets_for_times({partition: 1_600_000_000_000 + 495})[partition]
    assert (found.offset, found.timestamp) == (50, 1_600_000_000_500), found
    assert consumer.offsets_for_times({partition: 1_700_000_000_000})[partition] is None
    consumer.seek(partition, 90)
    assert [m.offset for m in take(consumer, 10)] == list(range(90, 100))
    consumer.seek_to_beginning(partition)
    assert take(consumer, 1)[0].offset == 0
    assert consumer.partitions_for_topic(topic) == {0}
    consumer.close()
    producer.close()


def admin(bootstrap):
    topic = "kafka-python-admin"
    client = KafkaAdminClient(bootstrap_servers=[bootstrap])
    client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
    try:
        client.create_topics([NewTopic(topic, 2, 1)])
        raise AssertionError("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    eventually("the topic is listed", lambda: topic in client.list_topics())
    described = client.describe_topics([topic])
    assert "kafka-python-admin" in repr(described), described
    client.create_partitions({topic: NewPartitions(4)})

    def partitions():
        consumer = KafkaConsumer(bootstrap_servers=[bootstrap])
        try:
            return consumer.partitions_for_topic(topic)
        finally:
            consumer.close()

    eventually("the topic has four partitions", lambda: partitions() == {0, 1, 2, 3})
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    shown = repr(client.describe_configs([resource]))
    assert "retention.ms" in shown and "3600000" in shown, shown
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})])
    eventually("the setting is changed", lambda: "7200000" in repr(client.describe_configs([resource])))
    assert client.describe_cluster()
    assert "kafka-python-admin" in repr(client.describe_log_dirs())
    producer = KafkaProducer(bootstrap_servers=[bootstrap])
    for n in range(10):
        producer.send(topic, str(n).encode(), partition=1).get(60)
    producer.close()
    client.delete_records({TopicPartition(topic, 1): 4})
    consumer = reader(bootstrap, topic, 1)
    assert consumer.beginning_offsets([TopicPartition(topic, 1)])[TopicPartition(topic, 1)] == 4
    assert [m.offset for m in take(consumer, 6)] == list(range(4, 10))
    consumer.close()
    client.delete_topics([topic])
    try:
        client.delete_topics([topic])
        raise AssertionError("a topic was deleted twice")
    except UnknownTopicOrPartitionError:
        pass
    eventually("the topic is gone", lambda: topic not in client.list_topics())
    client.close()


{"codecs": codecs, "acks": acks, "offsets": offsets, "admin": admin}[sys.argv[1]](sys.argv[2])
