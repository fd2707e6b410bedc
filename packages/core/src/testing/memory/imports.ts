import { type ErrorCode, type Problem, SluiceError } from '../../errors.ts'
import type { ImportId, ProductId, TenantId } from '../../ids.ts'
import {
  type Import,
  IMPORT_PRODUCT_STATES,
  type ImportProduct,
  type ImportRow,
  type Imports,
  type NewRow,
  type PlannedRow,
  productText,
  type ProductPlan,
  ROW_ACTIONS,
  ROW_STATES,
  type RowAction,
  type RowState,
} from '../../import.ts'
import { isTerminal, type Placement } from '../../ingest.ts'
import { MAIN_ROLE, refuseOwned } from '../../product-image.ts'
import { at, changeImage, type Gallery, giveRoles, mainOf, takeRoles } from './images.ts'
import { writeImages } from './product-images.ts'
import { findProduct, type ProductRow, type Tables } from './tables.ts'

interface Row extends ImportRow {
  readonly group: number | null
  readonly placement: Placement | null
}

interface Product extends ImportProduct {
  readonly key: string
  readonly before: ProductRow | null
  /** What the version is when nobody else has changed the product. */
  readonly preparedVersion: number
  readonly settledVersions: number
}

interface Head {
  given: Import
  epoch: number
  faultsSeen: number
  claimedUntilMs: number
  rows: Map<number, Row>
  products: Map<number, Product>
}

type Control = Pick<Imports, 'apply' | 'stop' | 'resume' | 'undo'>
type Work = Pick<
  Imports,
  'claim' | 'release' | 'collect' | 'unpark' | 'feed' | 'stagedInUse' | 'failRow' | 'advance' | 'forgetIdle'
>
type Plans = Pick<Imports, 'beginPlan' | 'resolve' | 'groups' | 'writePlan' | 'endPlan'>
type Reads = Pick<Imports, 'create' | 'find' | 'list' | 'progress' | 'addRows' | 'listRows' | 'listProducts'>

export function memoryImports(tables: Tables): Imports {
  const heads = new Map<ImportId, Head>()
  return {
    ...reads(tables, heads),
    ...plans(tables, heads),
    ...control(tables, heads),
    ...products(tables, heads),
    ...work(tables, heads),
  }
}

const fail = (code: ErrorCode) => {
  throw new SluiceError(code)
}

function headOf(heads: Map<ImportId, Head>, tenantId: TenantId, id: ImportId): Head {
  const head = heads.get(id)
  return head?.given.tenantId === tenantId ? head : fail('import_unknown')
}

function set(tables: Tables, head: Head, change: Partial<Import>): Import {
  head.given = { ...head.given, ...change, updatedAt: tables.now() }
  head.claimedUntilMs = 0
  return head.given
}

function put(head: Head, line: number, change: Partial<Row>): void {
  const row = head.rows.get(line)
  if (row) head.rows.set(line, { ...row, ...change })
}

function putProduct(head: Head, firstLine: number, change: Partial<Product>): void {
  const product = head.products.get(firstLine)
  if (product) head.products.set(firstLine, { ...product, ...change })
}

/** 1, 2, 3, -1, -2. */
const inOrder = (a: { line: number }, b: { line: number }) =>
  Number(a.line < 0) - Number(b.line < 0) || Math.abs(a.line) - Math.abs(b.line)

const rowsOf = ({ rows }: Head, group: number) => [...rows.values()].filter((row) => row.group === group).sort(inOrder)

function shown(whole: Row): ImportRow {
  const { group: _, placement: __, ...row } = whole
  return row
}

function count<Name extends string>(names: readonly Name[], items: Iterable<Name | null>): Record<Name, number> {
  const all = [...items]
  return Object.fromEntries(names.map((name) => [name, all.filter((item) => item === name).length])) as Record<Name, number>
}

