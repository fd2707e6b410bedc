/** Imports on the native wire. */
import { IMPORT_MODES, IMPORT_PRODUCT_STATES, IMPORT_STATES, type Limits, ROW_ACTIONS, ROW_STATES } from '@sluice/core'
import { Type } from 'typebox'
import { TEXT, WELL_FORMED } from '../validation.ts'
import { nullable, Problem } from './schemas.ts'

const time = Type.String({ format: 'date-time' })
const uuid = Type.String({ format: 'uuid' })
const link = Type.String({ format: 'uri-reference' })
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'In hex, small letters.' })

export const ImportParams = Type.Object({ import: Type.String({ description: 'The id of the import' }) })

export function newImport(limits: Limits) {
  return Type.Object(
    {
      name: Type.Optional(Type.String({ maxLength: limits.titleLengthMax, pattern: TEXT, format: WELL_FORMED })),
      mode: Type.Optional(
        Type.Enum([...IMPORT_MODES], {
          description: '`add` (default): what the rows do not name stays. `sync`: the products named get exactly these images.',
        }),
      ),
      on_error: Type.Optional(
        Type.Enum(['skip', 'stop'], { description: 'What a row that fails means for the others; default `skip`.' }),
      ),
      create_products: Type.Optional(Type.Boolean({ description: 'Whether unknown SKUs become products; default false.' })),
      park_seconds: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: limits.importParkMsMax / 1000,
          description: 'How long rows wait for a product with an unknown SKU, from the start of applying; default 0: they fail.',
        }),
      ),
    },
    { additionalProperties: false },
  )
}

const countsBy = (names: readonly string[]) => Type.Object(Object.fromEntries(names.map((name) => [name, Type.Integer()])))

const Counts = Type.Object({
  total: Type.Integer(),
  states: countsBy(ROW_STATES),
  actions: countsBy(ROW_ACTIONS),
})

const importFields = {
  id: uuid,
  name: Type.String(),
  state: Type.Enum([...IMPORT_STATES], {
    description:
      'open ⇄ planned → applying → finished → undoing → undone. `stopping`: what runs is waited for. `stopped`: resume it, or undo it.',
  }),
  mode: Type.Enum([...IMPORT_MODES]),
  on_error: Type.Enum(['skip', 'stop']),
  create_products: Type.Boolean(),
  park_seconds: Type.Integer(),
  plan_hash: nullable(Type.String({ description: 'Null while there is no plan of the rows as they are.' })),
  created_at: time,
  updated_at: time,
  started_at: nullable(time),
  finished_at: nullable(time),
  links: Type.Object({ self: link, rows: link, plan: link, report: link, events: link }),
}

const ImportHead = Type.Object(importFields, { title: 'ImportHead' })

export const Import = Type.Object(
  {
    ...importFields,
    counts: Counts,
    rows_per_second: nullable(Type.Number({ description: 'Rows that are over, by the time since the start.' })),
    undo: nullable(
      Type.Object(
        Object.fromEntries(['restored', 'changed_since', 'unrestorable', 'open'].map((name) => [name, Type.Integer()])),
        {
          description:
            'Products: put back; left, because others have changed them since; left for another reason; not yet looked at.',
        },
      ),
    ),
  },
  { title: 'Import' },
)

export const ImportPage = Type.Object(
  { items: Type.Array(ImportHead), next: nullable(link) },
  { title: 'ImportPage', description: 'Newest first; `next` is the page of older ones.' },
)

const storeWish = Type.Object({
  store: Type.Integer(),
  label: Type.Optional(Type.String()),
  position: Type.Optional(Type.Integer()),
  excluded: Type.Optional(Type.Boolean()),
  roles: Type.Optional(Type.Array(Type.String())),
})

const ImportRow = Type.Object(
  {
    line: Type.Integer({
      description: 'As in the manifest. Below zero: the plan of a sync has made the row, to detach an image.',
    }),
    state: Type.Enum([...ROW_STATES]),
    action: nullable(
      Type.Enum([...ROW_ACTIONS], {
        description:
          'create (the product and the image), attach, update, reorder, detach, skip (the same already), park (until the product is there), refuse. Null before the plan.',
      }),
    ),
    changes: Type.Array(Type.String(), { description: 'What is changed: `label`, `position`, `stores.2`, …' }),
    error: nullable(Problem),
    product: nullable(Type.String({ description: 'As the row names it: `sku:<sku>`, UUID or integer.' })),
    source: nullable(
      Type.Object({
        kind: Type.Enum(['sha256', 'file_id', 'url', 'base64']),
        sha256: Type.Optional(sha256),
        file_id: Type.Optional(uuid),
        url: Type.Optional(Type.String()),
      }),
    ),
    wishes: Type.Object({
      label: Type.Optional(Type.String()),
      position: Type.Optional(Type.Integer()),
      roles: Type.Optional(Type.Array(Type.String())),
      main: Type.Optional(Type.Boolean()),
      excluded: Type.Optional(Type.Boolean()),
      name: Type.Optional(Type.String()),
      stores: Type.Optional(Type.Array(storeWish)),
    }),
    product_id: nullable(uuid),
    image_id: nullable(uuid),
    ingest: nullable(link),
  },
  { title: 'ImportRow' },
)

