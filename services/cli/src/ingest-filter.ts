/** Which ingests are meant: the same options for all commands about them. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { addTo, readTime } from './option-values.ts'

export interface FilterOptions {
  readonly code?: readonly string[]
  readonly product?: string
  readonly since?: string
  readonly until?: string
  readonly text?: string
}

export function withFilter(command: Command): Command {
  return command
    .addOption(new Option('--code <code>', 'of the error, or of its cause; several times for several').argParser(readCode))
    .option('--product <product>', 'a UUID, an integer id, sku:<sku>, or model:<code>')
    .addOption(
      new Option('--since <time>', 'received then or later: a time, or how long ago, as 90s, 15m, 24h, 7d').argParser(readTime),
    )
    .addOption(new Option('--until <time>', 'received then or before').argParser(readTime))
    .option('--text <text>', 'part of a file name, label, image name or error; or a whole id, SKU or digest')
}

function readCode(code: string, before?: readonly string[]): readonly string[] {
  if (/^[a-z_]{1,64}$/.test(code)) return addTo(code, before)
  throw new InvalidArgumentError('a code like source_unavailable.')
}

/** As the API calls them. */
export function filterOf({ code, product, since, until, text }: FilterOptions) {
  return {
    ...(code && { code }),
    ...(product !== undefined && { product }),
    ...(since !== undefined && { from: since }),
    ...(until !== undefined && { to: until }),
    ...(text !== undefined && { q: text }),
  }
}

export type Filter = ReturnType<typeof filterOf>

/** Page by page, newest first; `limit` is that of a page. */
export function listPath(
  filter: Filter & { readonly state?: readonly string[]; readonly before?: string },
  limit: number,
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(filter)) for (const each of [value].flat()) query.append(name, each)
  query.append('limit', String(limit))
  return `/v1/ingests?${query.toString()}`
}

/** The most that one page holds. */
export const PAGE_MAX = 100

/** The parts of the API's answers that are used here; `/v1/openapi.json` has them whole. */
export interface IngestView {
  readonly id: string
  readonly state: string
  readonly file_name: string | null
  readonly source_url: string | null
  readonly bytes: number | null
  readonly product_id: string | null
  readonly attempts: number
  readonly error: {
    readonly code: string
    readonly title: string
    readonly detail?: string
    readonly step?: string | null
    readonly cause?: string
  } | null
  readonly replay: { readonly possible: boolean; readonly until: string | null; readonly detail: string | null } | null
  readonly created_at: string
  readonly finished_at: string | null
}

export interface TimelineView {
  readonly at: string
  readonly step: string
  readonly attempt: number
  readonly outcome: string
  readonly duration_ms: number | null
  readonly detail: string | null
}
