/** The routes of every server that this process opens, as Fastify itself tells of them: none can be forgotten by whoever lists them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

export interface ServedRoute {
  readonly method: string
  /** With its parameters: `/v1/files/:file`. */
  readonly url: string
  /** What the route says of who may call it; null where it says nothing. */
  readonly access: string | null
}

export interface WatchedServer {
  readonly routes: ServedRoute[]
  readonly origin: () => string
}

/** What is used of Fastify here. */
interface Announced {
  readonly fastify: {
    readonly listeningOrigin: string
    addHook(name: 'onRoute', hook: (route: AnnouncedRoute) => void): unknown
  }
}

interface AnnouncedRoute {
  readonly method: string | readonly string[]
  readonly url: string
  readonly config?: { readonly access?: string }
}

const CHANNEL = 'fastify.initialization'

/** From now on, until it is disposed. */
export function watchServers(): { readonly servers: readonly WatchedServer[] } & Disposable {
  const servers: WatchedServer[] = []
  const onServer = (message: unknown) => {
    const { fastify } = message as Announced
    const routes: ServedRoute[] = []
    fastify.addHook('onRoute', ({ method, url, config }) => {
      for (const each of [method].flat()) routes.push({ method: each, url, access: config?.access ?? null })
    })
    servers.push({ routes, origin: () => fastify.listeningOrigin })
  }
  subscribe(CHANNEL, onServer)
  return { servers, [Symbol.dispose]: () => void unsubscribe(CHANNEL, onServer) }
}