function reads(tables: Tables, heads: Map<ImportId, Head>): Reads {
  return {
    async create({ ...given }, openMax) {
      const known = heads.get(given.id)
      if (known) return known.given
      const open = [...heads.values()].filter(
        (head) => head.given.tenantId === given.tenantId && !['finished', 'undone'].includes(head.given.state),
      )
      if (open.length >= openMax) fail('imports_exceeded')
      const at = tables.now()
      const rest = { planHash: null, planIsBinding: false, undoForce: false, createdAt: at, updatedAt: at }
      const made: Import = { ...given, ...rest, state: 'open', startedAt: null, finishedAt: null }
      heads.set(given.id, { given: made, epoch: 0, faultsSeen: 0, claimedUntilMs: 0, rows: new Map(), products: new Map() })
      return made
    },
    find: async (tenantId, id) => {
      const head = heads.get(id)
      return head?.given.tenantId === tenantId ? head.given : null
    },
    list: async (tenantId, { before, limit }) =>
      [...heads.values()]
        .map(({ given }) => given)
        .filter((given) => given.tenantId === tenantId && (before === null || given.id < before))
        .sort((a, b) => (a.id < b.id ? 1 : -1))
        .slice(0, limit),
    async progress(tenantId, id) {
      const head = heads.get(id)
      const rows = head?.given.tenantId === tenantId ? [...head.rows.values()] : []
      const changed = rows.length === 0 ? [] : [...(head?.products.values() ?? [])].filter(({ before }) => before !== null)
      return {
        total: rows.length,
        states: count(
          ROW_STATES,
          rows.map(({ state }) => state),
        ),
        actions: count(
          ROW_ACTIONS,
          rows.map(({ action }) => action),
        ),
        products: count(
          IMPORT_PRODUCT_STATES,
          changed.map(({ state }) => state),
        ),
      }
    },
    async addRows(tenantId, id, rows, rowsMax) {
      const head = headOf(heads, tenantId, id)
      if (head.given.state !== 'open' && head.given.state !== 'planned') fail('import_busy')
      const added = rows.filter(({ line }, index) => !head.rows.has(line) && rows.findIndex((row) => row.line === line) === index)
      const given = [...head.rows.keys()].filter((line) => line > 0).length
      if (given + added.length > rowsMax) fail('import_rows_exceeded')
      for (const row of added) head.rows.set(row.line, newRow(row))
      if (added.length > 0) {
        head.epoch += 1
        set(tables, head, { state: 'open', planHash: null })
      }
      return new Set(added.map(({ line }) => line))
    },
    async listRows(tenantId, id, { states, actions }, { after, limit }) {
      const head = heads.get(id)
      if (head?.given.tenantId !== tenantId) return []
      return [...head.rows.values()]
        .filter(
          (row) => (!states || states.includes(row.state)) && (!actions || (row.action !== null && actions.includes(row.action))),
        )
        .filter(({ line }) => after === null || inOrder({ line }, { line: after }) > 0)
        .sort(inOrder)
        .slice(0, limit)
        .map(shown)
    },
    async listProducts(tenantId, id, states, { after, limit }) {
      const head = heads.get(id)
      if (head?.given.tenantId !== tenantId) return []
      return [...head.products.values()]
        .filter(({ state, firstLine }) => states.includes(state) && firstLine > (after ?? 0))
        .sort((a, b) => a.firstLine - b.firstLine)
        .slice(0, limit)
        .map(shownProduct)
    },
  }
}

function shownProduct({ firstLine, product, productId, state, plannedVersion, problem }: Product): ImportProduct {
  return { firstLine, product, productId, state, plannedVersion, problem }
}

function newRow(row: NewRow): Row {
  const isValid = row.kind === 'valid'
  const [first] = isValid ? [] : row.errors
  return {
    line: row.line,
    state: isValid ? 'pending' : 'invalid',
    action: null,
    changes: [],
    problem: isValid
      ? null
      : { code: 'row_invalid', detail: first ? `${first.field} ${first.message}.` : '', details: { errors: row.errors } },
    product: row.product,
    source: isValid ? row.source : null,
    wishes: isValid ? row.wishes : {},
    productId: null,
    imageId: null,
    ingestId: null,
    group: null,
    placement: null,
  }
}

const PLANNED: Readonly<Partial<Record<RowAction, RowState>>> = { skip: 'skipped', park: 'parked', refuse: 'failed' }
const PREPARED: Readonly<Partial<Record<RowAction, RowState>>> = { ...PLANNED, update: 'done', reorder: 'done' }

function writeRows(head: Head, rows: readonly PlannedRow[], states: Readonly<Partial<Record<RowAction, RowState>>>): void {
  for (const { line, action, changes, imageId, problem } of rows) {
    put(head, line, { action, changes, imageId, problem, state: states[action] ?? 'pending' })
  }
}

function detaching(line: number, { firstLine, product, productId }: Product, imageId: Row['imageId']): Row {
  const nothing = { changes: [], problem: null, source: null, wishes: {}, ingestId: null, placement: null } as const
  return { line, state: 'pending', action: 'detach', product, productId, imageId, group: firstLine, ...nothing }
}

