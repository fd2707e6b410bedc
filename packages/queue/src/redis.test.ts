import { queueSuite } from '@sluice/core/testing'
import { describe, inject } from 'vitest'
import { openQueue } from './open-queue.ts'
import { newNamespace } from './testing/places.ts'

const url = inject('redisUrl')

describe.skipIf(url === null)('with redis-server', () => {
  queueSuite('Redis', () => openQueue({ kind: 'redis', url: url ?? '', namespace: newNamespace() }))
})
