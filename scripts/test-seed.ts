/** Chance in property tests is the same in each run, so that a red one can be repeated. `SLUICE_TEST_SEED` tries another. */
import { configureGlobal } from 'fast-check'

configureGlobal({ seed: Number(process.env['SLUICE_TEST_SEED'] ?? 1) })
