/** One write, any API: what came in through one of them is there, and the same, for the others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openStack, type Stack } from '../stack.ts'
import {
  CLIENTS,
  describeCatalogue,
  LABELLERS,
  newSharedProduct,
  type Seen,
  sha256Of,
  type SharedProduct,
  type Wish,
} from './clients.ts'

const FORMATS = ['jpeg', 'png', 'webp'] as const
let stack: Stack

beforeAll(async () => {
  stack = await openStack('embedded')
  await describeCatalogue(stack)
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

/** Three images, of which the second is to be the main one. */
async function wishesOf(writer: number): Promise<Wish[]> {
  return Promise.all(
    FORMATS.map(async (format, index) => ({
      bytes: await drawSample({ seed: 100 * writer + index, width: 60 + index, height: 40, format }),
      type: `image/${format}`,
      fileName: `view ${writer}-${index}.${format === 'jpeg' ? 'jpg' : format}`,
      label: `Ansicht «${index}» & <${writer}> 日本`,
      main: index === 1,
    })),
  )
}

describe.each(CLIENTS.map((client, index) => [client.name, index, client] as const))(
  'what %s has written',
  (name, index, writer) => {
    let product: SharedProduct
    let wishes: Wish[]
    beforeAll(async () => {
      product = await newSharedProduct(stack)
      wishes = await wishesOf(index + 1)
      for (const wish of wishes) await writer.attach(stack, product, wish)
    })

    /** Independent of all readers: what was asked for. */
    const expected = (): Seen[] =>
      wishes.map(({ bytes, label, main }) => ({ sha256: sha256Of(bytes), label: LABELLERS.has(name) ? label : '', main }))

    test.each(CLIENTS.map((client) => [client.name, client] as const))('%s reads', async (_name, reader) => {
      const { inOrder, images } = await reader.read(stack, product)
      const wanted = expected()
      const digests = wanted.map(({ sha256 }) => sha256)
      const there = new Set(images.map(({ sha256 }) => sha256))
      expect(inOrder ? images.map(({ sha256 }) => sha256) : digests.filter((sha256) => there.has(sha256))).toEqual(digests)
      // What an API does not speak of counts as what was wanted.
      const seen = inOrder ? images.map((image, place) => Object.assign({}, wanted[place], told(image))) : wanted
      expect(seen).toEqual(wanted)
    })

    test('names and roles read the same wherever they are told', async () => {
      const tellers = CLIENTS.filter((client) => client.name === 'native' || client.name === 'OpenMage')
      const views = await Promise.all(tellers.map((client) => client.read(stack, product)))
      const [first, second] = views.map(({ images }) =>
        images.map((image) => ({ name: image.name, roles: [...(image.roles ?? [])].sort() })),
      )
      expect(first).toEqual(second)
      expect(new Set(first?.map((image) => image.name)).size).toBe(wishes.length)
    })
  },
)

test('all write to one product, and all see the same product', async () => {
  const product = await newSharedProduct(stack)
  const written: string[] = []
  for (const [index, writer] of CLIENTS.entries()) {
    const [wish] = await wishesOf(50 + index)
    if (!wish) throw new Error('there is a first wish')
    await writer.attach(stack, product, { ...wish, main: index === 2 })
    written.push(sha256Of(wish.bytes))
  }
  for (const reader of CLIENTS) {
    const { inOrder, images } = await reader.read(stack, product)
    const there = new Set(images.map(({ sha256 }) => sha256))
    const seen = inOrder ? images.map(({ sha256 }) => sha256) : written.filter((sha256) => there.has(sha256))
    expect([reader.name, seen]).toEqual([reader.name, written])
    const speaksOfMain = images.some(({ main }) => main !== undefined)
    const mains = images.filter(({ main }) => main).map(({ sha256 }) => sha256)
    expect([reader.name, mains]).toEqual([reader.name, speaksOfMain ? [written[2]] : []])
  }
})

function told({ label, main }: Seen): Partial<Seen> {
  return { ...(label !== undefined && { label }), ...(main !== undefined && { main }) }
}
