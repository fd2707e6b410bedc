import { NONCE_MS_MAX, type Nonces } from '../../ports.ts'
import type { Tables } from './tables.ts'

export function memoryNonces({ now }: Tables): Nonces {
  /** By all that is compared, with the time that they bear. */
  const used = new Map<string, number>()
  const ageMs = (timestamp: number) => now().getTime() - timestamp * 1000

  return {
    async use(tokenId, timestamp, nonce, keepMs) {
      const key = JSON.stringify([tokenId, timestamp, nonce])
      const isInWindow = Math.abs(ageMs(timestamp)) <= Math.min(keepMs, NONCE_MS_MAX)
      if (!isInWindow || used.has(key)) return false
      used.set(key, timestamp)
      return true
    },
    async forget() {
      for (const [key, timestamp] of used) if (ageMs(timestamp) > NONCE_MS_MAX) used.delete(key)
    },
  }
}
