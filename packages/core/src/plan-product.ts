/** What the rows of one product come to: a function of the rows and of what the product shows, and of nothing else. */
import { type ErrorCode, ERRORS, type Problem } from './errors.ts'
import type { ImageId } from './ids.ts'
import type { ImportMode, ImportRow, PlannedRow, ProductPlan, RowAction, RowWishes, StoreWish } from './import.ts'
import type { Placement } from './ingest.ts'
import type { ImageChange } from './ports.ts'
import { type ImageList, MAIN_ROLE, type ProductImage } from './product-image.ts'

export interface PlannedState extends Pick<ImageList, 'images' | 'storeRoles'> {
  readonly acceptsImages: boolean
  /** False: it will be created. */
  readonly exists: boolean
  /** Where images came from that were fetched. */
  readonly urls: ReadonlyMap<ImageId, string>
}

export interface PlanRules {
  readonly mode: ImportMode
  readonly imagesPerProductMax: number
  /** False where something about the product's rows is wrong: then nothing is detached. */
  readonly mayDetach: boolean
}

type Row = Pick<ImportRow, 'line' | 'source' | 'wishes'>

/** A row with the image that it is about; null: a new one. */
interface Entry {
  readonly row: Row
  readonly image: ProductImage | null
}

/**
 * The image of a row is known by its digest: of equal ones, the n-th row means the n-th image; one that is to be fetched, by its
 * address. What is planned is so that the same rows, planned again when it has been done, are all `skip`.
 */
export function planProduct(rows: readonly Row[], state: PlannedState, rules: PlanRules): ProductPlan {
  const refused = conflictsIn(rows)
  const matched = match(
    rows.filter(({ line }) => !refused.has(line)),
    state,
    rules.mode,
  )
  refuseTooMany(matched, state, rules, refused)
  const entries = matched.filter(({ row }) => !refused.has(row.line))

  const named = new Set(matched.flatMap(({ image }) => (image ? [image.id] : [])))
  const detaches = rules.mode === 'sync' && rules.mayDetach && refused.size === 0
  const gone = detaches ? state.images.filter(({ id }) => !named.has(id)) : []
  const goes = new Set(gone)
  const kept = state.images.filter((image) => !goes.has(image))

  const order = arrange(entries, kept, rules.mode)
  const keys = sortKeys(order, kept, gone)
  const moved = movedImages(order, kept)
  const main = chooseMain(entries, order, state, gone)
  const roles = rolesAfter(entries, kept, main)

  const plan = { rows: [] as PlannedRow[], changes: [] as { imageId: ImageId; change: ImageChange }[] }
  const placements: { line: number; placement: Placement }[] = []
  let isCreated = state.exists
  const imageOf = new Map(matched.map(({ row, image }) => [row, image]))
  for (const row of rows) {
    const image = imageOf.get(row) ?? null
    const problem = refused.get(row.line) ?? null
    if (problem) {
      plan.rows.push({ line: row.line, action: 'refuse', changes: [], imageId: null, problem })
    } else if (image === null) {
      placements.push({ line: row.line, placement: placementOf(row.wishes, keys.get(row.line) ?? 1, main === row) })
      plan.rows.push({ line: row.line, action: isCreated ? 'attach' : 'create', changes: [], imageId: null, problem })
      isCreated = true
    } else {
      const changes = changesTo(row, image, main === row, roles, state)
      plan.changes.push(...changes.map(({ change }) => ({ imageId: image.id, change })))
      const fields = changes.flatMap(({ fields }) => fields)
      const isMoved = moved.has(image.id)
      const action: RowAction = fields.length > 0 ? 'update' : isMoved ? 'reorder' : 'skip'
      plan.rows.push({
        line: row.line,
        action,
        changes: [...fields, ...(isMoved ? ['position'] : [])],
        imageId: image.id,
        problem,
      })
    }
  }
  const promoted = main !== null && 'id' in main && !named.has(main.id) ? main : null
  if (promoted) plan.changes.push({ imageId: promoted.id, change: { main: true } })
  const positions = state.images.flatMap((image) => {
    const position = keys.get(image.id)
    return position === undefined || position === image.position ? [] : [{ imageId: image.id, position }]
  })
  return { ...plan, placements, positions, detach: gone.map(({ id }) => id) }
}

