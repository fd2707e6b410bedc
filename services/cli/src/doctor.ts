import { FINDING_KINDS } from '@sluice/core'
import { runExamination } from '@sluice/runtime'
import { messageOf } from './command-error.ts'
import { reportJson, reportLines } from './doctor-report.ts'
import { say } from './print.ts'
import { openProgress } from './progress.ts'

export interface DoctorOptions {
  readonly repair?: true
  readonly json?: true
  readonly force?: true
  readonly limit: number
  /** In minutes. */
  readonly grace: number
}

/** How it ends; scripts read this. */
const EXIT = { clean: 0, findingsLeft: 1, couldNotLook: 2 } as const

export async function doctorCommand({ repair, json, force, limit, grace }: DoctorOptions): Promise<void> {
  const progress = openProgress()
  let title = ''
  try {
    const report = await runExamination({
      repairs: repair === true,
      force: force === true,
      limit,
      graceMs: grace * 60_000,
      progress(doing, done, total) {
        if (doing !== title) progress.begin(doing, Math.max(total, done), 0, doing === 'Looking' ? 'files' : 'findings')
        title = doing
        progress.update(done)
      },
    })
    progress.end()
    say(json ? JSON.stringify(reportJson(report), null, 2) : reportLines(report).join('\n'))
    process.exitCode = FINDING_KINDS.every((kind) => report.left[kind] === 0) ? EXIT.clean : EXIT.findingsLeft
  } catch (error) {
    progress.end()
    const cause = error instanceof Error && error.cause !== undefined ? ` (${messageOf(error.cause)})` : ''
    process.stderr.write(`Not everything could be looked at: ${messageOf(error)}${cause}\n`)
    process.exitCode = EXIT.couldNotLook
  }
}
