import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, formOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let dataDir: string
let jpeg: Buffer
let product: string

beforeAll(async () => {
  dataDir = join(process.env['TMPDIR'] ?? '/tmp', `sluice-refusals-${process.pid}`)
  stack = await openStack('embedded', {
    SLUICE_DATA_DIR: dataDir,
    SLUICE_LIMIT_FILE_BYTES_MAX: '200000',
    SLUICE_LIMIT_PIXELS_MAX: '2000000',
    SLUICE_LIMIT_FRAMES_MAX: '3',
  })
  jpeg = await drawSample({ seed: 1, width: 320, height: 240, format: 'jpeg' })
  product = await stack.api.newProduct()
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const wait = { prefer: 'wait=60' }
const inJson = (file: object, more: object = {}) => stack.api.call('POST', `${product}/images`, { file, ...more }, wait)
const raw = async (body: string, type: string) =>
  answerOf(await stack.api.send('POST', `${product}/images`, { body, headers: { ...wait, 'content-type': type } }))

/** With its middle overwritten. */
function damaged(image: Buffer): Buffer {
  const copy = Buffer.from(image)
  copy.fill(0x55, copy.length / 2, copy.length / 2 + 200)
  return copy
}

/** One pixel, so many times. */
function animatedGif(frames: number): Buffer {
  const head = Buffer.from('GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff', 'latin1')
  const frame = Buffer.from('!\xf9\x04\0\x0a\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0', 'latin1')
  return Buffer.concat([head, ...Array.from({ length: frames }, () => frame), Buffer.from(';')])
}

/** A PNG that is nothing but a header with these dimensions. */
function hugePng(width: number, height: number): Buffer {
  const ihdr = Buffer.alloc(25)
  ihdr.writeUInt32BE(13, 0)
  ihdr.write('IHDR', 4, 'latin1')
  ihdr.writeUInt32BE(width, 8)
  ihdr.writeUInt32BE(height, 12)
  ihdr.set([8, 2, 0, 0, 0], 16)
  ihdr.writeUInt32BE(crc32(ihdr.subarray(4, 21)), 21)
  const idat = Buffer.concat([Buffer.from([0, 0, 0x13, 0x88]), Buffer.from('IDAT'), Buffer.alloc(5000)])
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ihdr, idat])
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

/** Each refusal, with the status and code that it must have. */
const REFUSALS: Record<string, [number, string, () => Promise<Answer>]> = {
  'a form without a file': [422, 'source_missing', async () => stack.api.call('POST', `${product}/images`, {})],
  'a file and a file_id': [422, 'source_ambiguous', () => stack.api.addImage(product, jpeg, { file_id: crypto.randomUUID() })],
  'two files': [
    422,
    'source_ambiguous',
    async () => {
      const form = formOf(jpeg)
      form.append('file', new Blob([Buffer.from(jpeg)], { type: 'image/jpeg' }), 'second.jpg')
      return answerOf(await stack.api.send('POST', `${product}/images`, { body: form }))
    },
  ],
  'an unknown file_id': [
    422,
    'file_reference_unknown',
    () => stack.api.call('POST', `${product}/images`, { file_id: crypto.randomUUID() }, wait),
  ],
  'a file_id that is none': [
    422,
    'file_reference_unknown',
    () => stack.api.call('POST', `${product}/images`, { file_id: 'x' }, wait),
  ],
  'an unknown product': [404, 'product_unknown', () => stack.api.addImage('/v1/products/sku:nobody', jpeg)],
  'an empty file': [422, 'file_empty', () => stack.api.addImage(product, Buffer.alloc(0), { type: 'image/png' })],
  'an empty body': [422, 'file_empty', () => raw('', 'image/png')],
  'empty base64': [422, 'file_empty', () => inJson({ base64: '', media_type: 'image/png' })],
  'bad base64': [400, 'base64_invalid', () => inJson({ base64: '$$$$', media_type: 'image/png' })],
  'base64 of the other alphabet': [400, 'base64_invalid', () => inJson({ base64: 'ab-_', media_type: 'image/png' })],
  'base64 with a data prefix': [
    400,
    'base64_invalid',
    () => inJson({ base64: 'data:image/png;base64,AAAA', media_type: 'image/png' }),
  ],
  'JSON that is none': [400, 'json_invalid', () => raw('{"file":', 'application/json')],
  'multipart that is none': [400, 'multipart_invalid', () => raw('--x', 'multipart/form-data; boundary=x')],
  'an unknown field': [
    400,
    'request_invalid',
    () => inJson({ base64: jpeg.toString('base64'), media_type: 'image/jpeg' }, { colour: 'red' }),
  ],
  'a position of nought': [400, 'request_invalid', () => stack.api.addImage(product, jpeg, { position: '0' })],
  'a role that is none': [422, 'role_unknown', () => stack.api.addImage(product, jpeg, { roles: 'hero' })],
  'a body of another type': [415, 'content_type_unsupported', () => raw('x', 'text/plain')],
  'no declared type': [415, 'media_type_missing', () => inJson({ base64: jpeg.toString('base64') })],
  'a declared type that is not accepted': [
    415,
    'media_type_unsupported',
    () => stack.api.addImage(product, jpeg, { type: 'image/tiff' }),
  ],
  'a type that lies': [415, 'media_type_mismatched', () => stack.api.addImage(product, jpeg, { type: 'image/png' })],
  'a type that lies, found after the content': [
    415,
    'media_type_mismatched',
    () => inJson({ base64: jpeg.toString('base64'), media_type: 'image/png' }),
  ],
  'text that says it is an image': [
    415,
    'media_type_mismatched',
    () => stack.api.addImage(product, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), { type: 'image/jpeg' }),
  ],
  'a truncated image': [422, 'image_truncated', () => stack.api.addImage(product, jpeg.subarray(0, jpeg.length / 2))],
  'a corrupt image': [
    422,
    'image_corrupt',
    async () => stack.api.addImage(product, damaged(await drawSample({ seed: 2, width: 90, height: 90, format: 'png' }))),
  ],
  'too many bytes': [413, 'file_too_large', () => stack.api.addImage(product, Buffer.concat([jpeg, Buffer.alloc(200_000)]))],
  'too many bytes in base64': [
    413,
    'file_too_large',
    () => inJson({ base64: Buffer.concat([jpeg, Buffer.alloc(200_000)]).toString('base64'), media_type: 'image/jpeg' }),
  ],
  'too many pixels': [422, 'image_pixels_exceeded', () => stack.api.addImage(product, hugePng(50_000, 50_000))],
  'too many frames': [422, 'image_frames_exceeded', () => stack.api.addImage(product, animatedGif(4))],
  'too much beside the file': [413, 'request_too_large', () => stack.api.addImage(product, jpeg, { label: 'x'.repeat(300_000) })],
  'a label that is too long': [400, 'request_invalid', () => stack.api.addImage(product, jpeg, { label: 'x'.repeat(2000) })],
}

