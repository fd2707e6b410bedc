/** What all commands have in common that go over the HTTP API: where it is, who asks, and how they end. */
import { type Command, type CommanderError, Option } from 'commander'
import { type Api, openApi } from './api.ts'
import { CommandError, EXIT, type ExitCode } from './command-error.ts'
import { openProgress, type Progress } from './progress.ts'

export interface ServerOptions {
  readonly url: string
  readonly token?: string
}

export function withServer(command: Command, role: 'reader' | 'writer' = 'writer'): Command {
  return command
    .addOption(new Option('--url <url>', 'the address of Sluice').env('SLUICE_URL').default('http://127.0.0.1:8080'))
    .addOption(new Option('--token <token>', `a token of the role ${role}`).env('SLUICE_TOKEN'))
}

/** commander would end with 1 where it was called wrongly. */
export function exitForUsage({ exitCode }: CommanderError): never {
  process.exit(exitCode === 0 ? EXIT.fine : EXIT.usage)
}

/** Ctrl-C ends what is under way, and `leave` says how to go on; a second one leaves at once. */
export async function overApi(
  { url, token }: ServerOptions,
  work: (api: Api, progress: Progress) => Promise<ExitCode>,
  leave: () => Promise<ExitCode> | ExitCode,
): Promise<void> {
  const stop = new AbortController()
  const progress = openProgress()
  const onSignal = () => (stop.signal.aborted ? process.exit(EXIT.interrupted) : stop.abort())
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    if (token === undefined) throw new CommandError(EXIT.usage, 'A token is needed: --token, or SLUICE_TOKEN in the environment.')
    const onWait = (why: string, waitMs: number) => progress.note(`${why}; trying again in ${Math.round(waitMs / 1_000)} s`)
    process.exitCode = await work(openApi({ url, token, signal: stop.signal, onWait }), progress)
  } catch (error) {
    progress.end()
    if (stop.signal.aborted) process.exitCode = await leave()
    else if (error instanceof CommandError) {
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error.exitCode
    } else throw error
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}
