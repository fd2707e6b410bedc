/**
 * Wake-up calls over LISTEN and NOTIFY: one connection, opened for the first listener and again whenever it is lost. After
 * each gap everybody is woken, because nobody knows what was missed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { IngestId, Signals } from '@sluice/core'
import { type Connection, openConnection } from './connection.ts'

export const INGEST_CHANNEL = 'sluice_ingest'
export const OUTBOX_CHANNEL = 'sluice_outbox'
export const INBOX_CHANNEL = 'sluice_inbox'
export const DELIVERY_CHANNEL = 'sluice_delivery'

/** A connection that says nothing looks like one that is gone: asking tells them apart. */
const HEARTBEAT_MS = 10_000
const ANSWER_MS_MAX = 5_000
const REOPEN_MS = 500

type Wake = () => void

export function openSignals(options: { url: string; applicationName: string }): Signals & AsyncDisposable {
  const listeners = new Map<string, Set<Wake>>()
  const stopping = new AbortController()
  let running: Promise<void> | null = null

  const wake = (key: string) => listeners.get(key)?.forEach((wake) => wake())
  const wakeAll = () => [...listeners.keys()].forEach(wake)

  function add(key: string, wake: Wake): Disposable {
    running ??= keepListening()
    // A function of its own for each call: the same one may be given twice.
    const own = () => wake()
    const known = listeners.get(key) ?? new Set()
    listeners.set(key, known.add(own))
    return {
      [Symbol.dispose]() {
        known.delete(own)
        if (known.size === 0 && listeners.get(key) === known) listeners.delete(key)
      },
    }
  }

  async function keepListening(): Promise<void> {
    while (!stopping.signal.aborted) {
      // The gap that this leaves is told when the next connection listens.
      await listen().catch(() => undefined)
      await sleep(REOPEN_MS * (0.5 + Math.random()), undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  /** Resolves or rejects when the connection is lost. */
  async function listen(): Promise<void> {
    const ended = new AbortController()
    const connection = openConnection({
      ...options,
      onLost: () => ended.abort(),
      onNotify: (channel, payload) => wake(channel === INGEST_CHANNEL ? payload : channel),
    })
    const stop = () => connection.destroy()
    stopping.signal.addEventListener('abort', stop, { once: true })
    try {
      for (const channel of [INGEST_CHANNEL, OUTBOX_CHANNEL, INBOX_CHANNEL, DELIVERY_CHANNEL])
        await ask(connection, `listen ${channel}`)
      wakeAll()
      for (;;) {
        await sleep(HEARTBEAT_MS, undefined, { signal: ended.signal })
        await ask(connection, 'select 1')
      }
    } finally {
      stopping.signal.removeEventListener('abort', stop)
      connection.destroy()
    }
  }

  return {
    onIngest: (id: IngestId, wake) => add(id, wake),
    onOutbox: (wake) => add(OUTBOX_CHANNEL, wake),
    onInbox: (wake) => add(INBOX_CHANNEL, wake),
    onDelivery: (wake) => add(DELIVERY_CHANNEL, wake),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
    },
  }
}

async function ask(connection: Connection, statement: string): Promise<void> {
  const timer = setTimeout(() => connection.destroy(), ANSWER_MS_MAX)
  try {
    await connection.command(statement)
  } finally {
    clearTimeout(timer)
  }
}
