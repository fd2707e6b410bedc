import type { Signals } from '../../ports.ts'
import { DELIVERY, INBOX, OUTBOX, type Tables } from './tables.ts'

/** Wakes whoever still listens when the current work has let go of the thread, as a notification from afar would. */
export function memorySignals(): Signals & Pick<Tables, 'wake'> {
  const listeners = new Map<string, Set<() => void>>()

  function listen(to: string, wake: () => void): Disposable {
    // A function of its own for each call: the same one may be given twice.
    const own = () => wake()
    const known = listeners.get(to) ?? new Set()
    listeners.set(to, known.add(own))
    return { [Symbol.dispose]: () => void known.delete(own) }
  }

  return {
    wake: (listened) => void setImmediate(() => listeners.get(listened)?.forEach((wake) => wake())),
    onIngest: listen,
    onOutbox: (wake) => listen(OUTBOX, wake),
    onInbox: (wake) => listen(INBOX, wake),
    onDelivery: (wake) => listen(DELIVERY, wake),
  }
}
