import { expect, test } from 'vitest'
import type { Ingest } from '../../ingest.ts'
import type { IngestId } from '../../ids.ts'
import { newId } from '../builders.ts'
import { eventually, LONG_MS, range, SHORT_MS, type Subject } from './catalogue.ts'

/** The answer of a request that was cut off, for its repeat. */
export function answerTests({ catalogue }: Subject): void {
  const ingests = () => catalogue().database.ingests
  const accept = (fingerprint: string, leaseMs: number) => catalogue().accept({ answer: { fingerprint, leaseMs } })
  const claim = (fingerprint: string, leaseMs = LONG_MS, ageMsMax = LONG_MS) =>
    ingests().claimUnanswered(catalogue().home, fingerprint, leaseMs, ageMsMax)
  const idOf = (ingest: Ingest | null) => ingest?.id ?? null

  test('is claimed by nobody while the request waits for it', async () => {
    const fingerprint = newId()
    await accept(fingerprint, LONG_MS)
    expect(await claim(fingerprint)).toBeNull()
  })

  test('is claimed once the lease has ended, by one', async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, SHORT_MS)
    await eventually(async () => expect(idOf(await claim(fingerprint))).toBe(id))
    expect(await claim(fingerprint)).toBeNull()
  })

  test('is claimed by one of many at once', async () => {
    const fingerprint = newId()
    const made = [await accept(fingerprint, 0), await accept(fingerprint, 0)].map(({ id }) => id)
    await ingests().holdAnswer(made[0] as IngestId, 0)
    const claimed = await Promise.all(range(12).map(() => claim(fingerprint)))
    expect(claimed.flatMap((ingest) => ingest?.id ?? []).sort()).toEqual(made)
  })

  test('is claimed again when its new holder is cut off as well', async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, 0)
    expect(idOf(await claim(fingerprint, SHORT_MS))).toBe(id)
    await eventually(async () => expect(idOf(await claim(fingerprint))).toBe(id))
  })

  test('is held longer by whoever still waits, and let go by whoever leaves', async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, 0)
    await ingests().holdAnswer(id, LONG_MS)
    expect(await claim(fingerprint)).toBeNull()
    await ingests().holdAnswer(id, 0)
    await eventually(async () => expect(idOf(await claim(fingerprint))).toBe(id))
  })

  test("is nobody else's once it was delivered, however it is held", async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, 0)
    await ingests().markAnswered(id)
    await ingests().markAnswered(id)
    await ingests().holdAnswer(id, 0)
    expect(await claim(fingerprint)).toBeNull()
  })

  test("is nobody's when it was accepted too long ago", async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, 0)
    expect(await claim(fingerprint, LONG_MS, 0)).toBeNull()
    expect(idOf(await claim(fingerprint))).toBe(id)
  })

  test('is that of an equal request only, of the same tenant', async () => {
    const fingerprint = newId()
    const { id } = await accept(fingerprint, 0)
    await catalogue().accept()
    expect(await claim(newId())).toBeNull()
    expect(await ingests().claimUnanswered(catalogue().stranger, fingerprint, LONG_MS, LONG_MS)).toBeNull()
    expect(idOf(await claim(fingerprint))).toBe(id)
  })

  test('is that of the ingest as it is by then, and leaves it as it is', async () => {
    const fingerprint = newId()
    const accepted = await accept(fingerprint, 0)
    await catalogue().commit(accepted)
    const committed = await ingests().find(accepted.tenantId, accepted.id)
    expect(await claim(fingerprint)).toEqual(committed)
    await ingests().holdAnswer(accepted.id, LONG_MS)
    await ingests().markAnswered(accepted.id)
    expect(await ingests().find(accepted.tenantId, accepted.id)).toEqual(committed)
  })

  test('of an ingest that is not there is held by nobody', async () => {
    await expect(ingests().holdAnswer(newId() as IngestId, LONG_MS)).resolves.toBeUndefined()
    await expect(ingests().markAnswered(newId() as IngestId)).resolves.toBeUndefined()
  })
}
