export * from './memory-objects.ts'
export * from './objects-suite.ts'
