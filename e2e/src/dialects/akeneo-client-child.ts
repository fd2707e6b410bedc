/**
 * Does one thing with Akeneo's client and tells the result to its parent. A process of its own, since the client logs to standard
 * output, keeps its token for the whole process, and ends it when it is surprised.
 */
import { createReadStream, type ReadStream } from 'node:fs'
import { globalAgent } from 'node:http'
import { createRequire } from 'node:module'

interface Client {
  apiUrlProductMediaFiles(): string
  get(apiUrl: string): Promise<unknown>
  download(data: string, url: string): Promise<unknown>
  postMultipartFormData(apiUrl: string, stream: ReadStream, properties: object): Promise<unknown>
  exportProductMediaFiles(): Promise<unknown>
}

// An import would have the compiler check the sources that the package brings beside what it runs.
const require = createRequire(import.meta.url)
const akeneo = require('node-akeneo-api') as Client

const [task = '', ...given] = process.argv.slice(2)

async function run(): Promise<unknown> {
  switch (task) {
    case 'get':
      return akeneo.get(given[0] ?? '')
    case 'download':
      return akeneo.download(given[0] ?? '', given[1] ?? '')
    case 'upload':
      return akeneo.postMultipartFormData(
        akeneo.apiUrlProductMediaFiles(),
        createReadStream(given[0] ?? ''),
        JSON.parse(given[1] ?? '{}'),
      )
    case 'export':
      return akeneo.exportProductMediaFiles()
    default:
      throw new Error(`there is no task ${task}`)
  }
}

const told = await run().then(
  (result) => ({ result }),
  (error: unknown) => ({ error: String(error) }),
)
process.send?.(told, () => {
  // The client says that a download is done before it is written, so the process ends by itself, as soon as no connection is kept.
  globalAgent.destroy()
  process.channel?.unref()
})