function plans(tables: Tables, heads: Map<ImportId, Head>): Plans {
  const held = (id: ImportId, epoch: number): Head => {
    const head = heads.get(id)
    const isHeld = head?.epoch === epoch && ['open', 'planned'].includes(head.given.state)
    return isHeld ? head : fail('import_busy')
  }
  return {
    async beginPlan(tenantId, id) {
      const head = headOf(heads, tenantId, id)
      if (head.given.state !== 'open' && head.given.state !== 'planned') fail('import_busy')
      for (const line of head.rows.keys()) if (line < 0) head.rows.delete(line)
      head.products.clear()
      set(tables, head, { state: 'open', planHash: null })
      return ++head.epoch
    },
    async resolve(id, epoch, after, limit) {
      const head = held(id, epoch)
      const part = [...head.rows.values()]
        .filter(({ line }) => line > after)
        .sort(inOrder)
        .slice(0, limit)
      for (const { line, product, state, problem } of part) {
        const found = product && findProduct(tables, head.given.tenantId, product)
        const productId = found?.product.id ?? null
        const group = product && groupOf(head, line, product, productId)
        const isInvalid = state === 'invalid'
        const clean = { action: null, changes: [], imageId: null, ingestId: null, placement: null }
        put(head, line, { ...clean, productId, group, state: isInvalid ? state : 'pending', problem: isInvalid ? problem : null })
      }
      return part.at(-1)?.line ?? null
    },
    async groups(id, state, { after, limit }) {
      const head = heads.get(id)
      if (!head) return []
      return [...head.products.values()]
        .filter((product) => product.state === state && product.firstLine > (after ?? 0))
        .sort((a, b) => a.firstLine - b.firstLine)
        .slice(0, limit)
        .map((product) => {
          const ref = product.productId ? ({ kind: 'id', id: product.productId } as const) : product.product
          const found = findProduct(tables, head.given.tenantId, ref)
          const rows = rowsOf(head, product.firstLine).filter(({ line }) => line > 0)
          return Object.assign(shownProduct(product), {
            productId: found?.product.id ?? null,
            rows: rows.filter((row) => row.state !== 'invalid').map(shown),
            hasInvalid: rows.some((row) => row.state === 'invalid'),
            found: found && {
              version: found.product.version,
              acceptsImages: found.product.acceptsImages,
              owner: found.product.owner,
              imageCount: found.images.length,
            },
          })
        })
    },
    async writePlan(id, epoch, groups) {
      const head = held(id, epoch)
      for (const { firstLine, version, state, rows, detach } of groups) {
        writeRows(head, rows, PLANNED)
        putProduct(head, firstLine, { plannedVersion: version, state })
        const product = head.products.get(firstLine)
        if (product) for (const { line, imageId } of detach) head.rows.set(line, detaching(line, product, imageId))
      }
    },
    endPlan: async (id, epoch, planHash) => set(tables, held(id, epoch), { state: 'planned', planHash }),
  }
}

function groupOf(head: Head, line: number, product: NonNullable<Row['product']>, productId: ProductId | null): number {
  const key = productId ?? productText(product)
  const known = head.products.values().find((other) => other.key === key)
  if (known) return known.firstLine
  const rest = {
    state: 'planned',
    plannedVersion: 0,
    problem: null,
    before: null,
    preparedVersion: 0,
    settledVersions: 0,
  } as const
  head.products.set(line, { firstLine: line, key, product, productId, ...rest })
  return line
}

