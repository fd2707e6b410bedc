import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The first directory of PATH that has the program, as the shell would find it. */
export async function findOnPath(program: string): Promise<string | null> {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, program))
  return firstExecutable(candidates)
}

export async function firstExecutable(candidates: readonly string[]): Promise<string | null> {
  for (const candidate of candidates) {
    const isExecutable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isExecutable) return candidate
  }
  return null
}
