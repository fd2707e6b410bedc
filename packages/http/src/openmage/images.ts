import type { FastifyReply, FastifyRequest } from 'fastify'
import { AT_THE_END, type ImageChange, type IntakeWorld, MAIN_ROLE, type Placement, SluiceError, type Target } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { bringImage, sendAccepted } from '../finished-ingest.ts'
import { imageMissing, imageNotFound, imageNotSaved } from './errors.ts'
import { type Data, formatOf, render } from './formats.ts'
import { type ImageBody, readImageBody } from './image-body.ts'
import { imageView, visibleImages } from './image-view.ts'
import { findPlace, imageRef, type ImageParams, type Place } from './place.ts'
import { isShopper } from './who-asks.ts'

type Request = FastifyRequest<{ Params: ImageParams }>

export async function readImages({ world }: DialectContext, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { images, view } = await look(world, request)
  return send(reply, images.map(view))
}

export async function readImage({ world }: DialectContext, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { images, view } = await look(world, request)
  const number = imageRef(request.params)
  const image = images.find((candidate) => candidate.number === number)
  // The other system has two answers for this.
  if (!image) throw isShopper(callerOf(request)) ? new SluiceError('image_unknown') : imageNotFound()
  return send(reply, view(image))
}

async function look(world: IntakeWorld, request: Request) {
  const caller = callerOf(request)
  const { product, store } = await findPlace(world, caller, request.params)
  const list = await world.database.images.list(caller.tenantId, { kind: 'id', id: product.id })
  if (!list) throw new SluiceError('product_unknown')
  const viewer = { store, isShopper: isShopper(caller) }
  const view = (image: (typeof list.images)[number]) => imageView(request, world, image, viewer)
  return { images: visibleImages(list, viewer), view }
}

export async function createImage(context: DialectContext, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { world } = context
  const caller = callerOf(request)
  const body = await readImageBody(world, caller, request)
  if (!body.upload) throw imageMissing()
  const { product, store } = await keepingOrDiscarding(body, () => findPlace(world, caller, request.params))
  const target: Target = { kind: 'attach', productId: product.id, placement: placementOf(body, store, world) }
  const brought = await bringImage(context, request, reply, { from: body.upload, target })
  if (brought.kind === 'accepted') return sendAccepted(reply, brought.ingest)

  const found =
    brought.imageId && (await world.database.images.find(caller.tenantId, { kind: 'id', id: product.id }, brought.imageId))
  if (!found) throw imageNotSaved()
  // Relative, with the product as the client named it.
  const asNamed = /\/products\/([^/?]+)/.exec(request.url)?.[1]
  return reply.header('location', `/api/rest/products/${asNamed}/images/${found.image.number}`).send()
}

function placementOf(
  { fileName, label, excluded, position, types }: ImageBody,
  store: number | null,
  world: IntakeWorld,
): Placement {
  const roles = rolesOf([types ?? []].flat(), world)
  return {
    ...AT_THE_END,
    name: fileName || null,
    label: label ?? '',
    excluded: excluded ?? false,
    position: position ?? null,
    roles,
    main: store === null && roles.includes(MAIN_ROLE),
    store,
  }
}

/** Only what is passed changes; a new file takes the place of the old one behind the same number. */
export async function changeImage(context: DialectContext, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { world } = context
  const caller = callerOf(request)
  const body = await readImageBody(world, caller, request)
  const { place, image } = await keepingOrDiscarding(body, () => findImage(world, request))
  const { product, store } = place
  const change = changeOf(body, store, world)
  if (body.upload) {
    const target: Target = { kind: 'replace', productId: product.id, imageId: image.id, change }
    const brought = await bringImage(context, request, reply, { from: body.upload, target })
    if (brought.kind === 'accepted') return sendAccepted(reply, brought.ingest)
  } else {
    await world.database.images.edit(caller.tenantId, { kind: 'id', id: product.id }, image.id, change, null)
  }
  return reply.send()
}

function changeOf({ label, position, excluded, types }: ImageBody, store: number | null, world: IntakeWorld): ImageChange {
  // A single name, not in a list, says nothing here: so it is in the other system.
  const roles = types === undefined || typeof types === 'string' ? null : rolesOf(types, world)
  return {
    ...(label !== undefined && { label }),
    ...(position !== undefined && { position }),
    ...(excluded !== undefined && { excluded }),
    ...(roles && { roles }),
    ...(roles && store === null && { main: roles.includes(MAIN_ROLE) }),
    ...(store !== null && { store }),
  }
}

/** Globally the image leaves the product; in a store view it only stands for nothing any more. */
export async function removeImage({ world }: DialectContext, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { images } = world.database
  const { tenantId } = callerOf(request)
  const { product, store } = await findPlace(world, callerOf(request), request.params)
  const ref = { kind: 'id', id: product.id } as const
  const image = imageRef(request.params)
  if (store === null) await images.remove(tenantId, ref, image, 'clear', null)
  else await images.edit(tenantId, ref, image, { store, roles: [] }, null)
  return reply.send()
}

async function findImage(world: IntakeWorld, request: Request) {
  const { tenantId } = callerOf(request)
  const place: Place = await findPlace(world, callerOf(request), request.params)
  const found = await world.database.images.find(tenantId, { kind: 'id', id: place.product.id }, imageRef(request.params))
  if (!found) throw new SluiceError('image_unknown')
  return { place, image: found.image }
}

/** Names that no role has are ignored, as in the other system. */
function rolesOf(types: readonly string[], { policy }: IntakeWorld): readonly string[] {
  return policy.roles.filter((role) => types.includes(role))
}

async function keepingOrDiscarding<Result>({ upload }: ImageBody, look: () => Promise<Result>): Promise<Result> {
  try {
    return await look()
  } catch (error) {
    await upload?.discard()
    throw error
  }
}

function send(reply: FastifyReply, data: Data): FastifyReply {
  const { type, body } = render(formatOf(reply.request.headers.accept), data)
  return reply.type(type).send(body)
}
