import { describe, expect, test } from 'vitest'
import type { Attribute } from '../../catalogue.ts'
import { newId } from '../builders.ts'
import { range, type Subject } from './catalogue.ts'

const AN_ATTRIBUTE: Omit<Attribute, 'code'> = {
  allowedExtensions: ['jpg', 'png'],
  fileBytesMax: 5_000_000_000,
  scopable: true,
  localizable: false,
  role: 'small_image',
}

export function catalogueTests({ catalogue, openOwn }: Subject): void {
  const words = () => catalogue().database.catalogue

  describe('attributes', () => {
    test('are what was put last', async () => {
      const { home } = catalogue()
      const code = newId()
      expect(await words().findAttribute(home, code)).toBeNull()
      const changed = { code, allowedExtensions: null, fileBytesMax: null, scopable: false, localizable: true, role: null }
      for (const attribute of [{ code, ...AN_ATTRIBUTE }, changed, changed]) {
        await words().putAttribute(home, attribute)
        expect(await words().findAttribute(home, code)).toEqual(attribute)
      }
      expect((await words().listAttributes(home)).filter((attribute) => attribute.code === code)).toEqual([changed])
    })

    test('are gone once removed, which may happen twice', async () => {
      const { home } = catalogue()
      const code = newId()
      await words().putAttribute(home, { code, ...AN_ATTRIBUTE })
      await words().removeAttribute(home, code)
      await words().removeAttribute(home, code)
      expect(await words().findAttribute(home, code)).toBeNull()
    })
  })

  describe('channels', () => {
    test('are what was put last', async () => {
      const { home } = catalogue()
      const code = newId()
      expect(await words().findChannel(home, code)).toBeNull()
      for (const locales of [['en_US', 'fr_FR'], ['de_DE'], []]) {
        await words().putChannel(home, { code, locales })
        expect(await words().findChannel(home, code)).toEqual({ code, locales })
      }
      expect((await words().listChannels(home)).filter((channel) => channel.code === code)).toEqual([{ code, locales: [] }])
    })

    test('are gone once removed, which may happen twice', async () => {
      const { home } = catalogue()
      const code = newId()
      await words().putChannel(home, { code, locales: [] })
      await words().removeChannel(home, code)
      await words().removeChannel(home, code)
      expect(await words().findChannel(home, code)).toBeNull()
    })
  })

  describe('store views', () => {
    test('get the next number and keep it', async () => {
      await using own = await openOwn()
      const stores = own.database.catalogue
      const [german, french] = [
        { code: 'de', name: 'German', website: 'eu' },
        { code: 'fr', name: 'French', website: 'eu' },
      ] as const
      expect(await stores.putStore(own.home, german)).toEqual({ ...german, number: 1 })
      expect(await stores.putStore(own.home, french)).toEqual({ ...french, number: 2 })
      const renamed = { ...german, name: 'Deutsch', website: 'de' }
      expect(await stores.putStore(own.home, renamed)).toEqual({ ...renamed, number: 1 })
      expect(await stores.listStores(own.home)).toEqual([
        { ...renamed, number: 1 },
        { ...french, number: 2 },
      ])
      expect(await stores.putStore(own.stranger, french)).toEqual({ ...french, number: 1 })
    })

    test('get different numbers when they are made at once', async () => {
      await using own = await openOwn()
      const put = (n: number) => own.database.catalogue.putStore(own.home, { code: `s${n % 8}`, name: 'S', website: 'w' })
      const made = await Promise.all(range(16).map(put))
      expect([...new Set(made.map(({ number }) => number))].sort((a, b) => a - b)).toEqual(range(8))
      expect((await own.database.catalogue.listStores(own.home)).map(({ number }) => number)).toEqual(range(8))
    })

    test('are found by their number and by their code', async () => {
      const { home } = catalogue()
      const store = await words().putStore(home, { code: newId(), name: 'S', website: 'w' })
      expect(await words().findStore(home, store.number)).toEqual(store)
      expect(await words().findStore(home, store.code)).toEqual(store)
      for (const absent of [newId(), '\0', '', 0, -1, 1.5, NaN, 999_999, 1e300])
        expect(await words().findStore(home, absent)).toBeNull()
    })
  })

  test('is listed by code, as the code points go', async () => {
    await using own = await openOwn()
    const codes = ['b', 'B', 'a', 'ä', 'A', '_', '1']
    for (const code of codes) {
      await own.database.catalogue.putAttribute(own.home, { code, ...AN_ATTRIBUTE })
      await own.database.catalogue.putChannel(own.home, { code, locales: [] })
    }
    const inOrder = ['1', 'A', 'B', '_', 'a', 'b', 'ä']
    expect((await own.database.catalogue.listAttributes(own.home)).map(({ code }) => code)).toEqual(inOrder)
    expect((await own.database.catalogue.listChannels(own.home)).map(({ code }) => code)).toEqual(inOrder)
  })

  test('is of one tenant', async () => {
    const { home, stranger } = catalogue()
    const code = newId()
    await words().putAttribute(home, { code, ...AN_ATTRIBUTE })
    await words().putChannel(home, { code, locales: ['en_US'] })
    const store = await words().putStore(home, { code, name: 'S', website: 'w' })
    expect(await words().findAttribute(stranger, code)).toBeNull()
    expect(await words().findChannel(stranger, code)).toBeNull()
    expect(await words().findStore(stranger, code)).toBeNull()
    expect(await words().listAttributes(stranger)).toEqual([])
    expect(await words().listChannels(stranger)).toEqual([])
    expect(await words().listStores(stranger)).toEqual([])
    await words().removeAttribute(stranger, code)
    await words().removeChannel(stranger, code)
    await words().putAttribute(stranger, { code, ...AN_ATTRIBUTE, role: null })
    expect(await words().findAttribute(home, code)).toEqual({ code, ...AN_ATTRIBUTE })
    expect(await words().findChannel(home, code)).toEqual({ code, locales: ['en_US'] })
    expect(await words().findStore(home, code)).toEqual(store)
    await words().removeAttribute(stranger, code)
  })
}
