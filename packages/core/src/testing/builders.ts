/** Things that are valid as they are; a test says only what it is about. */
import type { Facts } from '../file.ts'
import type { Digest, FileId, ImageId, IngestId, TokenId } from '../ids.ts'
import type { Ingest, Placement, Source, Target, TimelineEntry } from '../ingest.ts'
import { DEFAULT_NAME } from '../naming.ts'
import { AT_THE_END } from '../placement.ts'
import type { Commit, NewIngest } from '../ports.ts'

let made = 0

/** A UUID of version 7, and so greater than all that this process has made before. */
export function newId(): string {
  const time = (++made).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}

/** The digest of bytes that nobody else has. */
export function newDigest(): Digest {
  return newId().replaceAll('-', '').padStart(64, 'd') as Digest
}

export function aFacts(overrides: Partial<Facts> = {}): Facts {
  return {
    mediaType: 'image/jpeg',
    bytes: 1_000,
    digest: newDigest(),
    width: 40,
    height: 30,
    orientation: 1,
    mode: 'RGB',
    alpha: false,
    frames: 1,
    density: null,
    iccName: null,
    exif: null,
    dominantColour: '#102030',
    thumbhash: 'AAAA',
    thumbnail: { width: 40, height: 30, bytes: 100 },
    warnings: [],
    ...overrides,
  }
}

export function aPlacement(overrides: Partial<Placement> = {}): Placement {
  return { ...AT_THE_END, ...overrides }
}

type StagedSource = Extract<Source, { kind: 'staged' }>

export function aStagedSource(overrides: Partial<StagedSource> = {}): StagedSource {
  return {
    kind: 'staged',
    key: `staged/${newId()}`,
    digest: newDigest(),
    bytes: 1_000,
    declaredType: null,
    typeMustMatch: false,
    fileName: 'photo.jpg',
    reusesFile: false,
    ...overrides,
  }
}

/** Without a product, unless one is named. */
export function aNewIngest(overrides: Partial<NewIngest> & Pick<NewIngest, 'tenantId'>): NewIngest {
  return {
    id: newId() as IngestId,
    tokenId: newId() as TokenId,
    source: aStagedSource(),
    target: null,
    idempotency: null,
    answer: null,
    ...overrides,
  }
}

/** What the pipeline would commit for this ingest. */
export function aCommit(ingest: Ingest, overrides: Partial<Commit> = {}): Commit {
  const { source, target } = ingest
  return {
    ingestId: ingest.id,
    attempt: ingest.attempts,
    since: ingest.updatedAt,
    file:
      source.kind === 'file'
        ? { kind: 'existing', id: source.fileId }
        : newFileOf(source.kind === 'staged' ? source : ingest.fetched),
    image: target && imageOf(target),
    timeline: [],
    ...overrides,
  }
}

function newFileOf(staged: StagedSource | null): Commit['file'] {
  const { fileName: name, digest, reusesFile: reuses } = staged ?? aStagedSource()
  return { kind: 'new', id: newId() as FileId, name, facts: aFacts({ digest }), reuses }
}

function imageOf(target: Target): Commit['image'] {
  if (target.kind === 'replace') return { kind: 'replace', id: target.imageId, change: target.change }
  return { kind: 'attach', id: newId() as ImageId, stem: DEFAULT_NAME, placement: target.placement }
}

export function aTimelineEntry(overrides: Partial<TimelineEntry> = {}): TimelineEntry {
  return {
    at: new Date('2026-01-01T00:00:00Z'),
    step: 'validate',
    attempt: 1,
    outcome: 'done',
    durationMs: 12,
    detail: null,
    ...overrides,
  }
}
