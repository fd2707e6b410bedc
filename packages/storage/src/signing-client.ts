import * as http from 'node:http'
import * as https from 'node:https'
import { Client } from 'minio'
import { presignSignatureV4, signV4 } from 'minio/dist/esm/signing.mjs'
import { StoreFailure } from './failures.ts'

export interface ServerOptions {
  /** `http://host:port` or `https://host`. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  /** Must be known: without it the client asks for the location of each bucket first. */
  readonly region: string
  /** A connection on which nothing moves for this long is given up. */
  readonly idleMsMax: number
}

export interface Unsigned {
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  /** The sha256 of the body. */
  readonly digest: string
}

/** The `minio` client, which signs requests for others to send, and sends small ones itself within a time. */
export class SigningClient extends Client {
  readonly #agent: http.Agent

  constructor({ endpoint, accessKey, secretKey, region, idleMsMax }: ServerOptions) {
    const { protocol, hostname, port } = new URL(endpoint)
    const scheme = protocol === 'https:' ? https : http
    const agent = new scheme.Agent({ keepAlive: true, maxSockets: 16 })
    super({
      endPoint: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (scheme === https ? 443 : 80),
      useSSL: scheme === https,
      accessKey,
      secretKey,
      region,
      transport: { request: timed(scheme.request, idleMsMax) },
      transportAgent: agent,
      // Its retries write to the console, and hide which status they met.
      retryOptions: { disableRetry: true },
    })
    this.#agent = agent
  }

  sign({ method, bucket, key, headers, digest }: Unsigned): { origin: string; path: string; headers: Record<string, string> } {
    const region = this.region ?? ''
    const now = new Date()
    const stamps = { 'x-amz-date': now.toISOString().replace(/[-:]|\.\d+/g, ''), 'x-amz-content-sha256': digest }
    const names = { method, bucketName: bucket, objectName: key, region }
    const request = this.getRequestOptions({ ...names, headers: { ...headers, ...stamps } })
    const authorization = signV4(request, this.accessKey, this.secretKey, region, now, digest)
    const origin = `${this.protocol}//${request.headers['host']}`
    return { origin, path: request.path, headers: { ...request.headers, authorization } }
  }

  /** The address of a PUT that anybody may make until then, with exactly these headers. */
  presignPut({ bucket, key, headers, expiresAt }: Pick<Unsigned, 'bucket' | 'key' | 'headers'> & { expiresAt: Date }): string {
    const region = this.region ?? ''
    const now = new Date()
    const request = this.getRequestOptions({ method: 'PUT', bucketName: bucket, objectName: key, region })
    // The client's own signature leaves out `content-length` and `content-type`, by these names in lower case, so that they would
    // bind nobody. In another case they are signed, under the names that the protocol asks for.
    const bound = Object.entries(headers).map(([name, value]) => [name[0]?.toUpperCase() + name.slice(1), value])
    const signed = { ...request, headers: { host: request.headers.host, ...Object.fromEntries(bound) } }
    const seconds = Math.max(1, Math.floor((expiresAt.getTime() - now.getTime()) / 1000))
    return presignSignatureV4(signed, this.accessKey, this.secretKey, undefined, region, now, seconds)
  }

  close(): void {
    this.#agent.destroy()
  }
}

/**
 * The client itself never gives up on a request, and of a status that it would retry it keeps neither the number nor the socket:
 * such an answer is made an error before the client sees it.
 */
function timed(send: typeof http.request, msMax: number): typeof http.request {
  return (options: http.RequestOptions | string | URL, callback?: unknown) => {
    if (typeof options === 'string' || options instanceof URL) throw new TypeError('The client passes options only')
    const request = send({ ...options, signal: AbortSignal.timeout(msMax) })
    return request.on('response', (answer: http.IncomingMessage) => {
      const status = answer.statusCode ?? 0
      if (status >= 500 || status === 408 || status === 429) request.destroy(new StoreFailure(status, ''))
      else if (typeof callback === 'function') callback(answer)
    })
  }
}
