export * from './memory-objects.ts'
export * from './objects-suite.ts'
export * from './memory-queue.ts'
export * from './queue-suite.ts'
