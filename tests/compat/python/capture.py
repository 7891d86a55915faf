"""A proxy that records Kafka frames: one request and its response for each client, API and version.

    capture.py LISTEN_PORT BROKER_PORT FOLDER

Writes FOLDER/<client>/<api>-v<version>-{request,response}.bin when it is asked to end (SIGTERM).
Frames are without their 4-byte length. Of several, the fullest pair that is still small is kept, so
that a fetch has records in it and a metadata answer has topics.
"""

import asyncio
import os
import signal
import struct
import sys

SMALL = 3000  # bytes of one frame
NAMES = {
    0: "produce", 1: "fetch", 2: "list_offsets", 3: "metadata", 8: "offset_commit",
    9: "offset_fetch", 10: "find_coordinator", 11: "join_group", 12: "heartbeat",
    13: "leave_group", 14: "sync_group", 18: "api_versions", 19: "create_topics",
    20: "delete_topics", 21: "delete_records", 22: "init_producer_id",
    23: "offset_for_leader_epoch", 32: "describe_configs", 33: "alter_configs",
    35: "describe_log_dirs", 37: "create_partitions", 44: "incremental_alter_configs",
    46: "list_partition_reassignments", 60: "describe_cluster", 61: "describe_producers",
    68: "consumer_group_heartbeat", 71: "get_telemetry_subscriptions", 72: "push_telemetry",
    74: "list_config_resources", 75: "describe_topic_partitions",
}
kept = {}  # (client, api, version) -> (request, response)


def client_of(request):
    """The client, from the ApiVersions request that opens a connection."""
    for word, name in (
        (b"confluent-kafka", "confluent-kafka"), (b"kafka-python", "kafka-python"),
        (b"aiokafka", "aiokafka"), (b"apache-kafka-java", "java"), (b"librdkafka", "kcat"),
        (b"rdkafka", "kcat"),
    ):
        if word in request[:200]:
            return name
    return "unknown"


def keep(client, request, response):
    api, version = struct.unpack(">hh", request[:4])
    if api in (71, 72) or max(len(request), len(response)) > SMALL:
        return
    old = kept.get((client, api, version))
    if old is None or len(old[0]) + len(old[1]) < len(request) + len(response):
        kept[client, api, version] = (request, response)


async def frames(reader, writer, seen):
    try:
        while True:
            head = await reader.readexactly(4)
            frame = await reader.readexactly(struct.unpack(">i", head)[0])
            seen(frame)
            writer.write(head + frame)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def connection(reader, writer, broker):
    try:
        broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", broker)
    except OSError:
        writer.close()
        return
    state = {"client": "unknown"}
    waiting = {}

    def request(frame):
        if state["client"] == "unknown":
            state["client"] = client_of(frame)
        waiting[frame[4:8]] = frame

    def response(frame):
        asked = waiting.pop(frame[:4], None)
        if asked is not None:
            keep(state["client"], asked, frame)

    await asyncio.gather(
        frames(reader, broker_writer, request), frames(broker_reader, writer, response)
    )


def write(folder):
    for (client, api, version), pair in sorted(kept.items()):
        os.makedirs(os.path.join(folder, client), exist_ok=True)
        name = f"{NAMES.get(api, f'api_{api}')}-v{version}"
        for kind, frame in zip(("request", "response"), pair):
            with open(os.path.join(folder, client, f"{name}-{kind}.bin"), "wb") as file:
                file.write(frame)


async def main(listen, broker, folder):
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await asyncio.start_server(
        lambda reader, writer: connection(reader, writer, broker), "127.0.0.1", listen
    )
    await ended.wait()
    server.close()
    write(folder)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
