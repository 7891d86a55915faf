// A member of a group with KafkaJS, for tests/compat/members.rs: member.js BOOTSTRAP TOPIC GROUP
//
// It tells the same as python/member.py, and ends as that does.

const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, group] = process.argv.slice(2)
const PAUSE_MS = 20

const tell = (...words) => console.log(Number(process.hrtime.bigint()) / 1e9, ...words)

// KafkaJS has no listener for rebalances: it says when one begins and when it has joined.
let owned = []
function gone(word) {
  if (owned.length > 0) tell(word, ...owned)
  owned = []
}

async function eachBatch({ batch, resolveOffset, heartbeat }) {
  const { partition, messages } = batch
  const last = messages[messages.length - 1].offset
  tell('read', partition, messages[0].offset, last)
  await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  const offset = String(BigInt(last) + 1n)
  try {
    await heartbeat()
    await consumer.commitOffsets([{ topic, partition, offset }])
  } catch (error) {
    tell('refused', error.message)
    throw error
  }
  tell('committed', partition, offset)
  resolveOffset(last)
}

const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
const consumer = kafka.consumer({
  groupId: group, sessionTimeout: 15000, heartbeatInterval: 500, maxWaitTimeInMs: 200,
})

async function main() {
  const { REBALANCING, GROUP_JOIN, CRASH } = consumer.events
  consumer.on(REBALANCING, () => gone('revoked'))
  consumer.on(CRASH, () => gone('lost'))
  consumer.on(GROUP_JOIN, ({ payload }) => {
    gone('lost') // it was unknown to the group, and joins anew
    owned = payload.memberAssignment[topic] || []
    tell('assigned', ...owned)
  })
  for (;;) {
    try {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      break
    } catch (error) {
      // else the broker is being killed just now, or has not come back yet
      if (!error.retriable && error.name !== 'KafkaJSNumberOfRetriesExceeded') throw error
    }
  }
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
}

process.stdin.on('end', () => process.exit(0)).resume()
main().catch(error => {
  console.error(error)
  process.exit(1)
})
