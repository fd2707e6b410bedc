import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'

/** Runs the runner on files of their own; gives the last line and the exit code. */
function run(files: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'sluice-runner-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text)
  const script = join(import.meta.dirname, 'test.ts')
  const { status, stdout } = spawnSync(process.execPath, [script, '--root', root, '--globals'], { encoding: 'utf8', cwd: root })
  return { status, last: stdout.trimEnd().split('\n').at(-1) }
}

const GOOD = `test('is good', () => {})`

describe('the runner', () => {
  it('ends with the sum of what has passed', () => {
    expect(run({ 'a.test.ts': GOOD, 'b.test.ts': GOOD })).toEqual({ status: 0, last: '2 passed, 0 failed' })
  })

  it('counts what was skipped and what is still to be done', () => {
    const files = { 'a.test.ts': `${GOOD}\ntest.skip('is skipped', () => {})\ntest.todo('is to be done')` }
    expect(run(files)).toEqual({ status: 0, last: '1 passed, 0 failed, 2 skipped' })
  })

  it.each([
    ['a test that fails', `test('fails', () => { throw new Error('no') })`],
    ['a file that does not load', `throw new Error('no')`],
    ['a hook that throws', `describe('group', () => { afterAll(() => { throw new Error('no') }); ${GOOD} })`],
    ['an error outside of any test', `test('is good', () => {}); Promise.reject(new Error('no'))`],
  ])('fails for %s', (_, text) => {
    const { status, last } = run({ 'a.test.ts': GOOD, 'b.test.ts': text })
    expect(status).toBe(1)
    expect(last).toMatch(/^[12] passed, 1 failed$/)
  })

  it('fails when there is nothing to test', () => {
    expect(run({})).toEqual({ status: 1, last: '0 passed, 0 failed' })
  })
})
