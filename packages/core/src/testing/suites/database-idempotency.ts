import { expect, test } from 'vitest'
import type { IngestId } from '../../ids.ts'
import type { RecordedAnswer } from '../../ports.ts'
import { aNewIngest, newId } from '../builders.ts'
import { eventually, expectRefusal, LONG_MS, SHORT_MS, type Subject } from './catalogue.ts'

const FINGERPRINT = 'POST /products/1/images body'
const ANSWER: RecordedAnswer = { status: 202, headers: { location: '/ingests/1', 'x-ü': '"' }, body: '{"id":"1 ü 🙂"}' }
const RESERVED = { kind: 'reserved' }
const IN_FLIGHT = { kind: 'in_flight' }

const newOwner = () => newId() as IngestId
const newKey = () => `key "${newId()}" ü/:`

export function idempotencyTests({ catalogue, openOwn }: Subject): void {
  const keys = () => catalogue().database.idempotency
  const reserve = (key: string, owner: IngestId, { leaseMs = LONG_MS, keepMs = LONG_MS, tenantId = catalogue().home } = {}) =>
    keys().reserve(tenantId, key, owner, leaseMs, keepMs)
  /** Accepts the owner's ingest under the key. */
  const bind = (key: string, id: IngestId, fingerprint = FINGERPRINT) =>
    catalogue().accept({ id, idempotency: { key, fingerprint } })
  const known = (ingestId: IngestId, answer: RecordedAnswer | null) => ({
    kind: 'known',
    fingerprint: FINGERPRINT,
    ingestId,
    answer,
  })

  test('a key is reserved by one, and in flight for others', async () => {
    const [key, owner] = [newKey(), newOwner()]
    expect(await reserve(key, owner)).toEqual(RESERVED)
    expect(await reserve(key, newOwner())).toEqual(IN_FLIGHT)
    expect(await reserve(key, owner)).toEqual(RESERVED)
    expect(await reserve(newKey(), newOwner())).toEqual(RESERVED)
  })

  test('a key that is bound is known, also to its owner, with the answer once it was recorded', async () => {
    const [key, owner] = [newKey(), newOwner()]
    await reserve(key, owner)
    await bind(key, owner)
    expect(await reserve(key, newOwner())).toEqual(known(owner, null))
    await keys().record(catalogue().home, key, owner, ANSWER)
    expect(await reserve(key, newOwner())).toEqual(known(owner, ANSWER))
    expect(await reserve(key, owner)).toEqual(known(owner, ANSWER))
  })

  test('a key that is bound outlives its lease', async () => {
    const [key, owner, other] = [newKey(), newOwner(), newKey()]
    await reserve(key, owner, { leaseMs: SHORT_MS })
    await bind(key, owner)
    await reserve(other, newOwner(), { leaseMs: SHORT_MS })
    await eventually(async () => expect(await reserve(other, newOwner())).toEqual(RESERVED))
    expect(await reserve(key, newOwner())).toEqual(known(owner, null))
  })

  test('a reservation whose lease has ended is taken over, and its owner has lost it', async () => {
    const [key, slow, quick] = [newKey(), newOwner(), newOwner()]
    await reserve(key, slow, { leaseMs: SHORT_MS })
    await eventually(async () => expect(await reserve(key, quick)).toEqual(RESERVED))
    await expectRefusal(bind(key, slow), 'idempotency_key_in_flight')
    expect(await catalogue().database.ingests.find(catalogue().home, slow)).toBeNull()
    await bind(key, quick)
    expect(await reserve(key, slow)).toEqual(known(quick, null))
  })

  test('a lease that has ended and was not taken over can still be bound', async () => {
    const [key, owner] = [newKey(), newOwner()]
    await reserve(key, owner, { leaseMs: 0 })
    expect((await bind(key, owner)).id).toBe(owner)
  })

  test('a key that was never reserved, or given back, binds nothing', async () => {
    const [key, owner] = [newKey(), newOwner()]
    await expectRefusal(bind(key, owner), 'idempotency_key_in_flight')
    await reserve(key, owner)
    await keys().release(catalogue().home, key, owner)
    await expectRefusal(bind(key, owner), 'idempotency_key_in_flight')
    expect(await catalogue().database.ingests.find(catalogue().home, owner)).toBeNull()
  })

  test('accepting again under the same key changes nothing', async () => {
    const [key, id] = [newKey(), newOwner()]
    await reserve(key, id)
    const wanted = aNewIngest({ tenantId: catalogue().home, id, idempotency: { key, fingerprint: FINGERPRINT } })
    const accept = () => catalogue().database.ingests.accept(wanted)
    expect(await accept()).toEqual(await accept())
    expect(await reserve(key, newOwner())).toEqual(known(id, null))
  })

  test('a key is given back by its owner, and only until it is bound', async () => {
    const [key, owner] = [newKey(), newOwner()]
    await reserve(key, owner)
    await keys().release(catalogue().home, key, newOwner())
    expect(await reserve(key, newOwner())).toEqual(IN_FLIGHT)
    await keys().release(catalogue().home, key, owner)
    expect(await reserve(key, owner)).toEqual(RESERVED)
    await bind(key, owner)
    await keys().release(catalogue().home, key, owner)
    expect(await reserve(key, newOwner())).toEqual(known(owner, null))
  })

  test('an answer is recorded only for the owner of a bound key', async () => {
    const [key, owner] = [newKey(), newOwner()]
    await reserve(key, owner)
    await keys().record(catalogue().home, key, owner, ANSWER)
    await bind(key, owner)
    await keys().record(catalogue().home, key, newOwner(), ANSWER)
    expect(await reserve(key, newOwner())).toEqual(known(owner, null))
    await keys().record(catalogue().home, newKey(), owner, ANSWER)
  })

  test('a key of another tenant is another key', async () => {
    const [key, owner, other] = [newKey(), newOwner(), newOwner()]
    const { home, stranger } = catalogue()
    await reserve(key, owner)
    expect(await reserve(key, other, { tenantId: stranger })).toEqual(RESERVED)
    await bind(key, owner)
    expect(await reserve(key, newOwner(), { tenantId: stranger })).toEqual(IN_FLIGHT)
    await keys().release(home, key, other)
    await keys().record(stranger, key, owner, ANSWER)
    expect(await reserve(key, newOwner())).toEqual(known(owner, null))
    await keys().release(stranger, key, other)
    expect(await reserve(key, newOwner(), { tenantId: stranger })).toEqual(RESERVED)
  })

  test('a key that is older than it is to be kept is forgotten when it is asked for', async () => {
    const [bound, reserved, owner] = [newKey(), newKey(), newOwner()]
    await reserve(bound, owner)
    await bind(bound, owner)
    await keys().record(catalogue().home, bound, owner, ANSWER)
    await reserve(reserved, newOwner())
    for (const key of [bound, reserved]) {
      await eventually(async () => expect(await reserve(key, newOwner(), { keepMs: SHORT_MS })).toEqual(RESERVED))
      expect(await reserve(key, newOwner())).toEqual(IN_FLIGHT)
    }
    expect((await catalogue().database.ingests.find(catalogue().home, owner))?.id).toBe(owner)
  })

  test('old keys of all tenants are removed, some at a time, and others stay', async () => {
    await using own = await openOwn()
    const { idempotency } = own.database
    const take = (key: string, tenantId = own.home, keepMs = LONG_MS) =>
      idempotency.reserve(tenantId, key, newOwner(), LONG_MS, keepMs)
    for (const tenantId of [own.home, own.stranger]) await take('old', tenantId)
    await take('newest')
    expect(await idempotency.forget(LONG_MS, 10)).toBe(0)
    // Once the last one is old, the first ones are; and it is new again by having been asked for.
    await eventually(async () => expect(await take('newest', own.home, SHORT_MS)).toEqual(RESERVED))
    expect(await idempotency.forget(SHORT_MS, 1)).toBe(1)
    await eventually(async () => {
      await idempotency.forget(SHORT_MS, 1)
      expect([await take('old', own.home), await take('old', own.stranger)]).toEqual([RESERVED, RESERVED])
    })
    expect(await idempotency.forget(LONG_MS, 10)).toBe(0)
  })
}
