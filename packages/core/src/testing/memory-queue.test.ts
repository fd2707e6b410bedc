import { memoryQueue } from './memory-queue.ts'
import { queueSuite } from './queue-suite.ts'

queueSuite('memory', async () => memoryQueue())
