import type { FastifyInstance } from 'fastify'
import { type Attribute, type Channel, checkRoles, type StoreView } from '@sluice/core'
import { type Static, Type } from 'typebox'
import { CODE, EXTENSION, TEXT, WELL_FORMED } from '../validation.ts'
import { definitionRoutes } from './definitions.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'

const EXTENSIONS_MAX = 20
const LOCALES_MAX = 500

/** What describes a catalogue beside its products. Dialects read it: Akeneo's attributes and channels, OpenMage's store views. */
export async function catalogueRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, policy } = world
  const { catalogue } = database
  const Code = Type.String({ maxLength: limits.codeLengthMax, pattern: CODE })

  const AnAttribute = Type.Object(
    {
      allowed_extensions: Type.Optional(
        schemas.nullable(
          Type.Array(Type.String({ pattern: EXTENSION, maxLength: 10 }), { maxItems: EXTENSIONS_MAX, uniqueItems: true }),
        ),
      ),
      file_bytes_max: Type.Optional(schemas.nullable(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))),
      scopable: Type.Optional(Type.Boolean({ description: 'Each channel has a value of its own.' })),
      localizable: Type.Optional(Type.Boolean({ description: 'Each locale has a value of its own.' })),
      role: Type.Optional(schemas.nullable(Type.String({ description: 'The role of an image in this attribute.' }))),
    },
    { additionalProperties: false },
  )
  const AChannel = Type.Object(
    { locales: Type.Array(Code, { maxItems: LOCALES_MAX, uniqueItems: true, examples: [['en_US', 'fr_FR']] }) },
    { additionalProperties: false },
  )
  const AStore = Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: limits.titleLengthMax, pattern: TEXT, format: WELL_FORMED }),
      website: Code,
    },
    { additionalProperties: false },
  )

  definitionRoutes(app, limits, {
    url: '/attributes',
    noun: 'an attribute',
    plural: 'attributes',
    unknown: 'attribute_unknown',
    body: AnAttribute,
    shown: schemas.Attribute,
    view: attributeView,
    list: (tenantId) => catalogue.listAttributes(tenantId),
    find: (tenantId, code) => catalogue.findAttribute(tenantId, code),
    remove: (tenantId, code) => catalogue.removeAttribute(tenantId, code),
    async put(tenantId, code, body: Static<typeof AnAttribute>) {
      const { scopable = false, localizable = false, role = null } = body
      checkRoles(role === null ? [] : [role], policy)
      const bounds = { allowedExtensions: body.allowed_extensions ?? null, fileBytesMax: body.file_bytes_max ?? null }
      const attribute: Attribute = { code, ...bounds, scopable, localizable, role }
      await catalogue.putAttribute(tenantId, attribute)
      return attribute
    },
  })

  definitionRoutes(app, limits, {
    url: '/channels',
    noun: 'a channel',
    plural: 'channels',
    unknown: 'channel_unknown',
    body: AChannel,
    shown: schemas.Channel,
    view: ({ code, locales }: Channel) => ({ code, locales }),
    list: (tenantId) => catalogue.listChannels(tenantId),
    find: (tenantId, code) => catalogue.findChannel(tenantId, code),
    remove: (tenantId, code) => catalogue.removeChannel(tenantId, code),
    async put(tenantId, code, { locales }: Static<typeof AChannel>) {
      const channel: Channel = { code, locales }
      await catalogue.putChannel(tenantId, channel)
      return channel
    },
  })

  definitionRoutes(app, limits, {
    url: '/stores',
    noun: 'a store view',
    plural: 'store views',
    unknown: 'store_unknown',
    body: AStore,
    shown: schemas.Store,
    view: ({ number, code, name, website }: StoreView) => ({ number, code, name, website }),
    list: (tenantId) => catalogue.listStores(tenantId),
    find: (tenantId, code) => catalogue.findStore(tenantId, code),
    // Its number is in the addresses of others, and images have values under it.
    remove: null,
    put: (tenantId, code, { name, website }: Static<typeof AStore>) => catalogue.putStore(tenantId, { code, name, website }),
  })
}

function attributeView({ code, allowedExtensions, fileBytesMax, scopable, localizable, role }: Attribute) {
  return { code, allowed_extensions: allowedExtensions, file_bytes_max: fileBytesMax, scopable, localizable, role }
}
