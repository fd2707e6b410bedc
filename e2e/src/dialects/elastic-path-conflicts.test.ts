/** Many at once on one product of Elastic Path: each is done or told, and what a 204 has written is what is read. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Answer, Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { openShop, query, type Shop, whileLocked } from './elastic-path.ts'

const WRITERS = 32
const CONFLICT = { errors: [{ status: '409', title: 'Conflict', detail: 'write conflict detected' }] }

let stack: Stack
let shop: Shop
let product: string
/** Enough for all. */
let files: readonly string[]

beforeAll(async () => {
  stack = await openStack('embedded')
  shop = openShop(stack)
  files = await Promise.all(Array.from({ length: WRITERS }, () => shop.newFile()))
})
afterAll(async () => stack?.[Symbol.asyncDispose]())
beforeEach(async () => {
  product = await shop.newProduct()
})

const setMain = (file: string, method = 'POST') =>
  shop.call(method, `/pcm/products/${product}/relationships/main_image`, { data: { type: 'file', id: file } })
const changeFiles = (method: string, ...ids: readonly string[]) =>
  shop.call(method, `/pcm/products/${product}/relationships/files`, { data: ids.map((id) => ({ type: 'file', id })) })

/** Says how many were done, when all were done or told. */
function expectDoneOrTold(answers: readonly Answer[]): readonly boolean[] {
  for (const { status, body } of answers) expect([status, body]).toEqual(status === 204 ? [204, body] : [409, CONFLICT])
  return answers.map(({ status }) => status === 204)
}

/** The product as our own API knows it, whole: one main image at most, each name and each rank once. */
async function wholeProduct(): Promise<readonly Json[]> {
  const { images } = (await shop.call('GET', `/v1/products/${product}/images`)).body as { images: readonly Json[] }
  expect(images.filter((image) => image['main']).length).toBeLessThanOrEqual(1)
  expect(images.map((image) => image['position'])).toEqual(images.map((_, index) => index + 1))
  expect(new Set(images.map((image) => image['name'])).size).toBe(images.length)
  return images
}

test('32 main images of a product without one: one is it, and only those that were done hang on the product', async () => {
  const done = expectDoneOrTold(await Promise.all(files.map((file) => setMain(file))))
  const written = files.filter((_, index) => done[index])
  expect(written.length).toBeGreaterThan(0)
  expect(written).toContain(await shop.mainOf(product))
  const images = await wholeProduct()
  expect(images.map((image): string => image['file'].id).toSorted()).toEqual(written.toSorted())
  expect(images.filter((image) => image['main']).map((image) => image['file'].id)).toEqual([await shop.mainOf(product)])
})

test('32 times the same file: it is the main image, once', async () => {
  const [file = ''] = files
  expectDoneOrTold(await Promise.all(files.map(() => setMain(file))))
  expect([await shop.mainOf(product), (await wholeProduct()).length]).toEqual([file, 1])
})

test('32 of the files that hang there already: nothing is added, and one is the main image', async () => {
  expect((await changeFiles('POST', ...files)).status).toBe(204)
  const answers = await Promise.all(files.map((file, n) => setMain(file, n % 2 ? 'PUT' : 'POST')))
  const done = expectDoneOrTold(answers)
  expect(files.filter((_, index) => done[index])).toContain(await shop.mainOf(product))
  expect(await shop.filesOf(product)).toEqual(files)
  await wholeProduct()
})

test('who is told and tries again gets through', async () => {
  const untilDone = async (file: string) => {
    for (let attempt = 1; attempt <= WRITERS; attempt++) if ((await setMain(file)).status === 204) return attempt
    throw new Error('never')
  }
  const contenders = files.slice(0, 8)
  const attempts = await Promise.all(contenders.map(untilDone))
  expect(attempts.length).toBe(8)
  expect(contenders).toContain(await shop.mainOf(product))
  expect((await shop.filesOf(product)).toSorted()).toEqual(contenders.toSorted())
})

test('files come and go beside 32 main images: those that stay are those that were said to stay', async () => {
  const before = await Promise.all(Array.from({ length: 8 }, () => shop.newFile()))
  await changeFiles('POST', ...before)
  const [kept, removed] = [before.slice(0, 4), before.slice(4)]
  const added = await Promise.all(Array.from({ length: 8 }, () => shop.newFile()))
  const [mains, others] = await Promise.all([
    Promise.all(files.map((file) => setMain(file))),
    Promise.all([...removed.map((file) => changeFiles('DELETE', file)), ...added.map((file) => changeFiles('POST', file))]),
  ])
  const done = expectDoneOrTold(mains)
  // Neither hangs on what the others do: adding and taking off always happen.
  expect(others.map(({ status }) => status)).toEqual(others.map(() => 204))
  const there = [...kept, ...added, ...files.filter((_, index) => done[index])]
  expect((await shop.filesOf(product)).toSorted()).toEqual(there.toSorted())
  expect([null, ...there]).toContain(await shop.mainOf(product))
  await wholeProduct()
})

