/** The filters of lists: `eq(file_name,"a.jpg"):gt(width,200)`. */
import type { FastifyRequest } from 'fastify'
import { filterInvalid } from './errors.ts'
import { isText } from './body.ts'
import { queryOf } from './paging.ts'

export interface Condition {
  readonly operator: string
  readonly field: string
  readonly operands: readonly string[]
}

/** As documented: a request may have ten. */
const CONDITIONS_MAX = 10

/** All of them are to hold. None where there is no filter. */
export function conditionsOf(request: FastifyRequest): readonly Condition[] {
  const text = queryOf(request, 'filter')
  return text === null ? [] : parseFilter(text)
}

export function parseFilter(text: string): readonly Condition[] {
  if (!isText(text)) throw filterInvalid()
  const read = openReader(text)
  const conditions: Condition[] = []
  do {
    const [, operator = '', field = ''] = read(/(\w{1,32})\(\s*([\w.]{1,64})\s*/y) ?? fail()
    const operands: string[] = []
    for (let found = read(OPERAND); found; found = read(OPERAND)) operands.push(operandOf(found))
    if (operands.length === 0 || !read(/\)/y) || conditions.length === CONDITIONS_MAX) fail()
    conditions.push({ operator, field, operands })
  } while (read(/:/y))
  if (!read(/$/y)) fail()
  return conditions
}

/** In quotes of either kind, with `\` before those that belong to it; or bare, up to what ends it. */
const OPERAND = /,\s*(?:"((?:[^"\\]|\\[^])*)"|'((?:[^'\\]|\\[^])*)'|([^"'(),\s][^(),]*))/y

function operandOf([, double, single, bare]: RegExpExecArray): string {
  return bare?.trimEnd() ?? (double ?? single ?? '').replace(/\\([^])/g, '$1')
}

/** Goes through a text, match by match. */
function openReader(text: string) {
  let at = 0
  return (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) at = pattern.lastIndex
    return found
  }
}

function fail(): never {
  throw filterInvalid()
}