function control(tables: Tables, heads: Map<ImportId, Head>): Control {
  const go = (
    tenantId: TenantId,
    id: ImportId,
    from: readonly string[],
    already: readonly string[],
    to: (head: Head) => Partial<Import>,
  ): Import => {
    const head = headOf(heads, tenantId, id)
    if (already.includes(head.given.state)) return head.given
    return from.includes(head.given.state) ? set(tables, head, to(head)) : fail('import_busy')
  }
  const hasMoved = (tenantId: TenantId, { product, productId, plannedVersion }: Product) => {
    const found = findProduct(tables, tenantId, productId ? { kind: 'id', id: productId } : product)
    return productId === null ? found !== null && product.kind === 'sku' : found?.product.version !== plannedVersion
  }
  return {
    async apply(tenantId, id, planHash) {
      const head = headOf(heads, tenantId, id)
      if (head.given.planHash === null) fail('import_busy')
      if (planHash !== null && planHash !== head.given.planHash) fail('plan_outdated')
      if (['applying', 'stopping', 'stopped', 'finished'].includes(head.given.state)) return head.given
      if (head.given.state !== 'planned') fail('import_busy')
      if (planHash !== null && head.products.values().some((product) => hasMoved(tenantId, product))) fail('plan_outdated')
      return set(tables, head, { state: 'applying', planIsBinding: planHash !== null, startedAt: tables.now() })
    },
    stop: async (tenantId, id) => go(tenantId, id, ['applying'], ['stopping', 'stopped'], () => ({ state: 'stopping' })),
    resume: async (tenantId, id) =>
      go(tenantId, id, ['stopped', 'stopping'], ['applying'], (head) => {
        head.faultsSeen = faults(head)
        return { state: 'applying' }
      }),
    undo: async (tenantId, id, force) =>
      go(
        tenantId,
        id,
        force ? ['stopped', 'finished', 'undone'] : ['stopped', 'finished'],
        force ? ['undoing'] : ['undoing', 'undone'],
        (head) => {
          if (force) {
            for (const { firstLine, state } of head.products.values()) {
              if (state === 'changed_since') putProduct(head, firstLine, { state: 'settled' })
            }
          }
          return { state: 'undoing', undoForce: force }
        },
      ),
  }
}

const faults = ({ rows }: Head) => [...rows.values()].filter(({ state }) => state === 'invalid' || state === 'failed').length

function products(tables: Tables, heads: Map<ImportId, Head>): Pick<Imports, 'prepare' | 'refuse' | 'settle' | 'restore'> {
  const rowOf = (head: Head, id: ProductId | null) => (id ? findProduct(tables, head.given.tenantId, { kind: 'id', id }) : null)
  return {
    async prepare(id, { firstLine, productId, version, plan, ingestIds }) {
      const head = heads.get(id)
      const product = head?.products.get(firstLine)
      if (!head || product?.state !== 'planned') return
      const row = rowOf(head, productId)
      if (row?.product.version !== version) throw new SluiceError('plan_outdated')
      refuseOwned(row.product.owner)
      const isChanged = plan.changes.length + plan.positions.length > 0
      const isIdle = !isChanged && plan.placements.length + plan.detach.length === 0
      if (isChanged) writeImages(tables, row, changed(row, plan, tables.now()))
      const preparedVersion = version + Number(isChanged)
      putProduct(head, firstLine, {
        state: isIdle ? 'settled' : 'prepared',
        productId,
        before: isIdle ? null : row,
        preparedVersion,
      })
      writeRows(head, plan.rows, PREPARED)
      for (const { line, placement } of plan.placements) {
        put(head, line, { placement, productId, ingestId: ingestIds.get(line) ?? null })
      }
      keepDetaching(head, firstLine, plan)
    },
    async refuse(id, firstLine, problem) {
      const head = heads.get(id)
      const product = head?.products.get(firstLine)
      if (!head || (product?.state !== 'planned' && product?.state !== 'parked')) return
      putProduct(head, firstLine, { state: 'settled' })
      for (const { line, state } of rowsOf(head, firstLine)) {
        if (state === 'pending' || state === 'parked') put(head, line, { state: 'failed', problem })
      }
    },
    async settle(id, limit) {
      const head = heads.get(id)
      const isOver = ({ firstLine }: Product) =>
        rowsOf(head as Head, firstLine).every(({ line, state }) => line < 0 || (state !== 'pending' && state !== 'running'))
      const ready = [...(head?.products.values() ?? [])]
        .filter((product) => product.state === 'prepared' && isOver(product))
        .slice(0, limit)
      for (const { firstLine, productId } of ready) {
        if (!head) break
        const rows = rowsOf(head, firstLine)
        const row = rowOf(head, productId)
        const gallery = row && row.product.owner === 'store' && finished(row, rows, tables.now())
        if (row && gallery) writeImages(tables, row, gallery)
        putProduct(head, firstLine, { state: 'settled', settledVersions: gallery ? 1 : 0 })
        const hasFailed = rows.some(({ line, state }) => line > 0 && state === 'failed')
        const problem: Problem | null = hasFailed ? { code: 'row_invalid', detail: 'Another row has failed.' } : null
        for (const { line } of rows) if (line < 0) put(head, line, { state: hasFailed ? 'skipped' : 'done', problem })
      }
      return ready.length
    },
    async restore(id, limit) {
      const head = heads.get(id)
      if (!head) return 0
      const open = [...head.products.values()]
        .filter(({ state, before }) => (state === 'prepared' || state === 'settled') && before !== null)
        .slice(0, limit)
      for (const product of open) putProduct(head, product.firstLine, restored(tables, head, product))
      return open.length
    },
  }
}

