import { memoryObjects } from './memory-objects.ts'
import { objectsSuite } from './objects-suite.ts'

objectsSuite('memory', async () => memoryObjects())