describe('what is refused', () => {
  test.each(Object.entries(REFUSALS))('%s', async (_what, [status, code, send]) => {
    const answer = await send()
    expect([answer.status, answer.body['code']]).toEqual([status, code])
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(answer.body).toMatchObject({ status, title: expect.any(String) })
  })

  test('a file_id in the path of nobody is 404', async () => {
    expect((await stack.api.call('GET', `/v1/files/${crypto.randomUUID()}`)).body['code']).toBe('file_unknown')
    expect((await stack.api.call('GET', '/v1/ingests/not-an-id')).body['code']).toBe('ingest_unknown')
    expect((await stack.api.call('GET', '/nowhere')).body['code']).toBe('route_unknown')
  })

  test('a client that goes away in the middle leaves nothing', async () => {
    const { port } = new URL(stack.api.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      `POST ${product}/images HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.token}\r\ncontent-type: image/jpeg\r\ncontent-length: ${jpeg.length}\r\n\r\n`,
    )
    socket.write(jpeg.subarray(0, 5000))
    await vi.waitFor(async () => expect(await staged()).not.toEqual([]), { timeout: 10_000 })
    socket.destroy()
    await vi.waitFor(async () => expect(await staged()).toEqual([]), { timeout: 10_000 })
  })

  test('and none of it leaves an image, a rejected object or a retry behind', async () => {
    expect((await stack.api.call('GET', `${product}/images`)).body['images']).toEqual([])
    await vi.waitFor(async () => expect(await staged()).toEqual([]), { timeout: 10_000 })
    const { body } = await stack.api.call('GET', '/v1/ingests?limit=100')
    expect(body['items'].length).toBeGreaterThan(0)
    for (const ingest of body['items']) expect([ingest.state, ingest.attempts]).toEqual(['rejected', 1])
    expect(await files(join(dataDir, 'objects', 'blobs'))).toEqual([])
  })
})

/** Staged bytes, whole or still arriving. */
const staged = async () => [
  ...(await files(join(dataDir, 'objects', 'partial'))),
  ...(await files(join(dataDir, 'objects', 'staged'))),
]

/** Every file below a directory. */
async function files(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}