function changed(row: ProductRow, { changes, positions }: ProductPlan, now: Date): Gallery {
  let gallery: Gallery = row
  for (const { imageId, change } of changes) gallery = changeImage({ ...row, ...gallery }, imageId, change, now)
  const keys = new Map(positions.map(({ imageId, position }) => [imageId, position]))
  return { ...gallery, images: gallery.images.map((image) => at(keys.get(image.id) ?? image.position, image)) }
}

function keepDetaching(head: Head, firstLine: number, { detach }: ProductPlan): void {
  const known = rowsOf(head, firstLine).filter(({ line }) => line < 0)
  for (const { line, imageId } of known) if (imageId === null || !detach.includes(imageId)) head.rows.delete(line)
  const product = head.products.get(firstLine)
  for (const imageId of detach) {
    if (!product || known.some((row) => row.imageId === imageId)) continue
    const line = Math.min(0, ...head.rows.keys()) - 1
    head.rows.set(line, detaching(line, product, imageId))
  }
}

/** Null when nothing is left to do. */
function finished(row: ProductRow, rows: readonly Row[], now: Date): Gallery | null {
  const hasFailed = rows.some(({ line, state }) => line > 0 && state === 'failed')
  const gone = new Set(hasFailed ? [] : rows.filter(({ line }) => line < 0).map(({ imageId }) => imageId))
  let gallery: Gallery = { ...row, images: row.images.filter(({ id }) => !gone.has(id)) }
  let isChanged = gallery.images.length < row.images.length
  for (const { state, action, imageId, wishes } of rows) {
    const isNew = state === 'done' && (action === 'attach' || action === 'create')
    if (!isNew || imageId === null || !gallery.images.some(({ id }) => id === imageId)) continue
    for (const wish of wishes.stores ?? []) {
      gallery = changeImage({ ...row, ...gallery }, imageId, wish, now)
      isChanged = true
    }
  }
  const [first] = gallery.images
  const hasLostMain = rows.some(({ state, placement }) => state === 'failed' && placement?.main === true)
  if (hasLostMain && first && mainOf(gallery.images) === null) {
    return { ...gallery, images: giveRoles(gallery.images, first.id, [MAIN_ROLE]) }
  }
  return isChanged ? gallery : null
}

function restored(
  tables: Tables,
  head: Head,
  { firstLine, productId, before, preparedVersion, settledVersions }: Product,
): Partial<Product> {
  const row = productId && findProduct(tables, head.given.tenantId, { kind: 'id', id: productId })
  if (row && row.product.owner === 'organization') {
    return { state: 'changed_since', problem: { code: 'owned_by_organization', detail: '' } }
  }
  if (!row || !before) return { state: 'unrestorable', problem: { code: 'product_unknown', detail: '' } }
  const attached = rowsOf(head, firstLine).flatMap(({ state, action, imageId }) =>
    state === 'done' && (action === 'attach' || action === 'create') && imageId ? [imageId] : [],
  )
  const { version } = row.product
  const expected = preparedVersion + attached.length + settledVersions
  if (version !== expected && !head.given.undoForce) {
    return { state: 'changed_since', problem: { code: 'version_mismatched', detail: '', details: { version, expected } } }
  }
  const olds = new Set(before.images.map(({ id }) => id))
  const back = before.images.filter(({ file }) => tables.files.has(file.id))
  const roles = before.images.flatMap((image) => image.roles)
  const others = row.images.filter(({ id }) => !olds.has(id) && !attached.includes(id)).map((image) => takeRoles(image, roles))
  writeImages(tables, row, { images: [...back, ...others], storeRoles: before.storeRoles })
  const isWhole = back.length === before.images.length
  return { state: isWhole ? 'restored' : 'unrestorable', problem: isWhole ? null : { code: 'file_unknown', detail: '' } }
}