export const ImportRowPage = Type.Object(
  { items: Type.Array(ImportRow), next: nullable(link) },
  { title: 'ImportRowPage', description: 'In the order of their lines.' },
)

export const ImportPlanPage = Type.Object(
  { plan_hash: Type.String(), counts: Counts, items: Type.Array(ImportRow), next: nullable(link) },
  { title: 'ImportPlanPage' },
)

export const RowsReceived = Type.Object(
  {
    received: Type.Integer({ description: 'Rows of this request.' }),
    added: Type.Integer({ description: 'Those that were new.' }),
    known: Type.Integer({ description: 'Those whose line was there already; they stay as they were.' }),
    invalid: Type.Integer({ description: 'Those of the new ones that are at fault.' }),
    last_line: nullable(Type.Integer({ description: 'The last line of this request.' })),
    errors: Type.Array(Type.Object({ line: Type.Integer(), field: Type.String(), message: Type.String() }), {
      description: 'The first of what is wrong; all of it is kept with the rows.',
    }),
  },
  { title: 'RowsReceived' },
)

export const RowsQuery = Type.Object(
  {
    first_line: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000_000,
        description:
          'The line of the first row of this page; default 1, or 2 after a CSV header. A row that has a `line` of its own keeps that.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** One line of JSON Lines, or one record of CSV with these as its header; a CSV value that is empty says nothing. */
export function rowBody(limits: Limits) {
  const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }))
  return Type.Object(
    {
      line: Type.Optional(Type.Integer({ minimum: 1 })),
      product: Type.Optional(Type.String({ description: '`sku:<sku>`, UUID or integer id.' })),
      sku: Type.Optional(Type.String({ description: 'Instead of `product`.' })),
      sha256: Type.Optional(sha256),
      file_id: Type.Optional(uuid),
      url: text(limits.urlLengthMax),
      base64: Type.Optional(Type.String({ contentEncoding: 'base64' })),
      file_name: text(limits.fileNameLengthMax),
      label: text(limits.labelLengthMax),
      position: Type.Optional(Type.Integer({ minimum: 1, description: 'The rank that it is to have in the end.' })),
      roles: Type.Optional(Type.Array(Type.String(), { description: 'Exactly these. In CSV with commas.' })),
      main: Type.Optional(Type.Boolean()),
      excluded: Type.Optional(Type.Boolean()),
      name: text(limits.fileNameLengthMax),
      stores: Type.Optional(
        Type.Record(
          Type.String({ description: 'The code or the number of the store view' }),
          Type.Object({
            label: Type.Optional(Type.String()),
            position: Type.Optional(Type.Integer()),
            excluded: Type.Optional(Type.Boolean()),
            roles: Type.Optional(Type.Array(Type.String())),
          }),
          { description: 'In CSV as JSON in one column.' },
        ),
      ),
    },
    {
      title: 'ImportRowGiven',
      additionalProperties: false,
      description: 'A product, exactly one of sha256, file_id, url and base64, and what the image is to be.',
    },
  )
}

export const ApplyBody = Type.Object(
  {
    plan_hash: Type.Optional(
      Type.String({
        description:
          'Apply this plan and no other: 412 `plan_outdated` where a product has moved since. Without it the import is planned now, and anew for each product whose turn has come.',
      }),
    ),
  },
  { additionalProperties: false },
)

export const UndoBody = Type.Object(
  { force: Type.Optional(Type.Boolean({ description: 'Put back also the products that others have changed since.' })) },
  { additionalProperties: false },
)

export const ImportProductPage = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        first_line: Type.Integer(),
        product: Type.String(),
        product_id: nullable(uuid),
        state: Type.Enum([...IMPORT_PRODUCT_STATES]),
        error: nullable(Problem),
      }),
    ),
    next: nullable(link),
  },
  { title: 'ImportProductPage' },
)

export function checkBody({ digestsMax }: Limits) {
  return Type.Object({ digests: Type.Array(sha256, { maxItems: digestsMax }) }, { additionalProperties: false })
}

export const Checked = Type.Object(
  {
    files: Type.Record(Type.String(), nullable(uuid), {
      description: 'For each digest the oldest file of these bytes, or null: they are not here.',
    }),
  },
  { title: 'FilesChecked' },
)
