/** Everything that a machine can say about the code without servers. All checks run; all that fail are shown. */
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const PROGRAMS = join(ROOT, 'node_modules/.bin')

const CHECKS: readonly (readonly [name: string, command: string, ...rest: string[]])[] = [
  ['format', 'oxfmt', '--check', '.'],
  ['lint', 'oxlint', '--type-aware'],
  ['types', 'tsc', '--project', '.'],
  ['boundaries', 'turbo', 'boundaries'],
  ['unused code', 'knip', '--no-progress'],
  ['unit tests', 'node', 'scripts/test.ts', '--project', 'unit'],
]

const failed: string[] = []
for (const [name, command, ...rest] of CHECKS) {
  const startedAt = performance.now()
  const { isGood, output } = await run(command, rest)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stdout.write(`${isGood ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n${isGood ? '' : `\n${output}\n`}`)
  if (!isGood) failed.push(name)
}
const sentence = failed.length === 0 ? `All ${CHECKS.length} checks are good.` : `Failed: ${failed.join(', ')}.`
process.stdout.write(`\n${sentence}\n`)
process.exitCode = failed.length === 0 ? 0 : 1

async function run(command: string, rest: readonly string[]): Promise<{ isGood: boolean; output: string }> {
  const path = [PROGRAMS, process.env['PATH'] ?? ''].join(delimiter)
  const child = spawn(command, rest, {
    cwd: ROOT,
    env: { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { promise, resolve } = Promise.withResolvers<{ isGood: boolean; output: string }>()
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.once('error', (error) => resolve({ isGood: false, output: error.message }))
  child.once('close', (code) => resolve({ isGood: code === 0, output: output.trim() }))
  return promise
}
