/** Webhooks in, as they stand on the native wire. */
import { HOOK_EVENT_STATES, IMAGE_FIELDS, type Limits, NAMED_VERIFIERS } from '@sluice/core'
import { Type } from 'typebox'
import { TEXT } from '../validation.ts'
import { nullable } from './schemas.ts'

const time = Type.String({ format: 'date-time' })
const uuid = Type.String({ format: 'uuid' })
const link = Type.String({ format: 'uri-reference' })

export const HookReceipt = Type.Object(
  { status: Type.Enum(['received', 'known'], { description: '`known`: it was received before, and this changed nothing.' }) },
  { title: 'HookReceipt' },
)

const EXACT = { additionalProperties: false }
const text = (maxLength: number) => Type.String({ maxLength, pattern: TEXT })
const pointer = Type.String({ maxLength: 255, description: 'A JSON Pointer (RFC 6901).', examples: ['/images/0/src'] })
const header = Type.String({ maxLength: 100, pattern: '^[A-Za-z0-9-]+$' })

export const Verifier = Type.Union([
  Type.Object({ kind: Type.Enum([...NAMED_VERIFIERS]) }, EXACT),
  Type.Object(
    {
      kind: Type.Literal('hmac'),
      header,
      algorithm: Type.Optional(Type.Enum(['sha256', 'sha512', 'sha1'], { description: 'Default `sha256`.' })),
      encoding: Type.Optional(Type.Enum(['hex', 'base64'], { description: 'Default `hex`.' })),
      prefix: Type.Optional(Type.String({ maxLength: 32, examples: ['sha256='] })),
      timestamp_header: Type.Optional(nullable(header)),
      signed: Type.Optional(
        Type.String({
          maxLength: 100,
          description: 'Default `{body}`, or `{timestamp}.{body}` when there is a timestamp_header.',
        }),
      ),
      id_header: Type.Optional(nullable(header)),
    },
    EXACT,
  ),
])

const scalar = Type.Union([Type.String({ maxLength: 1024 }), Type.Number(), Type.Boolean()])

const Value = Type.Union(
  [
    pointer,
    Type.Object(
      {
        at: Type.Optional(pointer),
        event: Type.Optional(pointer),
        header: Type.Optional(header),
        value: Type.Optional(Type.Unknown()),
        decode: Type.Optional(Type.Enum(['form'])),
        match: Type.Optional(text(255)),
        take: Type.Optional(text(100)),
        prefix: Type.Optional(text(1024)),
        default: Type.Optional(Type.Unknown()),
      },
      EXACT,
    ),
  ],
  { title: 'HookValue', description: 'A pointer into the item, or an object that says where the value stands.' },
)
const value = Type.Optional(Value)
const values = (...names: readonly string[]) =>
  Type.Optional(Type.Object(Object.fromEntries(names.map((name) => [name, value])), EXACT))

const mappingSchema = ({ parkMsMax }: Limits) =>
  Type.Object(
    {
      type: value,
      types: Type.Optional(Type.Array(text(255), { minItems: 1, maxItems: 50 })),
      each: Type.Optional(pointer),
      when: Type.Optional(
        Type.Array(Type.Object({ value: Value, in: Type.Array(scalar, { minItems: 1, maxItems: 50 }) }, EXACT), { maxItems: 10 }),
      ),
      key: value,
      order_by: value,
      product: values('sku', 'id', 'number'),
      source: values('url', 'base64', 'file_id'),
      file_name: value,
      image: values(...IMAGE_FIELDS),
      park_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: Math.floor(parkMsMax / 1000) })),
      completes_upload: value,
    },
    { ...EXACT, title: 'HookMapping', description: 'See docs/webhooks-in.md.' },
  )

export const sourceFields = (limits: Limits) => ({
  name: Type.String({ minLength: 1, maxLength: limits.titleLengthMax, pattern: TEXT }),
  verifier: Verifier,
  secrets: Type.Array(Type.String({ minLength: 8, maxLength: 512, pattern: '^[\\x20-\\x7e]+$' }), {
    minItems: 1,
    maxItems: limits.hookSecretsMax,
    description: 'All of them are valid at the same time. They are never shown again.',
  }),
  mapping: mappingSchema(limits),
  enabled: Type.Boolean({ description: 'False: events are kept, and processed when it is true again.' }),
})

export const HookSource = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    url: Type.String({ description: 'Where the sender sends its events.' }),
    verifier: Type.Unknown(),
    secrets: Type.Integer({ description: 'How many are valid.' }),
    mapping: Type.Unknown(),
    enabled: Type.Boolean(),
    created_at: time,
    updated_at: time,
    links: Type.Object({ self: link, events: link }),
  },
  { title: 'HookSource' },
)

const Fault = Type.Object({ field: Type.String(), message: Type.String() })

const eventFields = {
  id: uuid,
  state: Type.Enum([...HOOK_EVENT_STATES]),
  said_id: nullable(Type.String({ description: 'The id that the sender told, outside of what is signed.' })),
  attempts: Type.Integer(),
  items: Type.Array(
    Type.Object({
      path: Type.String({ description: 'Where the item stands in the event.' }),
      outcome: Type.Enum(['ingested', 'completed', 'ignored', 'refused']),
      ingest: Type.Optional(link),
      because: Type.Optional(Type.String()),
      errors: Type.Optional(Type.Array(Fault)),
    }),
  ),
  error: nullable(Type.Object({ code: Type.String(), detail: Type.String() })),
  received_at: time,
  processed_at: nullable(time),
  links: Type.Object({ self: link }),
}

const HookEvent = Type.Object(eventFields, { title: 'HookEvent' })

export const HookEventWithBody = Type.Object(
  {
    ...eventFields,
    headers: Type.Record(Type.String(), Type.String()),
    body: nullable(Type.String({ description: 'As it came; null when it is not UTF-8.' })),
    body_base64: nullable(Type.String()),
  },
  { title: 'HookEventWithBody' },
)

export const HookEventPage = Type.Object({ items: Type.Array(HookEvent), next: nullable(link) }, { title: 'HookEventPage' })

export const DryRun = Type.Object(
  {
    outcome: Type.Enum(['processed', 'quarantined', 'ignored'], { description: 'The state in which the event would end.' }),
    because: Type.Optional(Type.String()),
    items: Type.Array(
      Type.Object({
        path: Type.String(),
        outcome: Type.Enum(['ingested', 'completed', 'ignored', 'refused']),
        because: Type.Optional(Type.String()),
        errors: Type.Optional(Type.Array(Fault)),
        wanted: Type.Optional(Type.Unknown({ description: 'What would be brought, and where.' })),
      }),
    ),
  },
  { title: 'HookDryRun' },
)
