// Reads all that a topic holds with Kafka's own consumer, by assignment and without a group, so that only
// fetching is measured. Run from source: java -cp 'JARS/*' ConsumeAll.java HOST:PORT TOPIC
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class ConsumeAll {
    public static void main(String[] words) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", words[0]);
        settings.put("enable.auto.commit", "false");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            List<TopicPartition> all = consumer.partitionsFor(words[1]).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition())).toList();
            long left = consumer.endOffsets(all).values().stream().mapToLong(Long::longValue).sum();
            long records = left;
            long size = 0;
            consumer.assign(all);
            consumer.seekToBeginning(all);
            long began = System.nanoTime();
            while (left > 0) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    size += record.value().length;
                    left--;
                }
            }
            double seconds = (System.nanoTime() - began) / 1e9;
            System.out.printf("{\"records\": %d, \"bytes\": %d, \"seconds\": %.4f}%n", records, size, seconds);
        }
    }
}
