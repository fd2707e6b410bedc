import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  type Database,
  ERRORS,
  type File,
  humanBytes,
  type Ingest,
  type IngestId,
  type IngestJob,
  isTerminal,
  isUuid,
  type Limits,
  type Product,
  type ProductImage,
  type Problem,
  SluiceError,
  type TenantId,
  shownUrl,
  type TimelineEntry,
  whyNotReplayable,
  whyWaiting,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type Content, type Html, html } from './html.ts'
import { listPath } from './ingest-filter.ts'
import { sendPage } from './layout.ts'
import { badge, duration, moment } from './words.ts'

export interface IngestPageOptions {
  readonly database: Database
  readonly limits: Limits
  readonly replay: (tenantId: TenantId, id: IngestId) => Promise<Ingest>
  /** Where the board shows a job; null where it cannot be linked. */
  readonly jobPath: ((job: IngestJob) => string) | null
}

type IngestRequest = FastifyRequest<{ Params: { ingest: string } }>

export function ingestRoutes(app: FastifyInstance, options: IngestPageOptions): void {
  const { database } = options

  app.get('/ingests/:ingest', async (request: IngestRequest, reply) => {
    const story = await findStory(database, callerOf(request).tenantId, ingestId(request))
    return sendPage(request, reply, {
      title: `Ingest ${story.ingest.id}`,
      content: page(story, options),
      ...(!isTerminal(story.ingest.state) && { refreshSeconds: 5 }),
    })
  })

  app.post('/ingests/:ingest/replay', async (request: IngestRequest, reply) => {
    const { tenantId, tokenId } = callerOf(request)
    const { id } = await options.replay(tenantId, ingestId(request))
    request.log.info({ ingestId: id, tokenId }, 'replayed from the console')
    return reply.redirect(`/ingests/${id}`, 303)
  })
}

function ingestId(request: IngestRequest): IngestId {
  const { ingest } = request.params
  if (!isUuid(ingest)) throw new SluiceError('ingest_unknown')
  return ingest.toLowerCase() as IngestId
}

/** All that is known of one ingest. What was removed since is null. */
interface Story {
  readonly ingest: Ingest
  readonly timeline: readonly TimelineEntry[]
  readonly product: Product | null
  readonly file: File | null
  readonly placed: { readonly rank: number; readonly image: ProductImage } | null
}

async function findStory(database: Database, tenantId: TenantId, id: IngestId): Promise<Story> {
  const ingest = await database.ingests.find(tenantId, id)
  if (!ingest) throw new SluiceError('ingest_unknown')
  const { target, result, source } = ingest
  const ref = target && ({ kind: 'id', id: target.productId } as const)
  const fileId = result?.fileId ?? (source.kind === 'file' ? source.fileId : null)
  const [timeline, product, file, placed] = await Promise.all([
    database.ingests.timeline(tenantId, id),
    ref && database.products.find(tenantId, ref),
    fileId && database.files.find(tenantId, fileId),
    ref && result?.imageId ? database.images.find(tenantId, ref, result.imageId) : null,
  ])
  return { ingest, timeline, product, file, placed }
}

function page(story: Story, { jobPath, limits }: IngestPageOptions): Html {
  const { ingest, timeline } = story
  const isFailed = ingest.state === 'failed'
  const wait = whyWaiting(ingest, new Date(), limits)
  const refusal = isFailed ? whyNotReplayable(ingest, { limits, now: () => new Date() }) : null
  return html`<p class="path"><a href="/">Ingests</a> / <code>${ingest.id}</code></p>
    <div class="title">
      <h1>${fileName(story)}</h1>
      ${badge(ingest.state)}${isFailed && !refusal && replayButton(ingest)}
    </div>
    ${wait && html`<p class="hint">${wait.detail}</p>`}
    ${refusal && html`<p class="hint">It cannot be replayed. ${refusal.detail}</p>`}
    ${ingest.problem && problemBox(ingest.problem)}
    <div class="columns">
      ${facts('Request', requestFacts(story, jobPath))} ${story.file && facts('File', fileFacts(story.file))}
      ${ingest.result?.imageId && facts('Image', imageFacts(story))}
    </div>
    <h2>Timeline</h2>
    ${timelineTable(timeline)}`
}

function fileName({ ingest: { source }, file }: Story): string {
  return (source.kind === 'file' ? file?.name : (source.fileName ?? file?.name)) ?? 'Unnamed file'
}

function replayButton({ id }: Ingest): Html {
  return html`<form method="post" action="/ingests/${id}/replay"><button class="primary">Replay</button></form>`
}

function problemBox({ code, detail, details }: Problem): Html {
  const title = ERRORS[code].title
  return html`<section class="alert" aria-label="Problem">
    <strong>${title}</strong> <code>${code}</code>
    ${detail !== title && html`<p>${detail}</p>`}
    ${details && Object.keys(details).length > 0 && html`<pre>${JSON.stringify(details, null, 2)}</pre>`}
  </section>`
}

type Fact = readonly [name: string, value: Content]

function facts(title: string, rows: readonly Fact[]): Html {
  return html`<section class="card">
    <h2>${title}</h2>
    <dl>
      ${rows.map(
        ([name, value]) =>
          value !== null &&
          value !== '' &&
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </section>`
}

