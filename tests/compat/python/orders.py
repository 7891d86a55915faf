import json

from kafka import KafkaConsumer, KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=['localhost:9092'],
    value_serializer=lambda v: json.dumps(v).encode('utf-8'),
)
for order_id in range(100):
    producer.send('orders', {'order_id': order_id, 'item': 'heartwood', 'quantity': order_id % 7})
producer.flush()

consumer = KafkaConsumer(
    'orders',
    bootstrap_servers=['localhost:9092'],
    group_id='payment-service',
    auto_offset_reset='earliest',
    value_deserializer=lambda v: json.loads(v.decode('utf-8')),
)
orders = []
for message in consumer:
    orders.append(message.value['order_id'])
    if len(orders) == 100:
        break
consumer.close()
assert orders == list(range(100)), orders
print('100 orders, in order')
