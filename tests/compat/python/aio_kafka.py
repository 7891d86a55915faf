"""aiokafka against a broker: aio_kafka.py SCENARIO BOOTSTRAP"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType


async def take(consumer, count):
    got = []
    async for message in consumer:
        got.append(message)
        if len(got) == count:
            return got


async def eventually(reason, ask):
    """Kafka's brokers learn of a topic a moment after the answer that made it."""
    for _ in range(3000):
        if await ask():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(reason)


async def codecs(bootstrap):
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        for idempotent in (False, True):
            topic = f"aiokafka-{codec}-{idempotent}"
            producer = AIOKafkaProducer(
                bootstrap_servers=bootstrap, compression_type=codec, linger_ms=10,
                enable_idempotence=idempotent,
            )
            await producer.start()
            sent = [(f"k{n}".encode(), f"value {n} ".encode() * 20) for n in range(300)]
            futures = [
                await producer.send(topic, key=k, value=v, partition=0, headers=[("h", k)])
                for k, v in sent
            ]
            offsets = [(await future).offset for future in futures]
            assert offsets == list(range(300)), offsets[:10]
            await producer.stop()
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
            await consumer.start()
            got = await take(consumer, 300)
            assert [(m.key, m.value) for m in got] == sent, codec
            assert all(list(m.headers) == [("h", m.key)] for m in got)
            await consumer.stop()


async def offsets(bootstrap):
    topic = "aiokafka-offsets"
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for n in range(100):
        await producer.send_and_wait(topic, b"%d" % n, timestamp_ms=1_600_000_000_000 + 10 * n, partition=0)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    assert await consumer.beginning_offsets([partition]) == {partition: 0}
    assert await consumer.end_offsets([partition]) == {partition: 100}
    found = await consumer.offsets_for_times({partition: 1_600_000_000_495})
    assert (found[partition].offset, found[partition].timestamp) == (50, 1_600_000_000_500), found
    consumer.seek(partition, 95)
    assert [m.offset for m in await take(consumer, 5)] == [95, 96, 97, 98, 99]
    await consumer.stop()


async def admin(bootstrap):
    topic = "aiokafka-admin"
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    answer = await client.create_topics([NewTopic(topic, 1, 1)])
    assert "error_code=0" in repr(answer), answer

    async def listed():
        return topic in await client.list_topics()

    async def partitions():
        described = await client.describe_topics([topic])
        return len(described[0]["partitions"]) == 3

    async def not_listed():
        return topic not in await client.list_topics()

    await eventually("the topic is listed", listed)
    await client.create_partitions({topic: NewPartitions(3)})
    await eventually("the topic has three partitions", partitions)
    change = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "7200000"})
    answer = await client.alter_configs([change])
    assert "error_code=0" in repr(answer), answer

    async def changed():
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        return "7200000" in repr(await client.describe_configs([resource]))

    await eventually("the setting is changed", changed)
    assert await client.describe_cluster()
    await client.delete_topics([topic])
    await eventually("the topic is gone", not_listed)
    await client.close()


asyncio.run({"codecs": codecs, "offsets": offsets, "admin": admin}[sys.argv[1]](sys.argv[2]))
