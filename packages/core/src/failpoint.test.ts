import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { armFailpoints, disarmFailpoints, failpoint } from './failpoint.ts'

afterEach(disarmFailpoints)

test('does nothing until it is armed', () => {
  expect(() => failpoint('w-start')).not.toThrow()
})

test('acts at the time that was named, there only, and nowhere else', () => {
  armFailpoints('w-start=throw@2, relay-claimed=throw')
  failpoint('w-start')
  expect(() => failpoint('w-start')).toThrow('failpoint w-start')
  failpoint('w-start')
  failpoint('w-put')
  expect(() => failpoint('relay-claimed')).toThrow('failpoint relay-claimed')
  expect(() => failpoint('relay-claimed')).toThrow('failpoint relay-claimed')
})

test.each(['w-strat=kill', 'w-start', 'w-start=die', 'w-start=kill@x', ''])('refuses %o, which would arm nothing', (text) => {
  expect(() => armFailpoints(text)).toThrow('arms no failpoint')
})

test.each([
  ['kill@3', 'passed passed '],
  ['prob:1', ''],
])('ends the process there by %s, and nothing runs after it', (mode, output) => {
  const script = `
    import { armFailpoints, failpoint } from ${JSON.stringify(join(import.meta.dirname, 'failpoint.ts'))}
    armFailpoints('w-put=${mode}', 7)
    for (let time = 1; time < 9; time++) { failpoint('w-put'); process.stdout.write('passed ') }`
  const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: output })
})
