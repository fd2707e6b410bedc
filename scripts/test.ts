/** Runs the tests: `vitest run` with whatever arguments follow, and the sum as the very last line. */
import { parseCLI, startVitest, type TestModule, type Vitest } from 'vitest/node'

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
const vitest = await startVitest('test', filter, { ...options, watch: false, run: true })
await vitest.close()
const sum = count(vitest)
process.stdout.write(`\n${sentence(sum)}\n`)
if (sum.failed > 0 || sum.passed === 0) process.exitCode = 1

interface Sum {
  passed: number
  failed: number
  skipped: number
}

function count(run: Vitest): Sum {
  // A server that did not start, an error outside of any test: no test has failed of it, but the run has.
  const sum = { passed: 0, failed: run.state.getUnhandledErrors().length, skipped: 0 }
  for (const module of run.state.getTestModules()) {
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      sum[state === 'pending' ? 'failed' : state] += 1
    }
    // A file that does not load, or a hook that throws, has no test of its own to fail.
    sum.failed += brokenSuites(module)
  }
  return sum
}

function brokenSuites(module: TestModule): number {
  const suites = [module, ...module.children.allSuites()]
  return suites.filter((suite) => suite.errors().length > 0).length
}

function sentence({ passed, failed, skipped }: Sum): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