test('sets of files that replace each other: who was done had the product alone, and who was told took nothing off', async () => {
  const sets = Array.from({ length: 4 }, (_, n) => files.slice(n * 3, n * 3 + 3))
  const done = expectDoneOrTold(await Promise.all(sets.map((set) => changeFiles('PUT', ...set))))
  const there = await shop.filesOf(product)
  const whole = sets.filter((set) => set.every((file) => there.includes(file)))
  // The last one that was done is there, with what others have added since; without any, all have only added.
  const winners = sets.filter((_, index) => done[index])
  expect(winners.length === 0 ? whole : whole.filter((set) => winners.includes(set))).not.toEqual([])
  expect((await changeFiles('PUT', ...(sets[0] ?? []))).status).toBe(204)
  expect(await shop.filesOf(product)).toEqual(sets[0])
})

test('files are taken away altogether while they become main images: nobody shows what is not there', async () => {
  const doomed = await Promise.all(Array.from({ length: 8 }, () => shop.newFile()))
  const [mains, removals] = await Promise.all([
    Promise.all(doomed.map((file) => setMain(file))),
    Promise.all(doomed.map((file) => shop.call('DELETE', `/v2/files/${file}`))),
  ])
  for (const { status } of mains) expect([204, 409, 422]).toContain(status)
  expect(removals.map(({ status }) => status)).toEqual(doomed.map(() => 204))
  expect([await shop.mainOf(product), await shop.filesOf(product), await wholeProduct()]).toEqual([null, [], []])
})

test('a reader sees a main image and its file in the list of files, whatever happens meanwhile', async () => {
  const seen: Json[] = []
  const writing = files.slice(0, 16).map(async (file) => {
    const answer = await setMain(file)
    seen.push((await shop.call('GET', `/pcm/products/${product}?include=main_image,files`)).body['data'].relationships)
    return answer
  })
  expectDoneOrTold(await Promise.all(writing))
  const torn = seen.filter(({ main_image, files }) => {
    const ids: readonly string[] = files.data.map(({ id }: Json) => id)
    return !ids.includes(main_image.data?.id) || new Set(ids).size < ids.length
  })
  expect([seen.length, torn]).toEqual([16, []])
})

test('a main image whose answer was lost, and that was taken off since, is set when it is asked for again', async () => {
  const [file = ''] = files
  const left = new AbortController()
  const request = {
    signal: left.signal,
    body: JSON.stringify({ data: { type: 'file', id: file } }),
    headers: { 'content-type': 'application/json' },
  }
  const path = `/pcm/products/${product}/relationships/main_image`
  const ask = () => [stack.api.send('POST', path, request).catch(() => 'left')]
  expect(await whileLocked<unknown>(stack, product, 1, ask, () => left.abort())).toEqual(['left'])
  await expect.poll(() => shop.mainOf(product), { timeout: 20_000 }).toBe(file)
  const isUnanswered = () =>
    query(stack, (sql) => sql`select 1 from ingests where product_id = ${product} and answer_held_until <= clock_timestamp()`)
  await expect.poll(isUnanswered, { timeout: 20_000 }).toHaveLength(1)

  expect((await changeFiles('DELETE', file)).status).toBe(204)
  expect((await setMain(file)).status).toBe(204)
  expect(await shop.mainOf(product)).toBe(file)
})

test('a main image that was promised, and was taken off since, is set when it is asked for again', async () => {
  const [file = ''] = files
  const path = `/pcm/products/${product}/relationships/main_image`
  const ask = () => shop.call('POST', path, { data: { type: 'file', id: file } }, { prefer: 'respond-async' })
  const ingests = new Set<string>()
  for (let n = 0; n < 2; n++) {
    const { status, headers } = await ask()
    const ingest = headers.get('location') ?? ''
    expect([status, await stack.api.finished(ingest)]).toMatchObject([202, { state: 'committed' }])
    ingests.add(ingest)
    expect(await shop.mainOf(product)).toBe(file)
    // No answer is waited for any more: it was the promise.
    const isHeld = () =>
      query(stack, (sql) => sql`select 1 from ingests where product_id = ${product} and answer_held_until is not null`)
    await expect.poll(isHeld, { timeout: 20_000 }).toEqual([])
    await changeFiles('DELETE', file)
  }
  expect(ingests.size).toBe(2)
})

test('32 times the same new file for the relationship: the product has it once', async () => {
  const [file = ''] = files
  expectDoneOrTold(await Promise.all(files.map(() => changeFiles('POST', file))))
  expect((await wholeProduct()).map((image): string => image['file'].id)).toEqual([file])
})
