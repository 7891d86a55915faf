//! Names and help texts of all that is exported, and how a family is written. `docs/metrics.md` lists
//! them; a test compares.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Unit;

/// A family of metrics.
pub(super) struct Family {
    /// The whole name, unit included, without the `_total` that is added for counters.
    pub(super) name: &'static str,
    help: &'static str,
}

/// The units that names end in. The encoder adds them to a name, and tells them apart.
static UNITS: [Unit; 2] = [Unit::Seconds, Unit::Bytes];

impl Family {
    /// The one sample of a family without labels.
    pub(super) fn one(
        &self,
        out: &mut DescriptorEncoder<'_>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        metric.encode(self.begin(out, metric.metric_type())?)
    }

    /// All samples of a family, each with its labels.
    pub(super) fn each<L: EncodeLabelSet, M: EncodeMetric + TypedMetric>(
        &self,
        out: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut family = self.begin(out, M::TYPE)?;
        samples
            .into_iter()
            .try_for_each(|(labels, metric)| metric.encode(family.encode_family(&labels)?))
    }

    fn begin<'a>(
        &self,
        out: &'a mut DescriptorEncoder<'_>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        let split = |unit: &'static Unit| {
            Some((self.name.strip_suffix(unit.as_str())?.strip_suffix('_')?, Some(unit)))
        };
        let (name, unit) = UNITS.iter().find_map(split).unwrap_or((self.name, None));
        out.encode_descriptor(name, self.help, unit, kind)
    }
}

macro_rules! families {
    ($($name:ident = $text:literal $help:literal;)*) => {
        $( pub(super) const $name: Family = Family { name: $text, help: $help }; )*
    };
}

