//! Names and help texts of all that is exported. `docs/metrics.md` lists them; a test compares.

use crate::measure::Family;

macro_rules! families {
    ($($name:ident = $kind:ident $text:literal $help:literal;)*) => {
        $( pub(super) const $name: Family = Family::$kind($text, $help); )*
    };
}

families! {
    BUILD = gauge "duramen_build_info" "1, labelled with the version of the program and the storage format it writes";
    BROKER = gauge "duramen_broker_info" "1, labelled with the ids of this node and its cluster";
    READY = gauge "duramen_ready" "1 while clients can be served, as /health/ready says";

    REQUESTS = counter "duramen_requests" "requests received, by API";
    LATENCY = histogram "duramen_request_latency_seconds" "time from a request's last byte to its encoded answer, waits included, by API";
    ERRORS = counter "duramen_request_errors" "error codes in answers, one for each partition or resource that has one, by API";
    SLOW = counter "duramen_slow_requests" "answers that took over a second, fetches apart";
    IN_FLIGHT = gauge "duramen_requests_in_flight" "requests that have no answer yet";
    BUFFER = gauge "duramen_request_buffer_bytes" "memory taken for large requests that are being received";
    BUFFER_MAX = gauge "duramen_request_buffer_limit_bytes" "how much of that there may be (queued.max.request.bytes)";
    PRODUCE_WAITING = gauge "duramen_produce_waiting" "produce answers that wait for the disk or for replicas";
    PRODUCE_WAIT = histogram "duramen_produce_wait_seconds" "how long produce answers waited for the disk or for replicas";
    FETCH_WAITING = gauge "duramen_fetch_waiting" "fetch answers that wait for records";
    FETCH_WAIT = histogram "duramen_fetch_wait_seconds" "how long fetch answers waited for records";

    CONNECTIONS = gauge "duramen_connections" "open client connections";
    CONNECTIONS_MAX = gauge "duramen_connections_limit" "how many there may be (max.connections)";
    ACCEPTED = counter "duramen_connections_accepted" "connections accepted";
    ENDED = counter "duramen_connections_ended" "connections that ended or were turned away, by reason";
    RECEIVED = counter "duramen_network_received_bytes" "bytes read from clients";
    SENT = counter "duramen_network_sent_bytes" "bytes written to clients";

    PRODUCED_BYTES = counter "duramen_produced_bytes" "bytes of record batches appended by producers";
    PRODUCED_BATCHES = counter "duramen_produced_batches" "record batches appended by producers";
    PRODUCED_RECORDS = counter "duramen_produced_records" "records appended by producers";
    FETCHED_BYTES = counter "duramen_fetched_bytes" "bytes of record batches handed to consumers";
    COLD_READS = counter "duramen_cold_reads" "fetched ranges that had to be read from the disk first";

    TOPICS = gauge "duramen_topics" "topics with a partition on this broker";
    PARTITIONS = gauge "duramen_partitions" "partitions on this broker";
    TOPIC_IN_BYTES = counter "duramen_topic_produced_bytes" "bytes of record batches appended by producers since the start, by topic";
    TOPIC_IN_RECORDS = counter "duramen_topic_produced_records" "records appended by producers since the start, by topic";
    TOPIC_OUT_BYTES = counter "duramen_topic_fetched_bytes" "bytes of record batches handed to consumers since the start, by topic";
    DURABILITY = gauge "duramen_topic_durability_info" "1, labelled with what an acks=all answer of the topic means";
    LOG_SIZE = gauge "duramen_log_size_bytes" "bytes in the segments of a partition";
    LOG_START = gauge "duramen_log_start_offset" "first offset that still exists, by partition";
    LOG_END = gauge "duramen_log_end_offset" "first offset not yet written, by partition";

    DISK_FREE = gauge "duramen_disk_free_bytes" "bytes that may still be written on the disk of a log directory";
    DISK_SIZE = gauge "duramen_disk_size_bytes" "size of the disk of a log directory";
    DISK_LOW = gauge "duramen_disk_low_mark_bytes" "bytes free below which topics stop growing (log.free.low.bytes)";
    DISK_HIGH = gauge "duramen_disk_high_mark_bytes" "bytes free from which topics go on (log.free.high.bytes)";
    DISK_FULL = gauge "duramen_disk_full" "1 while topics in a log directory have stopped growing";
    OFFLINE = gauge "duramen_directory_offline" "1 once a log directory has failed; it stays so until a restart";
    DIR_LOGS = gauge "duramen_directory_logs" "logs open in a log directory";
    SEGMENTS = gauge "duramen_open_segments" "closed segments kept open and mapped, by log directory";
    SEGMENTS_MAX = gauge "duramen_open_segments_limit" "how many of those there may be";
    FLUSH_WAITING = gauge "duramen_flush_waiting" "logs that wait for a sync, by log directory";
    FLUSH = histogram "duramen_flush_seconds" "time of a sync, by log directory";
    FLUSH_BATCHES = histogram "duramen_flush_batches" "record batches that one sync covered (group commit), by log directory";

    METADATA_OFFSET = gauge "duramen_metadata_offset" "offset of the last metadata record that is applied";

    TASKS = gauge "duramen_runtime_tasks" "tasks alive";
    WORKERS = gauge "duramen_runtime_workers" "threads that run tasks";
    RUN_QUEUE = gauge "duramen_runtime_queue_tasks" "tasks ready to run that no thread has taken yet";
    BUSY = counter "duramen_runtime_busy_seconds" "time that the threads spent running tasks, all together";

    CPU = counter "process_cpu_seconds" "processor time used, user and system";
    STARTED = gauge "process_start_time_seconds" "when the process started, since 1970";
    RESIDENT = gauge "process_resident_memory_bytes" "memory in use, maps of the logs included";
    ANONYMOUS = gauge "duramen_process_anonymous_memory_bytes" "memory in use that no file stands behind";
    THREADS = gauge "process_threads" "threads";
    FDS = gauge "process_open_fds" "open descriptors";
    FDS_MAX = gauge "process_max_fds" "how many there may be (ulimit -n)";
    MAPS = gauge "duramen_process_maps" "memory maps";
    MAPS_MAX = gauge "duramen_process_maps_limit" "how many there may be (vm.max_map_count)";
}
