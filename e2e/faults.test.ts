/** A run of `pnpm faults` in the size of CI; docs/operations/reliability.md tells of larger ones. */
import { describe, expect, inject, test } from 'vitest'
import { explanationOf, tableOf } from './faults/report.ts'
import { runFaults } from './faults/run.ts'

const KILLS = 300
/** PostgreSQL restarted, twice; one key 100 times; forty images for one product; a queue that is lost. `pnpm faults` has all. */
const FAULTS = 'at once,FLUSHALL,wrong clocks'
/** Some five minutes on two quiet cores. It is over when everything has happened, and only then: what a slow machine does not come to is a failure. */
const MINUTES_MAX = 25

describe('services that are killed at every failpoint, whose database restarts, whose queue is lost and whose clocks are wrong', () => {
  test.skipIf(inject('redisUrl') === null)(
    'lose nothing that was promised, and do nothing twice',
    { timeout: (MINUTES_MAX + 8) * 60_000 },
    async () => {
      const report = await runFaults({
        wiring: 'production',
        seed: 1,
        uploads: 150,
        kills: KILLS,
        minutes: MINUTES_MAX,
        rounds: 1,
        isLong: false,
        faults: FAULTS,
        mutants: [],
      })
      process.stdout.write(`${tableOf(report)}\n${explanationOf(report)}\n`)
      expect(report.violations).toEqual([])
      expect(report.history.acknowledged.length).toBeGreaterThanOrEqual(100)
    },
  )
})
