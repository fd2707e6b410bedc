import { createHash, createHmac } from 'node:crypto'
import type { S3Address } from '../servers/s3.ts'

const REGION = 'us-east-1'

/** Every object of a bucket with its size, asked as nobody of ours asks: by a request signed here (AWS Signature Version 4). */
export async function listBucket(server: S3Address, bucket: string): Promise<ReadonlyMap<string, { readonly bytes: number }>> {
  const objects = new Map<string, { bytes: number }>()
  for (let token: string | null = ''; token !== null;) {
    const query = new URLSearchParams(token === '' ? {} : { 'continuation-token': token })
    query.append('list-type', '2')
    const text = await ask(server, 'GET', `/${bucket}`, query)
    for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs))
      objects.set(tag(entry, 'Key') ?? '', { bytes: Number(tag(entry, 'Size')) })
    token = tag(text, 'IsTruncated') === 'true' ? tag(text, 'NextContinuationToken') : null
  }
  return objects
}

/** Stores bytes under a key, whatever somebody else meant to store there. */
export async function putObject(server: S3Address, path: string, bytes: Uint8Array): Promise<void> {
  await ask(server, 'PUT', path, new URLSearchParams(), bytes)
}

function tag(text: string, name: string): string | null {
  const value = new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(text)?.[1]
  return value === undefined ? null : value.replaceAll('&#x2F;', '/').replaceAll('&amp;', '&')
}

async function ask(
  { endPoint, port, accessKey, secretKey }: S3Address,
  method: 'GET' | 'PUT',
  path: string,
  query: URLSearchParams,
  body: Uint8Array = new Uint8Array(),
): Promise<string> {
  const host = `${endPoint}:${port}`
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const bodyHash = createHash('sha256').update(body).digest('hex')
  query.sort()
  const canonicalQuery = [...query].map((pair) => pair.map(encodeURIComponent).join('=')).join('&')
  const headers = { host, 'x-amz-content-sha256': bodyHash, 'x-amz-date': time }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const request = [method, path, canonicalQuery, lines.join(''), names, bodyHash].join('\n')
  const scope = `${day}/${REGION}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(request).digest('hex')].join('\n')
  const key = [day, REGION, 's3', 'aws4_request'].reduce<string | Buffer>(
    (secret, word) => hmac(secret, word),
    `AWS4${secretKey}`,
  )
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${hmac(key, toSign).toString('hex')}`
  const answer = await fetch(`http://${host}${path}?${canonicalQuery}`, {
    method,
    headers: { ...headers, authorization },
    ...(method === 'PUT' ? { body: Uint8Array.from(body) } : {}),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`The store refuses ${method} ${path}: ${answer.status} ${text.slice(0, 200)}`)
  return text
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
