import { describe, expect, it } from 'vitest'
import { type ManifestFormat, readManifest } from './import-manifest.ts'
import type { LocalRow } from './import-row.ts'

/** In pieces of a few bytes, so that every boundary lies somewhere inside something. */
async function* inPieces(content: string | Uint8Array, bytes = 3): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(content as string)
  for (let start = 0; start < all.byteLength; start += bytes) yield all.subarray(start, start + bytes)
}

async function read(format: ManifestFormat, content: string | Uint8Array, name = `photos.${format}`): Promise<LocalRow[]> {
  const resolve = (path: string) => `/here/${path}`
  return Array.fromAsync(readManifest(inPieces(content), { name, format, resolve }))
}

const refusal = (message: string) => expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) })

describe('a manifest in CSV', () => {
  it('says in each column what JSON would say, and nothing where it is empty', async () => {
    const content = [
      'sku,path,label,position,roles,main,excluded,stores',
      'shirt,a.jpg,"From the ""front"", in blue",2,"small_image, thumbnail",true,no,"{""de"":{""label"":""Vorn""}}"',
      'shirt,b.jpg,,,,,,',
    ].join('\n')
    const [first, second] = await read('csv', content)
    expect(first).toEqual({
      line: 2,
      where: 'photos.csv:2',
      fields: {
        sku: 'shirt',
        label: 'From the "front", in blue',
        position: 2,
        roles: ['small_image', 'thumbnail'],
        main: true,
        excluded: false,
        stores: { de: { label: 'Vorn' } },
      },
      bytes: { kind: 'path', path: '/here/a.jpg' },
      fault: null,
    })
    expect(second).toMatchObject({ line: 3, fields: { sku: 'shirt' } })
  })

  it('counts lines as an editor does, whatever stands in quotes and however lines end', async () => {
    const content = '\uFEFFsku,path,label\r\na,1.jpg,"two\r\nlines"\r\n\r\nb,2.jpg,x\r\nc,3.jpg,"three\nof\nthem"\r\nd,4.jpg,'
    const rows = await read('csv', content)
    expect(rows.map(({ line, fields }) => [line, fields['sku']])).toEqual([
      [2, 'a'],
      [5, 'b'],
      [6, 'c'],
      [9, 'd'],
    ])
  })

  it.each([';', '\t'])('may have %j between its columns', async (separator) => {
    const rows = await read('csv', `sku${separator}path${separator}label\na${separator}1.jpg${separator}red, blue\n`)
    expect(rows).toMatchObject([{ fields: { sku: 'a', label: 'red, blue' }, bytes: { path: '/here/1.jpg' } }])
  })

  it('leaves a value that is none to the server, which names the field', async () => {
    const [row] = await read('csv', 'sku,path,position,main,stores\na,1.jpg,first,maybe,{de}\n')
    expect(row?.fields).toEqual({ sku: 'a', position: 'first', main: 'maybe', stores: '{de}' })
  })

  it.each([
    ['sku,path,colour\na,1.jpg,red\n', 'photos.csv:1: "colour" is not one of the columns'],
    ['sku,path,sku\na,1.jpg,b\n', 'photos.csv:1: the column "sku" is there twice'],
    ['path\n1.jpg\n', 'photos.csv:1: a column "sku" or "product"'],
    ['sku,path\na,1.jpg\nb,2.jpg,c\n', 'photos.csv:3: '],
    ['sku,path\na,1.jpg\n"b,2.jpg\n', 'photos.csv:'],
  ])('that cannot be understood is refused with its line: %j', async (content, message) => {
    await expect(read('csv', content)).rejects.toThrow(refusal(message))
  })

  it('is UTF-8, or refused', async () => {
    const latin1 = Buffer.from('sku,path,label\na,1.jpg,Größe\n', 'latin1')
    await expect(read('csv', latin1)).rejects.toThrow(refusal('photos.csv:2 or a line soon after: the text is not UTF-8'))
    const [row] = await read('csv', 'sku,path,label\na,1.jpg,Größe 👕\n')
    expect(row?.fields['label']).toBe('Größe 👕')
  })
})

describe('a manifest in JSON Lines', () => {
  it('is read line by line, without the empty ones', async () => {
    const rows = await read(
      'jsonl',
      '\uFEFF{"sku":"a","path":"1.jpg","position":3}\r\n\n{"product":"sku:b","url":"http://x/2.jpg"}',
    )
    expect(rows).toEqual([
      {
        line: 1,
        where: 'photos.jsonl:1',
        fields: { sku: 'a', position: 3 },
        bytes: { kind: 'path', path: '/here/1.jpg' },
        fault: null,
      },
      { line: 3, where: 'photos.jsonl:3', fields: { product: 'sku:b', url: 'http://x/2.jpg' }, bytes: null, fault: null },
    ])
  })

  it.each([
    ['{"sku":"a"}', 'source'],
    ['{"sku":"a","path":"1.jpg","url":"http://x/1.jpg"}', 'path, url'],
    ['{"sku":"a","path":1}', 'path'],
    ['{"sku":"a","base64":{}}', 'base64'],
    ['{"sku":"a",', 'line'],
    ['["a"]', 'line'],
  ])('makes of %s a row with a fault, and goes on', async (content, field) => {
    const rows = await read('jsonl', `${content}\n{"sku":"b","path":"2.jpg"}\n`)
    expect(rows.map(({ fault }) => fault?.field ?? null)).toEqual([field, null])
  })
})
