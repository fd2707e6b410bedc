import { expect, it } from 'vitest'
import { openSecret, sealSecret } from './sealed-secret.ts'

const KEY = 'the-key-of-an-installation'

it('opens what was sealed, under the same key and for the same subject only', () => {
  for (const clear of ['', 'whsec_abc', 'ü🙂'.repeat(200)]) {
    const sealed = sealSecret(KEY, 'source', clear)
    expect(openSecret(KEY, 'source', sealed)).toBe(clear)
    expect(openSecret(`${KEY}.`, 'source', sealed)).toBeNull()
    expect(openSecret(KEY, 'other', sealed)).toBeNull()
  }
})

it('seals the same secret differently each time, and shows nothing of it', () => {
  const sealed = [sealSecret(KEY, 's', 'secret'), sealSecret(KEY, 's', 'secret')]
  expect(new Set(sealed).size).toBe(2)
  for (const text of sealed) expect(text).not.toContain('secret')
})

it('does not open what was changed, cut or made up', () => {
  const sealed = sealSecret(KEY, 's', 'secret')
  const [version, nonce, content, tag = ''] = sealed.split('.')
  const changed = [
    '',
    'v1...',
    'v2' + sealed.slice(2),
    [version, nonce, content].join('.'),
    [version, nonce, content, tag.slice(0, 6)].join('.'),
    [version, nonce, `A${content?.slice(1)}`, tag].join('.'),
    [version, nonce, content, `A${tag.slice(1)}`].join('.'),
  ]
  const others = changed.filter((text) => text !== sealed)
  expect(others.map((text) => openSecret(KEY, 's', text))).toEqual(others.map(() => null))
})
