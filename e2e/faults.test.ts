/** A small run of `pnpm faults`; docs/operations/reliability.md tells of large ones. */
import { describe, expect, inject, test } from 'vitest'
import { FAILPOINTS } from '@sluice/core'
import { explanationOf, tableOf } from './faults/report.ts'
import { runFaults } from './faults/run.ts'

const RUN_MS_MAX = 400_000

describe('services that are killed at every failpoint, whose servers and network break', () => {
  test.skipIf(inject('redisUrl') === null)(
    'lose nothing that was promised, and do nothing twice',
    { timeout: RUN_MS_MAX },
    async () => {
      const report = await runFaults({
        wiring: 'production',
        seed: 1,
        uploads: 100,
        kills: 2 * FAILPOINTS.length,
        minutes: 2,
        rounds: 1,
        faults: '',
        mutants: [],
      })
      expect(report.violations, `${tableOf(report)}\n${explanationOf(report)}`).toEqual([])
    },
  )
})
