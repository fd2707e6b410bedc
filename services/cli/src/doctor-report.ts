import { type BlobUse, type Examination, type Finding, FINDING_KINDS, type FindingKind, humanBytes } from '@sluice/core'
import type { ExaminationReport } from '@sluice/runtime'
import { count, countOf } from './progress.ts'

/** Findings of each kind that are shown; all are counted, and `--json` lists those that were kept. */
const SHOWN_MAX = 10

interface Words {
  readonly one: string
  readonly several: string
  /** What a dry run says to do. */
  readonly advice: string
  /** What to do about those that a repair has left. */
  readonly leftover: string
}

const REPAIR = 'Run "sluice doctor --repair".'
const AGAIN = 'Run it once more; the log of a worker tells if something keeps it from it.'

const WORDS: Readonly<Record<FindingKind, Words>> = {
  orphan: {
    one: 'stored file that no row speaks of',
    several: 'stored files that no row speaks of',
    advice: `They take room and nothing else. ${REPAIR}`,
    leftover: `More than were taken up at once, or somebody is at it. ${AGAIN}`,
  },
  foreign: {
    one: 'object that is not of this Sluice',
    several: 'objects that are not of this Sluice',
    advice: 'They are never touched. Whoever put them there should keep them elsewhere.',
    leftover: 'They are never touched. Whoever put them there should keep them elsewhere.',
  },
  missing: {
    one: 'file whose bytes are gone',
    several: 'files whose bytes are gone',
    advice: 'Run "sluice doctor --repair": it takes the same bytes from where they still are. The rest must be uploaded again.',
    leftover:
      'The same bytes are nowhere else. Upload these images again, to any product, and the files are whole; or bring back a backup.',
  },
  damaged: {
    one: 'file whose bytes are not all there',
    several: 'files whose bytes are not all there',
    advice: 'Run "sluice doctor --repair": it takes the same bytes from where they still are. The rest must be uploaded again.',
    leftover:
      'The same bytes are nowhere else. Upload these images again, to any product, and the files are whole; or bring back a backup.',
  },
  thumbnail: {
    one: 'file without its thumbnail',
    several: 'files without their thumbnails',
    advice: REPAIR,
    leftover: 'They could not be drawn from the stored bytes: look whether the files open.',
  },
  unreferenced: {
    one: 'stored file that nothing shows any more',
    several: 'stored files that nothing shows any more',
    advice: `They are marked, and removed when they have been marked for the grace time. ${REPAIR}`,
    leftover: 'They are marked now. Run it again when the grace time is over.',
  },
  unfinished: {
    one: 'removal that was not ended',
    several: 'removals that were not ended',
    advice: 'Whoever began them has died. Any running worker ends them; is there one?',
    leftover: AGAIN,
  },
  staged: {
    one: 'staged upload that nothing needs',
    several: 'staged uploads that nothing needs',
    advice: 'Any running worker sweeps them; is there one? "sluice doctor --repair" does, too.',
    leftover: AGAIN,
  },
  stuck: {
    one: 'ingest that nobody works on',
    several: 'ingests that nobody works on',
    advice: 'Any running worker queues them again; is there one? "sluice doctor --repair" does, too.',
    leftover: AGAIN,
  },
  unrelayed: {
    one: 'ingest that waits for the queue, which is empty',
    several: 'ingests that wait for the queue, which is empty',
    advice: 'Nobody relays them: start a worker, and see whether its /ready names the queue.',
    leftover: 'Nobody relays them: start a worker, and see whether its /ready names the queue.',
  },
}

export function reportLines(report: ExaminationReport): string[] {
  const { examination, mending, left } = report
  const lines = [...lookedLines(examination)]
  for (const kind of FINDING_KINDS) if (examination.found[kind] > 0) lines.push('', ...findingLines(report, kind))
  if (mending?.isSuspicious) {
    lines.push('', 'More is stored that no row speaks of than is known: that is rather the wrong database, or the wrong bucket.')
    lines.push('Nothing of it was removed. If it is right all the same, add --force.')
  }
  const open = FINDING_KINDS.reduce((sum, kind) => sum + left[kind], 0)
  const isClean = FINDING_KINDS.every((kind) => examination.found[kind] === 0)
  lines.push('', isClean ? 'All is well.' : open === 0 ? 'All of it is mended.' : `${countOf(open, 'finding')} left.`)
  return lines
}