// ── Which image a row means ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * Where a row will stand does not depend on which of some equal images it means; so it means the one that stands there already, and
 * else the n-th row the n-th image.
 */
function match(rows: readonly Row[], state: PlannedState, mode: ImportMode): readonly Entry[] {
  const some = take(rows, state, new Map())
  const named = new Set(some.values())
  const kept = mode === 'sync' ? state.images.filter((image) => named.has(image)) : state.images
  const order = arrange(entriesOf(rows, some), kept, mode)
  const places = new Map(order.map((item, index) => [item, index]))
  const standing = new Map<Row, ProductImage>()
  for (const row of rows) {
    const isPlaced = mode === 'sync' || row.wishes.position !== undefined
    const image = isPlaced ? state.images[places.get(some.get(row) ?? row) ?? -1] : undefined
    if (image && isOf(row, image, state)) standing.set(row, image)
  }
  return entriesOf(rows, take(rows, state, standing))
}

function entriesOf(rows: readonly Row[], images: ReadonlyMap<Row, ProductImage>): readonly Entry[] {
  return rows.map((row) => ({ row, image: images.get(row) ?? null }))
}

/** An image that was fetched is known by its address, and is not taken for a row that brings the same bytes while there is another. */
function take(
  rows: readonly Row[],
  { images, urls }: PlannedState,
  standing: ReadonlyMap<Row, ProductImage>,
): ReadonlyMap<Row, ProductImage> {
  const free = new Map<string, ProductImage[]>()
  const offer = (key: string, image: ProductImage) => {
    const offered = free.get(key)
    if (offered) offered.push(image)
    else free.set(key, [image])
  }
  for (const image of images) {
    offer(image.file.facts.digest, image)
    const url = urls.get(image.id)
    if (url !== undefined) offer(`url ${url}`, image)
  }
  const taken = new Map(standing)
  const used = new Set(standing.values())
  const takeOne = (row: Row, key: string | null) => {
    const image = key === null || taken.has(row) ? undefined : free.get(key)?.find((other) => !used.has(other))
    if (!image) return
    used.add(image)
    taken.set(row, image)
  }
  for (const row of rows) takeOne(row, row.source?.kind === 'url' ? `url ${row.source.url}` : null)
  for (const row of rows) takeOne(row, digestOf(row))
  return taken
}

function isOf(row: Row, image: ProductImage, { urls }: PlannedState): boolean {
  if (row.source?.kind === 'url') return urls.get(image.id) === row.source.url
  return image.file.facts.digest === digestOf(row)
}

function digestOf({ source }: Row): string | null {
  return source === null || source.kind === 'url' ? null : source.digest
}

// ── What cannot be ──────────────────────────────────────────────────────────────────────────────────────────────────

function problem(code: ErrorCode, detail: string = ERRORS[code].title): Problem {
  return { code, detail }
}

/** The first row that asks for a role has it; a later one contradicts it, and is refused as a whole. */
function conflictsIn(rows: readonly Row[]): Map<number, Problem> {
  const refused = new Map<number, Problem>()
  const claimed = new Map<string, number>()
  for (const { line, wishes } of rows) {
    const claims = claimsOf(wishes)
    const taken = claims.find((claim) => claimed.has(claim))
    if (taken === undefined) {
      for (const claim of claims) claimed.set(claim, line)
      continue
    }
    const [role, store] = taken.split('@')
    const where = store === undefined ? '' : ` in store view ${store}`
    const detail = `Line ${claimed.get(taken)} gives the role ${role} to another image of the product${where}.`
    refused.set(line, problem('row_conflicted', detail))
  }
  return refused
}

function claimsOf({ roles = [], main, stores = [] }: RowWishes): readonly string[] {
  const everywhere = new Set([...roles, ...(main === true ? [MAIN_ROLE] : [])])
  return [...everywhere, ...stores.flatMap(({ store, roles = [] }) => roles.map((role) => `${role}@${store}`))]
}

