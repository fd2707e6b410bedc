import { drawSample, type SampleOptions } from '@sluice/images/samples'

/** One line of what the demonstration did, as the API told it. */
export interface DemoImage {
  readonly form: string
  readonly name: string
  readonly mediaType: string
  readonly bytes: number
  readonly width: number
  readonly height: number
  readonly url: string
}

export const DEMO_SKU = 'demo'

interface Api {
  readonly url: string
  readonly token: string
}

/** Five images, drawn here and now, and every way there is to bring them in. */
const FORMS = {
  multipart: async (api: Api) => {
    const form = new FormData()
    form.set('label', 'By multipart/form-data')
    form.set(
      'file',
      new Blob([await draw({ seed: 1, width: 1600, height: 1200, format: 'jpeg' })], { type: 'image/jpeg' }),
      'first.jpg',
    )
    return addImage(api, { body: form })
  },
  base64: async (api: Api) => {
    const base64 = Buffer.from(await draw({ seed: 2, width: 800, height: 800, format: 'png' })).toString('base64')
    return addImage(api, json({ file: { base64, media_type: 'image/png' }, label: 'As base64' }))
  },
  'file id': async (api: Api) => {
    const body = await draw({ seed: 3, width: 1280, height: 720, format: 'webp' })
    const file = await call(api, '/v1/files', { body, headers: { 'content-type': 'image/webp' } })
    return addImage(api, json({ file_id: file.id, label: 'By file id' }))
  },
  'raw body': async (api: Api) => {
    const body = await draw({ seed: 4, width: 640, height: 960, format: 'avif' })
    return addImage(api, { body, headers: { 'content-type': 'image/avif' } }, '?label=As+a+raw+body')
  },
  'named multipart': async (api: Api) => {
    const form = new FormData()
    form.set(
      'file',
      new Blob([await draw({ seed: 5, width: 1000, height: 1000, format: 'jpeg' })], { type: 'image/jpeg' }),
      'back.jpg',
    )
    form.set('name', 'back')
    form.set('roles', 'thumbnail')
    return addImage(api, { body: form })
  },
} as const

export const DEMO_STEPS = Object.keys(FORMS).length

/** Makes the product `demo` and brings it five images, calling `onImage` after each. */
export async function runDemo(api: Api, onImage: (image: DemoImage) => void): Promise<void> {
  await call(api, '/v1/products', json({ sku: DEMO_SKU, title: 'A product to try things on' }))
  for (const [form, bring] of Object.entries(FORMS)) onImage({ form, ...(await bring(api)) })
}

async function draw(options: SampleOptions): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await drawSample(options))
}

type Sent = { body: FormData | string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> }

async function addImage(api: Api, sent: Sent, query = ''): Promise<Omit<DemoImage, 'form'>> {
  const image = await call(api, `/v1/products/sku:${DEMO_SKU}/images${query}`, sent)
  const { media_type: mediaType, bytes, width, height, url } = image.file
  return { name: image.name, mediaType, bytes, width, height, url: api.url + url }
}

function json(body: object): Sent {
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
}

/** The parts of the API's answers that are shown. */
interface Answer {
  readonly id: string
  readonly name: string
  readonly file: {
    readonly media_type: string
    readonly bytes: number
    readonly width: number
    readonly height: number
    readonly url: string
  }
}

async function call({ url, token }: Api, path: string, { body, headers }: Sent): Promise<Answer> {
  const response = await fetch(url + path, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${token}`, prefer: 'wait=30', ...headers },
    signal: AbortSignal.timeout(60_000),
  })
  if (response.status !== 201) throw new Error(`The demonstration failed at ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}
