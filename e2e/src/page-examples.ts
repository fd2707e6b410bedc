/** Runs the commands of a page of documentation as its reader would: one after the other, in one shell. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface Example {
  readonly command: string
  /** What the commands have printed. */
  readonly printed: string
  /** The answer that the page shows below them. */
  readonly shown: string | null
}

export interface Reader {
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** What the page calls by another name, as `http://127.0.0.1:8080`. */
  readonly names: Readonly<Record<string, string>>
  /** The language of the blocks that show answers; `json` when not given. */
  readonly answers?: string
}

/** Variables and files of one block are there in the next. The first command that fails ends it all. */
export async function runExamples(
  page: string,
  { directory, environment, names, answers = 'json' }: Reader,
): Promise<readonly Example[]> {
  const here = Object.entries(names).reduce((text, [name, real]) => text.replaceAll(name, real), page)
  const blocks = [...here.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, content = '']) => ({ language, content }))
  const examples = blocks.flatMap(({ language, content }, index) => {
    const next = blocks[index + 1]
    return language === 'sh' ? [{ command: content, shown: next?.language === answers ? next.content : null }] : []
  })
  const boundary = `--- ${crypto.randomUUID()}`
  const script = ['set -eu', ...examples.map(({ command }) => `${command}\nprintf '%s' '${boundary}'`)].join('\n')
  const env = { PATH: process.env['PATH'], ...environment }
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: directory, env })
  const printed = stdout.split(boundary)
  return examples.map(({ command, shown }, index) => ({ command, shown, printed: printed[index] ?? '' }))
}
