import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  AT_THE_END,
  type Attribute,
  type ErrorCode,
  type IntakeWorld,
  MAIN_ROLE,
  type Placement,
  type Product,
  slotOf,
  SluiceError,
  type StagedUpload,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type FormProfile, readUpload, type UploadBody } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'
import { type DialectContext, STREAMED, streamBodies } from '../dialect.ts'
import { publicUrl } from '../host.ts'
import { bringImage, sendAccepted } from '../finished-ingest.ts'
import { type ArrivedFile, stageArrived } from './arrived-file.ts'
import { complaintsOf } from './file-rules.ts'
import { requireContentType } from './headers.ts'
import { MEDIA_FILES } from './media-files.ts'
import { findAttribute, findBearer, readValue, refuse, type Value } from './value.ts'

const FORM: FormProfile = { filePart: 'file', base64: null, raw: false }

/** A file becomes the value of an attribute, and the one that was it before is none any more. */
export function newMediaFileRoute(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  streamBodies(app)
  app.post(MEDIA_FILES, { ...STREAMED, config: { access: 'writer' } }, async (request, reply) => {
    requireContentType(request, 'multipart/form-data')
    const { from, product, attribute, value } = await readNewValue(world, request)
    const target = { kind: 'attach', productId: product.id, placement: placementOf(attribute, value) } as const
    const brought = await bringImage(context, request, reply, { from, target }).catch(refusing(value))
    if (brought.kind === 'accepted') return sendAccepted(reply, brought.ingest)
    const file = await world.database.files.find(product.tenantId, brought.fileId)
    if (!file) throw new SluiceError('write_conflicted', 'The file was removed as soon as it was stored.')
    return sendCreated(reply, `${publicUrl(request, world)}${MEDIA_FILES}/${file.code}`)
  })
}

function sendCreated(reply: FastifyReply, location: string): FastifyReply {
  return reply.code(201).header('location', location).send()
}

interface NewValue {
  readonly from: StagedUpload
  readonly product: Product
  readonly attribute: Attribute
  readonly value: Value
}

/** What is refused here leaves nothing behind. */
async function readNewValue(world: IntakeWorld, request: FastifyRequest): Promise<NewValue> {
  const { tenantId } = callerOf(request)
  const signal = deadlineOf(request)
  const stage = stageArrived(world, tenantId, signal)
  const body = await readUpload(request.raw, { limits: world.limits, signal, form: FORM, stage })
  try {
    return await checkNewValue(world, tenantId, body)
  } catch (error) {
    await body.staged?.discard()
    throw error
  }
}

/** In Akeneo's order, though the file has arrived already. */
async function checkNewValue(
  world: IntakeWorld,
  tenantId: Product['tenantId'],
  { staged: file, fields }: UploadBody<ArrivedFile>,
): Promise<NewValue> {
  const value = readValue(fields)
  const product = await findBearer(world, tenantId, value)
  if (!file?.isFile) throw new SluiceError('source_missing')
  const attribute = await findAttribute(world, tenantId, value)
  refuse(value, complaintsOf(attribute, file))
  if ('fault' in file.content) throw file.content.fault
  return { from: file.content.staged, product, attribute, value }
}

/** A value that holds everywhere may be what its attribute stands for, such as the main image. */
function placementOf({ code, role }: Attribute, { scope, locale }: Value): Placement {
  const roles = role !== null && scope === null && locale === null ? [role] : []
  return { ...AT_THE_END, roles, main: roles.includes(MAIN_ROLE), slot: slotOf(code, scope, locale) }
}

/** What the pipeline finds is said of the value, as Akeneo says what its validators find. */
const VIOLATIONS: ReadonlySet<ErrorCode> = new Set([
  'file_empty',
  'media_type_unsupported',
  'image_corrupt',
  'image_truncated',
  'image_pixels_exceeded',
  'image_frames_exceeded',
  'image_too_costly',
  'images_unsupported',
  'images_exceeded',
])

function refusing(value: Value): (error: unknown) => never {
  return (error) => {
    if (SluiceError.is(error) && VIOLATIONS.has(error.code)) refuse(value, [error.message], { cause: error })
    throw error
  }
}
