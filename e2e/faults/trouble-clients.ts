import { connect, type Socket } from 'node:net'
import { pause } from './servers.ts'
import type { Scene } from './trouble.ts'

const EACH = 12
const BYTE_EVERY_MS = 300
/** The server looks each second, and gives headers ten of them. */
const HEADERS_MS_MAX = 10_000
const MARGIN_MS = 15_000

/** Clients that send a byte now and then, in headers and in bodies, and would hold their places for ever; others are served meanwhile. */
export async function crawlers(scene: Scene): Promise<void> {
  const { fleet, load, requestMsMax, complaints } = scene
  // Whoever is killed cuts them off, and would show nothing.
  await fleet.calm()
  const slow = fleet.urls.flatMap((url) => Array.from({ length: EACH }, (_, index) => crawler(url, index % 2 === 0, load)))
  const deadline = Date.now() + Math.max(requestMsMax, HEADERS_MS_MAX) + MARGIN_MS
  if ((await load.uploadFresh()) === null) complaints.push('slow headers and bodies: nobody else was served')
  while (slow.some(({ isOver }) => !isOver()) && Date.now() < deadline) {
    for (const one of slow) one.send()
    await pause(BYTE_EVERY_MS)
  }
  const open = slow.filter(({ isOver }) => !isOver()).length
  const untold = slow.filter(({ answer }) => !answer().startsWith('HTTP/1.1 408 ')).map(({ answer }) => answer().slice(0, 40))
  if (open > 0) complaints.push(`slow headers and bodies: ${open} of ${slow.length} were not cut off`)
  else if (untold.length > 0)
    complaints.push(`slow headers and bodies: ${untold.length} without 408, as ${JSON.stringify(untold[0])}`)
  for (const { socket } of slow) socket.destroy()
  fleet.rouse()
}

interface Crawler {
  readonly socket: Socket
  readonly isOver: () => boolean
  readonly answer: () => string
  send(): void
}

function crawler(url: string, inHeaders: boolean, { productIds, authorization }: Scene['load']): Crawler {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('latin1')
  let answer = ''
  let isOver = false
  socket.on('error', () => undefined).on('data', (text) => (answer += String(text)))
  socket.on('close', () => (isOver = true))
  const head = `POST /v1/products/${productIds[0]}/images HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: image/jpeg\r\n`
  socket.write(inHeaders ? `${head}x-slow: ` : `${head}content-length: 100000\r\n\r\n`)
  return { socket, isOver: () => isOver, answer: () => answer, send: () => void (isOver || socket.write('a')) }
}
