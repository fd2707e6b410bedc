import { Agent } from 'undici'
import type { Limits } from '@sluice/core'
import { guardedLookup, type Resolve } from './guarded-lookup.ts'

/** A type and not an interface, so that its values can be listed. */
export type Agents = Readonly<Record<'guarded' | 'excepted' | 'guardedOut' | 'exceptedOut', Agent>>

/** No connection is kept, so nothing is left of one stranger's request when the next one's begins. */
const UNSHARED: Agent.Options = { pipelining: 0, connections: 16, allowH2: false }

export function openAgents({ fetchMsMax }: Pick<Limits, 'fetchMsMax'>, resolve: Resolve): Agents {
  const timeouts = { headersTimeout: fetchMsMax, bodyTimeout: fetchMsMax }
  const connect = { timeout: fetchMsMax, maxCachedSessions: 0 }
  const guardedConnect = { ...connect, lookup: guardedLookup(resolve) }
  const open = (options: Agent.Options) => new Agent({ ...UNSHARED, ...timeouts, ...options })
  return {
    guarded: open({ connect: guardedConnect }),
    excepted: open({ connect }),
    // Whoever posts bounds how much: a place that many endpoints share must not be held by the one of them that hangs.
    guardedOut: open({ connections: null, connect: guardedConnect }),
    exceptedOut: open({ connections: null, connect }),
  }
}
