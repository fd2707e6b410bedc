/** How the pages write times, durations and states. */
import type { IngestState, TimelineEntry } from '@sluice/core'
import { type Html, html } from './html.ts'

/** In UTC, as in the logs, so that the two can be laid side by side. */
export function moment(date: Date): Html {
  const iso = date.toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}<small>${iso.slice(19)}</small></time>`
}

/** `0 ms`, `1.2 s`, `3 min 4 s`, `2 h 10 min`, `3 d 4 h`: the two units that matter. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** Colour and word together: neither is needed to understand the other. */
export function badge(word: IngestState | TimelineEntry['outcome']): Html {
  return html`<span class="badge ${word}">${word}</span>`
}