function work(tables: Tables, heads: Map<ImportId, Head>): Work {
  const nowMs = () => tables.now().getTime()
  return {
    async claim(leaseMs) {
      const due = [...heads.values()]
        .filter(
          ({ given, claimedUntilMs }) => ['applying', 'stopping', 'undoing'].includes(given.state) && claimedUntilMs <= nowMs(),
        )
        .sort((a, b) => a.claimedUntilMs - b.claimedUntilMs)[0]
      if (!due) return null
      due.claimedUntilMs = nowMs() + leaseMs
      return due.given
    },
    async release(id, restMs) {
      const head = heads.get(id)
      if (head && head.claimedUntilMs > 0) head.claimedUntilMs = nowMs() + restMs
    },
    async collect(id) {
      const head = heads.get(id)
      const over = [...(head?.rows.values() ?? [])].flatMap((row) => {
        const ingest = row.state === 'running' && row.ingestId ? tables.ingests.get(row.ingestId) : undefined
        return ingest && isTerminal(ingest.state) ? [{ row, ingest }] : []
      })
      for (const { row, ingest } of over) {
        const state = ingest.state === 'committed' ? 'done' : 'failed'
        if (head) put(head, row.line, { state, imageId: ingest.result?.imageId ?? null, problem: ingest.problem })
      }
      return over.length
    },
    async unpark(id, limit) {
      const head = heads.get(id)
      if (!head) return 0
      const { tenantId, startedAt, parkMs } = head.given
      const isLate = startedAt !== null && startedAt.getTime() + parkMs < nowMs()
      let rows = 0
      for (const { firstLine, product, state } of [...head.products.values()].slice(0, limit)) {
        const found = state === 'parked' ? findProduct(tables, tenantId, product) : null
        if (state !== 'parked' || (!found && !isLate)) continue
        putProduct(head, firstLine, {
          state: found ? 'planned' : 'settled',
          productId: found?.product.id ?? null,
          plannedVersion: -1,
        })
        const problem: Problem | null = found ? null : { code: 'park_expired', detail: 'The product did not appear in time.' }
        for (const row of rowsOf(head, firstLine)) {
          if (row.state !== 'parked') continue
          put(head, row.line, { state: found ? 'pending' : 'failed', problem })
          rows += 1
        }
      }
      return rows
    },
    async feed(id, inFlightMax) {
      const head = heads.get(id)
      if (!head) return { rows: [], room: 0 }
      const all = () => [...head.rows.values()].sort(inOrder)
      const room = inFlightMax - all().filter(({ state }) => state === 'running').length
      const ready = all().filter(({ state, placement }) => state === 'pending' && placement !== null)
      for (const { line } of ready.slice(0, Math.max(0, room))) put(head, line, { state: 'running' })
      const rows = all().flatMap(({ line, state, productId, ingestId, source, placement }) =>
        state === 'running' && productId && ingestId && source && placement && !tables.ingests.has(ingestId)
          ? [{ line, productId, ingestId, source, placement }]
          : [],
      )
      return { rows, room: Math.max(0, inFlightMax - all().filter(({ state }) => state === 'running').length) }
    },
    async stagedInUse(keys) {
      const needed = new Set<string>()
      for (const { rows } of heads.values()) {
        for (const { state, source } of rows.values()) {
          if (source?.kind === 'staged' && ['pending', 'parked', 'running'].includes(state)) needed.add(source.key)
        }
      }
      return new Set(keys.filter((key) => needed.has(key)))
    },
    async failRow(id, line, problem) {
      const head = heads.get(id)
      if (head && ['pending', 'running'].includes(head.rows.get(line)?.state ?? '')) put(head, line, { state: 'failed', problem })
    },
    async advance(id) {
      const head = heads.get(id)
      if (!head) return 'undone'
      const state = nextState(head)
      if (state !== head.given.state) set(tables, head, { state, ...(state === 'finished' && { finishedAt: tables.now() }) })
      return state
    },
    async forgetIdle(idleMs, keptMs, limit) {
      const idle = [...heads.values()].filter(({ given: { state, updatedAt } }) => {
        const ms = state === 'open' || state === 'planned' ? idleMs : keptMs
        return !['applying', 'stopping', 'undoing'].includes(state) && updatedAt.getTime() < nowMs() - ms
      })
      for (const { given } of idle.slice(0, limit)) heads.delete(given.id)
      return Math.min(limit, idle.length)
    },
  }
}

function nextState(head: Head): Import['state'] {
  const { state, onError } = head.given
  const has = (...states: readonly string[]) => head.products.values().some((product) => states.includes(product.state))
  if (state === 'applying') {
    if (onError === 'stop' && faults(head) > head.faultsSeen) return 'stopping'
    return has('planned', 'parked', 'prepared') ? state : 'finished'
  }
  if (state === 'stopping') return head.rows.values().some((row) => row.state === 'running') ? state : 'stopped'
  const isOpen = ({ state, before }: Product) => (state === 'prepared' || state === 'settled') && before !== null
  return state === 'undoing' && !head.products.values().some(isOpen) ? 'undone' : state
}