families! {
    BUILD = "duramen_build_info" "1, labelled with the version of the program and the storage format it writes";
    BROKER = "duramen_broker_info" "1, labelled with the ids of this node and its cluster";
    READY = "duramen_ready" "1 while clients can be served, as /health/ready says";

    REQUESTS = "duramen_requests" "requests received, by API";
    LATENCY = "duramen_request_latency_seconds" "time from a request's last byte to its encoded answer, waits included, by API";
    ERRORS = "duramen_request_errors" "error codes in answers, one for each partition or resource that has one, by API";
    SLOW = "duramen_slow_requests" "answers that took over a second, fetches apart";
    IN_FLIGHT = "duramen_requests_in_flight" "requests that have no answer yet";
    BUFFER = "duramen_request_buffer_bytes" "memory taken for large requests that are being received";
    BUFFER_MAX = "duramen_request_buffer_limit_bytes" "how much of that there may be (queued.max.request.bytes)";
    PRODUCE_WAITING = "duramen_produce_waiting" "produce answers that wait for the disk or for replicas";
    PRODUCE_WAIT = "duramen_produce_wait_seconds" "how long produce answers waited for the disk or for replicas";
    FETCH_WAITING = "duramen_fetch_waiting" "fetch answers that wait for records";
    FETCH_WAIT = "duramen_fetch_wait_seconds" "how long fetch answers waited for records";

    CONNECTIONS = "duramen_connections" "open client connections";
    CLIENTS = "duramen_client_connections" "open connections by what clients say that they are, the first 100 that do";
    CONNECTIONS_MAX = "duramen_connections_limit" "how many there may be (max.connections)";
    ACCEPTED = "duramen_connections_accepted" "connections accepted";
    ENDED = "duramen_connections_ended" "connections that ended or were turned away, by reason";
    RECEIVED = "duramen_network_received_bytes" "bytes read from clients";
    SENT = "duramen_network_sent_bytes" "bytes written to clients";

    PRODUCED_BYTES = "duramen_produced_bytes" "bytes of record batches appended by producers";
    PRODUCED_BATCHES = "duramen_produced_batches" "record batches appended by producers";
    PRODUCED_RECORDS = "duramen_produced_records" "records appended by producers";
    FETCHED_BYTES = "duramen_fetched_bytes" "bytes of record batches handed to consumers";
    COLD_READS = "duramen_cold_reads" "fetched ranges that had to be read from the disk first";

    TOPICS = "duramen_topics" "topics with a partition on this broker";
    PARTITIONS = "duramen_partitions" "partitions on this broker";
    TOPIC_IN_BYTES = "duramen_topic_produced_bytes" "bytes of record batches appended by producers since the start, by topic";
    TOPIC_IN_RECORDS = "duramen_topic_produced_records" "records appended by producers since the start, by topic";
    TOPIC_OUT_BYTES = "duramen_topic_fetched_bytes" "bytes of record batches handed to consumers since the start, by topic";
    DURABILITY = "duramen_topic_durability_info" "1, labelled with what an acks=all answer of the topic means";
    LOG_SIZE = "duramen_log_size_bytes" "bytes in the segments of a partition";
    LOG_START = "duramen_log_start_offset" "first offset that still exists, by partition";
    LOG_END = "duramen_log_end_offset" "first offset not yet written, by partition";

    GROUPS = "duramen_groups" "groups that this broker looks after, by type and state";
    REBALANCES = "duramen_group_rebalances" "generations of groups that began";
    COMMITS = "duramen_offsets_committed" "offsets committed by groups";
    GROUP_OFFSETS = "duramen_group_committed_offsets" "offsets that those groups have committed";
    GROUP_LAG = "duramen_group_lag_records" "records from the first that a group has not read to the end, by partition";
    GROUP_LAG_SECONDS = "duramen_group_lag_seconds" "age of the first record that a group has not read, by partition";

    DISK_FREE = "duramen_disk_free_bytes" "bytes that may still be written on the disk of a log directory";
    DISK_SIZE = "duramen_disk_size_bytes" "size of the disk of a log directory";
    DISK_LOW = "duramen_disk_low_mark_bytes" "bytes free below which topics stop growing (log.free.low.bytes)";
    DISK_HIGH = "duramen_disk_high_mark_bytes" "bytes free from which topics go on (log.free.high.bytes)";
    DISK_FULL = "duramen_disk_full" "1 while topics in a log directory have stopped growing";
    OFFLINE = "duramen_directory_offline" "1 once a log directory has failed; it stays so until a restart";
    DIR_LOGS = "duramen_directory_logs" "logs open in a log directory";
    SEGMENTS = "duramen_open_segments" "closed segments kept open and mapped, by log directory";
    SEGMENTS_MAX = "duramen_open_segments_limit" "how many of those there may be";
    FLUSH_WAITING = "duramen_flush_waiting" "logs that wait for a sync, by log directory";
    FLUSH = "duramen_flush_seconds" "time of a sync, by log directory";
    FLUSH_BATCHES = "duramen_flush_batches" "record batches that one sync covered (group commit), by log directory";

    CLEAN_RUNS = "duramen_cleaner_runs" "compaction passes that came to their end, by log directory";
    CLEAN_ERRORS = "duramen_cleaner_errors" "compaction passes that failed, by log directory";
    CLEAN_READ = "duramen_cleaner_read_bytes" "bytes that compaction read, by log directory";
    CLEAN_WRITTEN = "duramen_cleaner_written_bytes" "bytes that compaction wrote, by log directory";
    CLEAN_RATIO = "duramen_cleaner_max_dirty_ratio" "largest share of not yet compacted bytes of a compacted log, 0 to 1, by log directory";
    CLEAN_SINCE = "duramen_cleaner_last_run_age_seconds" "time since the end of the last compaction pass, 0 before the first, by log directory";
    CLEAN_RUNNING = "duramen_cleaner_running" "1 while a compaction pass is under way, by log directory";
    CLEAN_UNCLEANABLE = "duramen_cleaner_uncleanable_logs" "logs that compaction can't read and leaves alone, by log directory";

    METADATA_OFFSET = "duramen_metadata_offset" "offset of the last metadata record that is applied";

    TASKS = "duramen_runtime_tasks" "tasks alive";
    WORKERS = "duramen_runtime_workers" "threads that run tasks";
    RUN_QUEUE = "duramen_runtime_queue_tasks" "tasks ready to run that no thread has taken yet";
    BUSY = "duramen_runtime_busy_seconds" "time that the threads spent running tasks, all together";

    CPU = "process_cpu_seconds" "processor time used, user and system";
    STARTED = "process_start_time_seconds" "when the process started, since 1970";
    RESIDENT = "process_resident_memory_bytes" "memory in use, maps of the logs included";
    ANONYMOUS = "duramen_process_anonymous_memory_bytes" "memory in use that no file stands behind";
    THREADS = "process_threads" "threads";
    FDS = "process_open_fds" "open descriptors";
    FDS_MAX = "process_max_fds" "how many there may be (ulimit -n)";
    MAPS = "duramen_process_maps" "memory maps";
    MAPS_MAX = "duramen_process_maps_limit" "how many there may be (vm.max_map_count)";
}