function lookedLines({ looked, ingests, outbox, queue }: Examination): string[] {
  const { received, running, parked, failed } = ingests
  const waiting = queue ? count(queue.interactive + queue.import) : 'unknown, the queue does not answer'
  return [
    `Looked at ${countOf(looked.objects, 'object')}, ${countOf(looked.blobs, 'stored file')} and ${countOf(looked.staged, 'old staged upload')}.`,
    `Ingests: ${count(received)} received, ${count(running)} running, ${count(parked)} parked, ${count(failed)} failed${failed > 0 ? ' ("sluice ingests" lists them)' : ''}.`,
    `In the outbox: ${count(outbox.entries)}. In the queue: ${waiting}${queue ? `, and ${count(queue.delayed)} that come back later` : ''}.`,
  ]
}

function findingLines(report: ExaminationReport, kind: FindingKind): string[] {
  const { examination, mending, left } = report
  const { one, several, advice, leftover } = WORDS[kind]
  const mended = mending ? mending.mended[kind] : 0
  const findings = examination.findings.filter((finding) => finding.kind === kind)
  const bytes = findings.reduce((sum, finding) => sum + finding.bytes, 0)
  const size = (kind === 'orphan' || kind === 'unreferenced') && bytes > 0 ? ` (${humanBytes(bytes)})` : ''
  const shown = findings.slice(0, SHOWN_MAX).flatMap((finding) => detailLines(report, finding))
  const more = examination.found[kind] - Math.min(findings.length, SHOWN_MAX)
  const says = [
    ...(mending && mended > 0 ? [`${count(mended)} mended.`] : []),
    ...(left[kind] > 0 ? [mending ? leftover : advice] : []),
  ]
  return [
    `${countOf(examination.found[kind], one, several)}${size}`,
    ...shown.map((line) => `  ${line}`),
    ...(shown.length > 0 && more > 0 ? [`  … and ${count(more)} more`] : []),
    ...(says.length > 0 ? [`  → ${says.join(' ')}`] : []),
  ]
}

function detailLines({ examination, whyStuck }: ExaminationReport, { kind, key, ref, bytes, storedBytes }: Finding): string[] {
  if (kind === 'stuck') {
    const ingest = examination.stuck.find(({ id }) => id === key)
    const why = ingest ? whyStuck(ingest) : null
    return [`${key}  ${ingest?.state ?? ''} since ${ingest?.updatedAt.toISOString() ?? ''}: ${why?.detail ?? ''}`]
  }
  const uses = examination.uses.filter(({ tenantId, digest }) => tenantId === ref?.tenantId && digest === ref?.digest)
  const shortfall = kind === 'damaged' ? `  ${count(storedBytes ?? 0)} of ${count(bytes)} bytes` : ''
  return [`${key}${shortfall}`, ...uses.map((use) => `  ${useLine(use)}`)]
}

function useLine({ fileId, fileName, image }: BlobUse): string {
  const file = `${fileName ?? 'unnamed file'} (file ${fileId})`
  return image ? `product ${image.sku}, image ${image.name} (${image.imageId}): ${file}` : file
}

/** The same for programs. */
export function reportJson({ examination, mending, left, whyStuck }: ExaminationReport) {
  const { at, looked, found, findings, uses, stuck, ingests, outbox, queue } = examination
  return {
    at: at.toISOString(),
    repaired: mending !== null,
    looked,
    found,
    mended: mending?.mended ?? null,
    marked: mending?.marked ?? null,
    suspicious: mending?.isSuspicious ?? null,
    left,
    findings: findings.map(({ kind, key, ref, bytes, storedBytes, markedMs }) => ({
      kind,
      key,
      tenant_id: ref?.tenantId ?? null,
      sha256: ref?.digest ?? null,
      bytes,
      stored_bytes: storedBytes,
      marked_seconds: markedMs === null ? null : Math.round(markedMs / 1_000),
    })),
    files: uses.map(({ tenantId, digest, fileId, fileName, image }) => ({
      tenant_id: tenantId,
      sha256: digest,
      file_id: fileId,
      file_name: fileName,
      product_id: image?.productId ?? null,
      sku: image?.sku ?? null,
      image_id: image?.imageId ?? null,
      image_name: image?.name ?? null,
    })),
    stuck: stuck.map((ingest) => ({ id: ingest.id, state: ingest.state, waiting: whyStuck(ingest) })),
    ingests,
    outbox: { entries: outbox.entries, oldest_seconds: Math.round(outbox.oldestMs / 1_000) },
    queue,
  }
}