function refuseTooMany(
  entries: readonly Entry[],
  { images, acceptsImages }: PlannedState,
  { imagesPerProductMax }: PlanRules,
  refused: Map<number, Problem>,
): void {
  let count = images.length
  for (const { row, image } of entries) {
    if (image !== null || refused.has(row.line)) continue
    if (!acceptsImages) refused.set(row.line, problem('images_unsupported'))
    else if (count >= imagesPerProductMax) {
      refused.set(row.line, problem('images_exceeded', `A product may have ${imagesPerProductMax} images.`))
    } else count += 1
  }
}

// ── Order ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An image that is there, or the row of one that is new. */
type Item = ProductImage | Row

/**
 * Images whose rows name no position stay in their order, and new ones come after them; in a sync they come in the order of the lines.
 * The others are put in at their ranks, from the front on: so each stands where its row says, however often this is done.
 */
function arrange(entries: readonly Entry[], kept: readonly ProductImage[], mode: ImportMode): readonly Item[] {
  const placed = entries.filter(({ row }) => row.wishes.position !== undefined)
  const loose = entries.filter(({ row }) => row.wishes.position === undefined)
  const isPlaced = new Set(placed.map(({ image }) => image))
  const isLoose = new Set(loose.map(({ image }) => image))
  const stay = kept.filter((image) => !isPlaced.has(image))
  const fresh = loose.filter(({ image }) => image === null).map(({ row }) => row)
  const order: Item[] =
    mode === 'add'
      ? [...stay, ...fresh]
      : [...stay.filter((image) => !isLoose.has(image)), ...loose.map(({ row, image }) => image ?? row)]
  let next = 0
  const rankOf = ({ row }: Entry) => row.wishes.position ?? 0
  for (const entry of placed.toSorted((a, b) => rankOf(a) - rankOf(b) || a.row.line - b.row.line)) {
    const index = Math.min(Math.max(rankOf(entry) - 1, next), order.length)
    order.splice(index, 0, entry.image ?? entry.row)
    next = index + 1
  }
  return order
}

function isImage(item: Item): item is ProductImage {
  return 'id' in item
}

/** Whether new images only follow, and what is there may keep its sort keys. */
function onlyGrows(order: readonly Item[], kept: readonly ProductImage[]): boolean {
  return kept.every((image, index) => order[index] === image)
}

/** By the id of an image, or the line of a row. What will be detached stands behind all others until then. */
function sortKeys(
  order: readonly Item[],
  kept: readonly ProductImage[],
  gone: readonly ProductImage[],
): ReadonlyMap<ImageId | number, number> {
  const keyOf = (item: Item) => (isImage(item) ? item.id : item.line)
  if (onlyGrows(order, kept)) {
    const last = Math.max(0, ...[...kept, ...gone].map(({ position }) => position))
    return new Map(order.slice(kept.length).map((item, index) => [keyOf(item), last + 1 + index]))
  }
  return new Map([...order, ...gone].map((item, index) => [keyOf(item), index + 1]))
}

/** Those whose place among what was there before is another one. */
function movedImages(order: readonly Item[], kept: readonly ProductImage[]): ReadonlySet<ImageId> {
  const after = order.filter(isImage)
  return new Set(kept.flatMap(({ id }, index) => (after[index]?.id === id ? [] : [id])))
}

// ── Roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const wantsMain = ({ main, roles }: RowWishes) => main === true || (roles ?? []).includes(MAIN_ROLE)

/**
 * The row that becomes the main image, or an image that no row names. As for single images: who asks for it, or else who has it, or
 * the first new one where nobody has it; and when the main image goes, the first that stays. Null: nobody becomes it.
 */
function chooseMain(
  entries: readonly Entry[],
  order: readonly Item[],
  { images }: PlannedState,
  gone: readonly ProductImage[],
): Row | ProductImage | null {
  const asked = entries.find(({ row }) => wantsMain(row.wishes))
  if (asked) return asked.row
  const rowOf = new Map<Item, Row>(entries.map(({ row, image }) => [image ?? row, row]))
  const may = (item: Item) => rowOf.get(item)?.wishes.main !== false
  const current = images.find(({ roles }) => roles.includes(MAIN_ROLE))
  if (current && !gone.includes(current) && may(current)) return null
  const isLost = current !== undefined && gone.includes(current)
  const heir = order.find((item) => may(item) && (isLost || !isImage(item)))
  return heir === undefined ? null : (rowOf.get(heir) ?? heir)
}

