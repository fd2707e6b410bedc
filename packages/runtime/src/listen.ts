import type { FastifyInstance } from 'fastify'
import type { Listen } from './config.ts'
import { listenFailed } from './lifecycle-listen.ts'

/** For pages, probes and figures. */
const SHORT_GRACE_MS = 2_000

/** Lets requests that are being answered finish, for so long; then cuts them off. Their clients will ask again. */
export async function closeWithin(app: FastifyInstance, graceMs = SHORT_GRACE_MS): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), graceMs)
  try {
    await app.close()
  } finally {
    clearTimeout(cut)
  }
}

/** Listens, and closes the server again when it cannot. Returns the address as a browser on this machine would write it. */
export async function listen(app: FastifyInstance, at: Listen, portVariable: string): Promise<string> {
  try {
    await app.listen(at)
  } catch (error) {
    await app.close()
    throw listenFailed(error, at, portVariable)
  }
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : at.port
  return `http://${at.host === '0.0.0.0' || at.host === '::' ? '127.0.0.1' : at.host}:${port}`
}
