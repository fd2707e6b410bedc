/** A process that takes one job, says so, and never ends it. Its argument is the connection and the timing as JSON. */
import { openQueue } from '../open-queue.ts'

const { connection, timing } = JSON.parse(process.argv[2] ?? '{}')
const queue = await openQueue(connection, { timing })
queue.consume(
  (job) => {
    process.stdout.write(`${job.ingestId}\n`)
    return new Promise(() => undefined)
  },
  { concurrency: 1 },
)
