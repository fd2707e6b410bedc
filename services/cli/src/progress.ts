import { MultiBar, Presets, type SingleBar } from 'cli-progress'

/** What people see while it runs, all of it on stderr: stdout is for results. */
export interface Progress {
  /** `noun` is what is counted, in the plural. */
  begin(title: string, total: number, done?: number, noun?: string): void
  update(done: number, text?: string): void
  /** A line of its own, above the bar. */
  note(line: string): void
  end(): void
}

/** In a log, a line now and then. */
const LINE_EVERY_MS = 5_000
/** Over how long the rate is taken: long enough to be calm, short enough to notice a change. */
const RATE_WINDOW_MS = 15_000

type Output = Pick<NodeJS.WriteStream, 'write' | 'isTTY'>

export function openProgress(output: NodeJS.WriteStream = process.stderr): Progress {
  return output.isTTY ? barProgress(output) : lineProgress(output, LINE_EVERY_MS)
}

function barProgress(output: NodeJS.WriteStream): Progress {
  let bars: MultiBar | null = null
  let bar: SingleBar | null = null
  let pace = openPace(0, 0)
  const end = () => {
    bars?.stop()
    bars = bar = null
  }
  return {
    begin(title, total, done = 0, noun = 'rows') {
      end()
      pace = openPace(total, done, { noun })
      const format = `{title}  {bar}  {value}/{total}  {pace}  {text}`
      bars = new MultiBar({ format, barsize: 24, hideCursor: true, stream: output, fps: 5 }, Presets.shades_classic)
      bar = bars.create(total, done, { title, pace: '', text: '' })
    },
    update(done, text = '') {
      bar?.update(done, { pace: pace.at(done), text })
    },
    note(line) {
      if (bars) bars.log(`${line}\n`)
      else output.write(`${line}\n`)
    },
    end,
  }
}

export function lineProgress(output: Output, everyMs: number, now: () => number = () => performance.now()): Progress {
  let title = ''
  let total = 0
  let pace = openPace(0, 0, { now })
  let saidAt = 0
  return {
    begin(newTitle, newTotal, done = 0, noun = 'rows') {
      title = newTitle
      total = newTotal
      pace = openPace(total, done, { now, noun })
      saidAt = now()
      output.write(`${title}: ${count(total)} ${total === 1 ? noun.replace(/s$/, '') : noun}\n`)
    },
    update(done, text = '') {
      const said = pace.at(done)
      if (now() - saidAt < everyMs) return
      saidAt = now()
      const percent = total === 0 ? 100 : Math.floor((done / total) * 100)
      output.write(`${title}: ${[`${count(done)}/${count(total)} (${percent} %)`, said, text].filter(Boolean).join(', ')}\n`)
    },
    note(line) {
      output.write(`${line}\n`)
    },
    end() {
      // Each line is whole.
    },
  }
}

/** The rate of late, and how long it takes to go on like that: "85 rows/s, 1m 40s left". */
export function openPace(
  total: number,
  first: number,
  { now = () => performance.now(), noun = 'rows' }: { readonly now?: () => number; readonly noun?: string } = {},
) {
  const marks = [{ at: now(), done: first }]
  return {
    at(done: number): string {
      marks.push({ at: now(), done })
      // At most one mark a second is kept, and those that have grown old are not.
      if (marks.length > 2 && marks.at(-1)!.at - marks.at(-3)!.at < 1_000) marks.splice(-2, 1)
      while (marks.length > 2 && now() - marks[0]!.at > RATE_WINDOW_MS) marks.shift()
      const oldest = marks[0]!
      const rate = ((done - oldest.done) / Math.max(now() - oldest.at, 1)) * 1_000
      if (rate <= 0) return ''
      const shown = rate < 10 ? rate.toFixed(1) : count(Math.round(rate))
      return `${shown} ${noun}/s, ${humanDuration(((total - done) / rate) * 1_000)} left`
    },
  }
}

/** "45s", "1m 40s", "2h 05m", "3d 4h" */
export function humanDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h ${String(minutes % 60).padStart(2, '0')}m`
  return `${Math.floor(hours / 24)}d ${hours % 24}h`
}

export function count(number: number): string {
  return number.toLocaleString('en')
}

/** One of something, or several. */
export function countOf(number: number, one: string, several = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : several}`
}
