// The work of src/main.rs by Kafka's own client. It warms up while it works, as any program does that lives
// for some seconds. The start of the virtual machine is not counted, nor what a consumer does before it reads.
// Reading is by assignment and without a group, so that only fetching is measured.
//
// java -cp 'JARS/*' KafkaClient.java produce BROKERS TOPIC RECORDS SIZE CODEC BATCH
// java -cp 'JARS/*' KafkaClient.java consume BROKERS TOPIC
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class KafkaClient {
    private static final int SPREAD = 1 << 20;

    private final long began = System.nanoTime();
    private final double cpu = cpuSeconds();

    private static double cpuSeconds() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }

    private void done(long records, long bytes) {
        System.out.printf("{\"records\": %d, \"bytes\": %d, \"seconds\": %.4f, \"cpu_seconds\": %.4f}%n",
            records, bytes, (System.nanoTime() - began) / 1e9, cpuSeconds() - cpu);
    }

    public static void main(String[] words) {
        if (words[0].equals("produce")) {
            produce(words[1], words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]), words[5], words[6]);
        } else {
            consume(words[1], words[2]);
        }
    }

    private static void produce(String brokers, String topic, int records, int size, String codec, String batch) {
        var settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("acks", "all");
        settings.put("compression.type", codec);
        if (!batch.equals("default")) settings.put("batch.size", batch);
        byte[] letters = letters(size + SPREAD);
        var clock = new KafkaClient();
        var delivered = new AtomicLong();
        int at = 0;
        var bytes = new ByteArraySerializer();
        try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
            for (int number = 0; number < records; number++) {
                at = (at + 7919) % SPREAD;
                byte[] value = Arrays.copyOfRange(letters, at, at + size);
                producer.send(new ProducerRecord<>(topic, value), (where, error) -> {
                    if (error == null) delivered.incrementAndGet();
                });
            }
            producer.flush();
        }
        if (delivered.get() != records) throw new IllegalStateException(delivered + " of " + records + " were delivered");
        clock.done(records, (long) records * size);
    }

    private static byte[] letters(int count) {
        byte[] letters = new byte[count];
        long state = 0x9e3779b97f4a7c15L;
        for (int at = 0; at < count; at++) {
            state ^= state << 13;
            state ^= state >>> 7;
            state ^= state << 17;
            letters[at] = (byte) ('A' + Long.remainderUnsigned(state, 26));
        }
        return letters;
    }

    private static void consume(String brokers, String topic) {
        var settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("enable.auto.commit", "false");
        long records = 0;
        long size = 0;
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition())).toList();
            long left = consumer.endOffsets(all).values().stream().mapToLong(Long::longValue).sum();
            var clock = new KafkaClient();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (records < left) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    size += record.value().length;
                    records++;
                }
            }
            clock.done(records, size);
        }
    }
}