function requestFacts({ ingest, product }: Story, jobPath: IngestPageOptions['jobPath']): readonly Fact[] {
  const { id, lane, target, parking, attempts, epoch, createdAt, finishedAt } = ingest
  const placement = target?.kind === 'attach' ? target.placement : (parking?.placement ?? null)
  const asked = target?.kind === 'replace' ? target.change : placement
  return [
    ['Product', target && html`<a href="${productPath(target.productId)}">${product?.sku ?? target.productId}</a>`],
    ['Lane', lane],
    ['Waits for SKU', parking && html`${parking.sku}, until ${moment(parking.until)}`],
    ['Title', product?.title ?? null],
    ['New file of', target?.kind === 'replace' ? `image ${target.imageId}` : null],
    ['Label', asked?.label ?? null],
    ['Name asked for', placement?.name ?? null],
    ['Rank asked for', asked?.rank ?? null],
    ['Position asked for', asked?.position ?? null],
    ['Roles asked for', asked?.roles?.join(', ') ?? null],
    ['Hidden', asked?.excluded ? 'yes' : null],
    ['Store view', asked?.store ?? null],
    ['Slot', placement?.slot ?? null],
    ...sourceFacts(ingest),
    ['Received', moment(createdAt)],
    ['Finished', finishedAt && moment(finishedAt)],
    ['Took', finishedAt && duration(finishedAt.getTime() - createdAt.getTime())],
    ['Attempts', attempts],
    ['Epoch', epoch],
    ['Job', jobPath && html`<a href="${jobPath({ ingestId: id, epoch })}">${id}-${epoch}</a>`],
  ]
}

function sourceFacts({ source, fetched }: Ingest): readonly Fact[] {
  if (source.kind === 'staged') return stagedFacts(source)
  if (source.kind === 'file') return [['Source', html`the file <code>${source.fileId}</code>`]]
  if (source.kind === 'uploaded') return uploadedFacts(source)
  return [['Source', html`<code>${shownUrl(source.url)}</code>`], ...(fetched ? stagedFacts(fetched) : [])]
}

function stagedFacts({ bytes, digest, declaredType }: Extract<Ingest['source'], { kind: 'staged' }>): readonly Fact[] {
  return [
    ['Size', humanBytes(bytes)],
    ['Declared type', declaredType],
    ['SHA-256', html`<code>${digest}</code>`],
  ]
}

function uploadedFacts({ bytes, keys, declaredType, sha256 }: Extract<Ingest['source'], { kind: 'uploaded' }>): readonly Fact[] {
  return [
    ['Source', `an upload${keys.length === 1 ? '' : ` in ${keys.length} parts`}`],
    ['Size', humanBytes(bytes)],
    ['Declared type', declaredType],
    ['SHA-256 promised', sha256 && html`<code>${sha256}</code>`],
  ]
}

function fileFacts({ id, facts }: File): readonly Fact[] {
  const { mediaType, width, height, bytes, mode, frames, orientation, density, iccName, dominantColour, digest, warnings } = facts
  return [
    ['File', html`<code>${id}</code>`],
    ['Type', mediaType],
    ['Pixels', `${width} × ${height}`],
    ['Frames', frames > 1 ? frames : null],
    ['Size', humanBytes(bytes)],
    ['Colour mode', mode],
    ['Dominant colour', html`${swatch(dominantColour)} ${dominantColour}`],
    ['Orientation', orientation === 1 ? null : `${orientation} (EXIF)`],
    ['Density', density && `${density} per inch`],
    ['ICC profile', iccName],
    ['SHA-256', html`<code>${digest}</code>`],
    ['Warnings', warnings.join('; ')],
  ]
}

/** An attribute of SVG, because the pages' policy allows no style attribute. */
function swatch(colour: string): Html {
  return html`<svg class="swatch" viewBox="0 0 1 1" width="14" height="14" aria-hidden="true">
    <rect width="1" height="1" fill="${colour}" />
  </svg>`
}

function imageFacts({ ingest, placed }: Story): readonly Fact[] {
  if (!placed) return [['Image', html`<code>${ingest.result?.imageId ?? ''}</code>, removed since`]]
  const { rank, image } = placed
  return [
    ['Image', html`<code>${image.id}</code>`],
    ['Name', image.name],
    ['Rank', rank],
    ['Label', image.label],
    ['Roles', image.roles.join(', ')],
    ['Hidden', image.excluded ? 'yes' : null],
  ]
}

function timelineTable(timeline: readonly TimelineEntry[]): Html {
  return html`<div class="scroll card">
    <table class="timeline">
      <thead>
        <tr>
          <th>At</th>
          <th class="number">Attempt</th>
          <th>Step</th>
          <th>Outcome</th>
          <th class="number">Took</th>
          <th>Detail</th>
        </tr>
      </thead>
      <tbody>
        ${timeline.map(timelineRow)}
      </tbody>
    </table>
  </div>`
}

function timelineRow({ at, attempt, step, outcome, durationMs, detail }: TimelineEntry): Html {
  return html`<tr>
    <td>${moment(at)}</td>
    <td class="number">${attempt}</td>
    <td><b>${step}</b></td>
    <td>${badge(outcome)}</td>
    <td class="number">${durationMs !== null && duration(durationMs)}</td>
    <td class="detail">${detail}</td>
  </tr>`
}

function productPath(productId: string): string {
  return listPath({ state: null, product: productId, text: '', before: null })
}
