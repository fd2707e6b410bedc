/** A map of bounded size: what was asked for longest ago makes room for what is new. */
export interface RecentMap<Key, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
}

export function recentMap<Key, Value>(sizeMax: number): RecentMap<Key, Value> {
  /** In the order of their last use. */
  const entries = new Map<Key, Value>()

  function set(key: Key, value: Value): void {
    entries.delete(key)
    entries.set(key, value)
    if (entries.size > sizeMax) for (const oldest of entries.keys().take(1)) entries.delete(oldest)
  }

  return {
    set,
    get(key) {
      const value = entries.get(key)
      if (value !== undefined) set(key, value)
      return value
    },
  }
}
