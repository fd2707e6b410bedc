/** A new file comes as the part `file` of a form, or from the address in its field `file_location`. */
import type { FastifyRequest } from 'fastify'
import { type IntakeWorld, SluiceError, type StagedUpload, stageUpload } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type FormProfile, readUpload } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'
import { WireFault } from '../dialect.ts'
import type { Wire } from './errors.ts'

const FORM: FormProfile = { filePart: 'file', base64: null, raw: false }

export async function readNewFile(world: IntakeWorld, request: FastifyRequest): Promise<StagedUpload> {
  if (request.headers['content-type'] === undefined) throw new SluiceError('source_missing')
  const { tenantId } = callerOf(request)
  const signal = deadlineOf(request)
  const { staged, fields } = await readUpload(request.raw, {
    limits: world.limits,
    signal,
    form: FORM,
    stage: (bytes, { declaredType, fileName }) =>
      stageUpload(world, tenantId, bytes, { contentType: declaredType, fileName, typeMustMatch: false }, signal),
  })
  const { file_location: location } = fields
  if (location === undefined) {
    if (!staged) throw new SluiceError('source_missing')
    return staged
  }
  if (staged) {
    await staged.discard()
    throw new SluiceError('source_ambiguous', 'Give a file or a file_location, not both.')
  }
  if (typeof location !== 'string') throw locationInvalid('file_location is given more than once')
  return fetchFile(world, request, location, signal)
}

const LOCATION_LENGTH_MAX = 2_048

async function fetchFile(world: IntakeWorld, request: FastifyRequest, location: string, signal: AbortSignal) {
  if (location.length > LOCATION_LENGTH_MAX)
    throw locationInvalid(`file_location may have ${LOCATION_LENGTH_MAX} characters at most`)
  const { contentType, fileName, bytes } = await world.fetcher.fetch(location, signal).catch((error: unknown) => {
    if (SluiceError.is(error, 'url_invalid')) throw locationInvalid(`${location} is not a valid URL`, error)
    throw error
  })
  return stageUpload(world, callerOf(request).tenantId, bytes, { contentType, fileName, typeMustMatch: false }, signal)
}

function locationInvalid(detail: string, cause?: unknown): WireFault<Wire> {
  return new WireFault<Wire>({ status: 422, title: 'file_location invalid', detail }, { cause })
}