/** What everybody's roles will be everywhere, by the id of an image or the line of a row. */
function rolesAfter(
  entries: readonly Entry[],
  kept: readonly ProductImage[],
  main: Row | ProductImage | null,
): ReadonlyMap<ImageId | number, ReadonlySet<string>> {
  const keyOf = ({ row, image }: Entry) => image?.id ?? row.line
  const after = new Map<ImageId | number, Set<string>>(kept.map(({ id, roles }) => [id, new Set(roles)]))
  const give = (to: ImageId | number, role: string) => {
    for (const roles of after.values()) roles.delete(role)
    after.get(to)?.add(role)
  }
  for (const entry of entries) {
    const { roles, main } = entry.row.wishes
    const own = after.get(keyOf(entry)) ?? new Set()
    if (roles !== undefined) for (const role of own) if (role !== MAIN_ROLE) own.delete(role)
    if (main === false) own.delete(MAIN_ROLE)
    after.set(keyOf(entry), own)
  }
  for (const entry of entries) for (const role of entry.row.wishes.roles ?? []) give(keyOf(entry), role)
  if (main !== null) {
    const entry = entries.find(({ row }) => row === main)
    give(isImage(main) ? main.id : entry ? keyOf(entry) : main.line, MAIN_ROLE)
  }
  return after
}

// ── What changes ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Change {
  readonly fields: readonly string[]
  readonly change: ImageChange
}

function changesTo(
  { wishes }: Row,
  image: ProductImage,
  isMain: boolean,
  after: ReadonlyMap<ImageId | number, ReadonlySet<string>>,
  state: PlannedState,
): readonly Change[] {
  const { label, excluded, stores = [] } = wishes
  const rest = (roles: Iterable<string>) => [...roles].filter((role) => role !== MAIN_ROLE)
  const hasMain = image.roles.includes(MAIN_ROLE)
  const change: ImageChange = {
    ...(label !== undefined && label !== image.label && { label }),
    ...(excluded !== undefined && excluded !== image.excluded && { excluded }),
    ...(wishes.roles !== undefined && !isSame(rest(wishes.roles), rest(image.roles)) && { roles: rest(wishes.roles) }),
    ...(isMain && !hasMain && { main: true }),
    ...(wishes.main === false && hasMain && { main: false }),
  }
  const everywhere = Object.keys(change).length > 0 ? [{ fields: Object.keys(change), change }] : []
  const shown = after.get(image.id) ?? new Set()
  return [...everywhere, ...stores.flatMap((wish) => changeInStore(wish, image, shown, state))]
}

function changeInStore(
  { store, ...wish }: StoreWish,
  image: ProductImage,
  everywhere: ReadonlySet<string>,
  { storeRoles }: PlannedState,
): readonly Change[] {
  const own = image.storeValues.find((values) => values.store === store)
  const decided = storeRoles.filter((line) => line.store === store)
  const shown = [
    ...[...everywhere].filter((role) => !decided.some((line) => line.role === role)),
    ...decided.filter(({ imageId }) => imageId === image.id).map(({ role }) => role),
  ]
  const change = {
    ...(wish.label !== undefined && wish.label !== own?.label && { label: wish.label }),
    ...(wish.position !== undefined && wish.position !== own?.position && { position: wish.position }),
    ...(wish.excluded !== undefined && wish.excluded !== own?.excluded && { excluded: wish.excluded }),
    ...(wish.roles !== undefined && !isSame(wish.roles, shown) && { roles: wish.roles }),
  }
  return Object.keys(change).length > 0 ? [{ fields: [`stores.${store}`], change: { ...change, store } }] : []
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).size === new Set(b).size && a.every((role) => b.includes(role))
}

/** With a sort key and not a rank, so that the images of a product may arrive in any order. Who is the main one is decided here. */
function placementOf({ label, roles, excluded, name }: RowWishes, position: number, isMain: boolean): Placement {
  return {
    name: name ?? null,
    label: label ?? '',
    excluded: excluded ?? false,
    rank: null,
    position,
    roles: [...(roles ?? []).filter((role) => role !== MAIN_ROLE), ...(isMain ? [MAIN_ROLE] : [])],
    main: isMain,
    replacesMain: null,
    store: null,
    slot: null,
    oncePerFile: false,
  }
}
