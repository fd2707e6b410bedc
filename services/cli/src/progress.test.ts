import { expect, it } from 'vitest'
import { humanDuration, lineProgress, openPace } from './progress.ts'

it('tells the rate of late, and how long it takes to go on like that', () => {
  let now = 0
  const pace = openPace(1_000, 0, { now: () => now })
  expect(pace.at(0)).toBe('')
  now = 10_000
  expect(pace.at(100)).toBe('10 rows/s, 1m 30s left')
  for (now = 11_000; now <= 60_000; now += 1_000) pace.at(100 + (now - 10_000) / 1_000)
  now = 60_000
  expect(pace.at(150)).toMatch(/^1\.0 rows\/s, 14m/)
})

it('writes a line now and then where nobody looks at a bar', () => {
  let now = 0
  let written = ''
  const output = { isTTY: false, write: (text: string) => Boolean((written += text)) } as unknown as NodeJS.WriteStream
  const progress = lineProgress(output, 5_000, () => now)
  progress.begin('Sending', 2_000)
  for (let done = 0; done <= 1_500; done += 10, now += 100) progress.update(done, '3 files')
  progress.note('photos.csv:7: path is missing')
  expect(written.split('\n')).toEqual([
    'Sending: 2,000 rows',
    'Sending: 500/2,000 (25 %), 100 rows/s, 15s left, 3 files',
    'Sending: 1,000/2,000 (50 %), 100 rows/s, 10s left, 3 files',
    'Sending: 1,500/2,000 (75 %), 100 rows/s, 5s left, 3 files',
    'photos.csv:7: path is missing',
    '',
  ])
})

it.each([
  [400, '1s'],
  [59_000, '59s'],
  [100_000, '1m 40s'],
  [7_500_000, '2h 05m'],
  [273_600_000, '3d 4h'],
])('says of %d ms: %s', (ms, said) => {
  expect(humanDuration(ms)).toBe(said)
})
