// KafkaJS against a broker: kafkajs.js SCENARIO BOOTSTRAP

const assert = require('assert')
const {
  CompressionTypes, ConfigResourceTypes, Kafka, logLevel,
} = require('kafkajs')

const [scenario, bootstrap] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })

/** Kafka's brokers learn of a change a moment after the answer to it. */
async function eventually(reason, ask) {
  for (let n = 0; n < 3000; n++) {
    if (await ask()) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(reason)
}

async function refused(type, promise) {
  const error = await promise.then(() => null, error => error)
  assert.strictEqual(error && (error.type || (error.cause && error.cause.type)), type, error)
}

/** Reads a topic from the start as a group, until there are so many. */
async function take(groupId, topic, count, options = {}) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let done
  const enough = new Promise(resolve => { done = resolve })
  await consumer.run({
    ...options,
    eachMessage: async ({ partition, message }) => {
      got.push({ partition, ...message })
      if (got.length === count) done()
    },
  })
  await enough
  await consumer.disconnect() // commits what was read
  assert.strictEqual(got.length, count)
  return got
}

async function codecs() {
  for (const [name, compression] of [
    ['none', CompressionTypes.None], ['gzip', CompressionTypes.GZIP],
  ]) {
    for (const idempotent of [false, true]) {
      const topic = `kafkajs-${name}-${idempotent}`
      const producer = kafka.producer({ idempotent, allowAutoTopicCreation: true })
      await producer.connect()
      const sent = []
      for (let n = 0; n < 500; n++) {
        sent.push({ key: `k${n}`, value: `value ${n} `.repeat(20), headers: { h: `${n}`, empty: '' } })
      }
      sent.push({ key: null, value: 'no key', headers: {} }, { key: 'no value', value: null, headers: {} })
      for (let from = 0; from < sent.length; from += 100) {
        const messages = sent.slice(from, from + 100).map(one => ({ ...one, partition: 0 }))
        const [answer] = await producer.send({ topic, compression, acks: -1, messages })
        assert.deepStrictEqual([answer.errorCode, answer.baseOffset], [0, `${from}`])
      }
      await producer.disconnect()
      const text = bytes => (bytes === null ? null : bytes.toString())
      const got = await take(topic, topic, sent.length)
      got.forEach((one, n) => {
        const headers = Object.fromEntries(
          Object.entries(one.headers).map(([key, value]) => [key, text(value)]))
        assert.deepStrictEqual(
          { key: text(one.key), value: text(one.value), headers, offset: one.offset },
          { ...sent[n], offset: `${n}` })
      })
    }
  }
}

async function produce(topic, count, timestamp) {
  const producer = kafka.producer()
  await producer.connect()
  const messages = []
  for (let n = 0; n < count; n++) {
    messages.push({ value: `${n}`, partition: 0, timestamp: timestamp && `${timestamp + 10 * n}` })
  }
  await producer.send({ topic, messages })
  await producer.disconnect()
}

async function admin(admin) {
  const topic = 'kafkajs-admin'
  const made = { topic, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '3600000' }] }
  assert.strictEqual(await admin.createTopics({ topics: [made], waitForLeaders: true }), true)
  assert.strictEqual(await admin.createTopics({ topics: [made] }), false) // it is there already
  assert((await admin.listTopics()).includes(topic))
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  await eventually('the topic has three partitions', async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0].partitions.length === 3
  })

  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const retention = async () => {
    const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
    return resources[0].configEntries.find(entry => entry.configName === 'retention.ms').configValue
  }
  assert.strictEqual(await retention(), '3600000')
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '-1' }] }],
  })
  await eventually('the setting is changed', async () => (await retention()) === '-1')

  const cluster = await admin.describeCluster()
  assert.deepStrictEqual(cluster.brokers.map(broker => broker.nodeId), [cluster.controller])
  await produce(topic, 20, 1600000000000)
  const ends = await admin.fetchTopicOffsets(topic)
  const first = ends.find(one => one.partition === 0)
  assert.deepStrictEqual([first.low, first.high], ['0', '20'])
  const at = await admin.fetchTopicOffsetsByTimestamp(topic, 1600000000095)
  assert.strictEqual(at.find(one => one.partition === 0).offset, '10')
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  const left = await admin.fetchTopicOffsets(topic)
  assert.strictEqual(left.find(one => one.partition === 0).low, '4')
  await admin.deleteTopics({ topics: [topic] })
  await eventually('the topic is gone', async () => !(await admin.listTopics()).includes(topic))
}

async function groups(admin) {
  const topic = 'kafkajs-groups', groupId = 'kafkajs-group'
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
  await produce(topic, 20)
  const committed = async () => {
    const [only] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return only.partitions[0].offset
  }

  // a live group
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async () => {} })
  await eventually('all is committed', async () => (await committed()) === '20')
  const { groups: described } = await admin.describeGroups([groupId])
  assert.deepStrictEqual(
    [described[0].state, described[0].protocolType, described[0].members.length],
    ['Stable', 'consumer', 1])
  const listed = (await admin.listGroups()).groups.find(group => group.groupId === groupId)
  assert.strictEqual(listed.protocolType, 'consumer')
  await refused('NON_EMPTY_GROUP', admin.deleteGroups([groupId]).catch(error => {
    throw error.groups ? { type: error.groups[0].error.type } : error
  }))
  await assert.rejects(
    admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '3' }] }),
    /The consumer group must have no running instances/)
  await consumer.disconnect()

  // an empty one goes wherever it is told
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '15' }] })
  assert.strictEqual(await committed(), '15')
  assert.deepStrictEqual(
    (await take(groupId, topic, 5)).map(one => one.offset), ['15', '16', '17', '18', '19'])
  assert.strictEqual(await committed(), '20')
  await admin.resetOffsets({ groupId, topic, earliest: true })
  assert.strictEqual((await take(groupId, topic, 20)).length, 20)
  await admin.deleteGroups([groupId])
  assert.strictEqual(await committed(), '-1')
  assert(!(await admin.listGroups()).groups.some(group => group.groupId === groupId))
}

async function main() {
  if (scenario === 'codecs') return codecs()
  const client = kafka.admin()
  await client.connect()
  await { admin, groups }[scenario](client)
  await client.disconnect()
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
