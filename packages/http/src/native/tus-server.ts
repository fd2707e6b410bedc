/** Resumable uploads by the protocol tus 1.0: https://tus.io/protocols/resumable-upload. The protocol is its own library's; ours is where the bytes rest. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { DataStore, ERRORS, MemoryLocker, Server, Upload as TusUpload } from '@tus/server'
import {
  appendToUpload,
  type Caller,
  cancelUpload,
  completeUpload,
  type IngestId,
  type IntakeWorld,
  isUuid,
  longestRequestMs,
  receivedBytes,
  type Upload,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { publicUrl } from '../dialect.ts'
import { asSluiceError, problemOf, retryAfterOf } from '../problem.ts'
import { takeReservation } from './upload-request.ts'

const PATH = '/v1/tus'
/** A request that takes too long is ended; what had come until then is still to be staged. */
const AFTERMATH_MS = 30_000

/**
 * Offsets are in the database and bytes in the staging that all intakes share, so that any of them goes on where another was
 * killed. The lock is this process's own and only keeps clients from needless conflicts: of two who write at one offset one does.
 */
export function openTus(world: IntakeWorld): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  const locker = new MemoryLocker()
  const writing = new Map<string, Promise<unknown>>()
  return async (request, reply) => {
    const caller = callerOf(request)
    const server = new Server({
      path: PATH,
      datastore: new StagedStore(world, caller, writing),
      locker,
      maxSize: world.limits.fileBytesMax,
      allowedOrigins: () => false,
      generateUrl: (_, { id }) => `${publicUrl(request, world)}${PATH}/${id}`,
      namingFunction: () => world.newId(),
      onUploadFinish: async (_, { id }) => {
        await completeUpload(world, caller.tenantId, id as IngestId)
        return {}
      },
      onResponseError: (_, error) => answerTo(request, reply, error),
    })
    reply.hijack()
    reply.raw.setHeader('x-content-type-options', 'nosniff')
    await server.handle(request.raw, reply.raw).catch((error: unknown) => {
      request.log.error({ err: error }, 'a resumable upload broke off')
      reply.raw.destroy()
    })
  }
}

/** The library's own errors are its own affair. */
function answerTo(request: FastifyRequest, reply: FastifyReply, error: Error | { status_code: number; body: string }) {
  if (!(error instanceof Error)) return undefined
  const ours = asSluiceError(error)
  if (ours.status >= 500) request.log.error({ err: ours.cause ?? ours, code: ours.code }, 'request failed')
  const retryAfter = retryAfterOf(ours)
  if (retryAfter !== null) reply.raw.setHeader('retry-after', retryAfter)
  return { status_code: ours.status, body: JSON.stringify(problemOf(ours)) }
}

class StagedStore extends DataStore {
  override extensions = ['creation', 'creation-with-upload', 'expiration', 'termination']
  readonly #world: IntakeWorld
  readonly #caller: Caller
  /** What is still being staged of a connection that is gone. */
  readonly #writing: Map<string, Promise<unknown>>

  constructor(world: IntakeWorld, caller: Caller, writing: Map<string, Promise<unknown>>) {
    super()
    this.#world = world
    this.#caller = caller
    this.#writing = writing
  }

  override async create(asked: TusUpload): Promise<TusUpload> {
    const { filename = null, filetype = null, product, sha256, ...fields } = asked.metadata ?? {}
    const upload = await takeReservation(this.#world, this.#caller, {
      id: asked.id as IngestId,
      bytes: asked.size ?? 0,
      mediaType: filetype,
      fileName: filename,
      sha256,
      product,
      fields,
      direct: false,
      metadata: asked.metadata ?? {},
    })
    return tusUpload(upload)
  }

  override async getUpload(id: string): Promise<TusUpload> {
    return tusUpload(await this.#find(id))
  }

  override async write(stream: AsyncIterable<Uint8Array>, id: string, offset: number): Promise<number> {
    const upload = await this.#find(id)
    if (receivedBytes(upload) !== offset) throw ERRORS.INVALID_OFFSET
    const signal = AbortSignal.timeout(longestRequestMs(this.#world.limits) + AFTERMATH_MS)
    const written = appendToUpload(this.#world, upload, stream, signal)
    this.#writing.set(id, written)
    try {
      return await written
    } finally {
      if (this.#writing.get(id) === written) this.#writing.delete(id)
    }
  }

  override async remove(id: string): Promise<void> {
    await cancelUpload(this.#world, this.#caller.tenantId, (await this.#find(id)).id)
  }

  override getExpiration(): number {
    return this.#world.limits.uploadMsMax
  }

  /** Throws what tus has for what is not there, or not any more. */
  async #find(id: string): Promise<Upload> {
    await this.#writing.get(id)?.catch(() => undefined)
    const upload = isUuid(id) ? await this.#world.database.uploads.find(this.#caller.tenantId, id as IngestId) : null
    if (!upload || upload.metadata === null) throw ERRORS.FILE_NOT_FOUND
    if (upload.state === 'expired' || upload.state === 'cancelled') throw ERRORS.FILE_NO_LONGER_EXISTS
    return upload
  }
}

function tusUpload(upload: Upload): TusUpload {
  const { id, bytes: size, metadata, createdAt } = upload
  const known = metadata && Object.keys(metadata).length > 0 ? { metadata: { ...metadata } } : {}
  return new TusUpload({ id, size, offset: receivedBytes(upload), creation_date: createdAt.toISOString(), ...known })
}
