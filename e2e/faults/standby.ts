/**
 * Loaded before a service: reads all of its code, says so, and waits for the environment of its life. So a death is followed at once
 * by the next life, while the one after that loads beside it.
 */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { keepHeapLean } from '@sluice/runtime/lean-heap'
import { moveClock } from './clock.ts'

keepHeapLean()
const CODE: Readonly<Record<string, () => Promise<unknown>>> = {
  intake: () => import('@sluice/runtime/intake'),
  worker: () => import('@sluice/runtime/worker'),
  up: () => import('@sluice/runtime'),
}
await CODE[process.env['FAULTS_ROLE'] ?? '']?.()

if (process.env['FAULTS_WARM'] === 'yes') {
  // Whoever is killed writes no cache.
  flushCompileCache()
  process.exit(0)
}

const orphaned = () => process.exit(0)
process.once('disconnect', orphaned)
process.send?.('loaded')
const [environment] = (await once(process, 'message')) as [Record<string, string>]
process.off('disconnect', orphaned)
process.disconnect?.()
Object.assign(process.env, environment)
moveClock(Number(environment['FAULTS_CLOCK_MS'] ?? 0))
