import Fastify from 'fastify'
import type { IntakeWorld } from '@sluice/core'
import type { DialectContext } from './dialect.ts'
import { DIALECTS } from './dialects.ts'

export interface DialectRoute {
  readonly dialect: string
  readonly method: string
  /** With its parameters: `/v2/files/:fileID`. */
  readonly url: string
  readonly access: string
}

/** Every route that a dialect registers, so that a test of all of them misses none. */
export async function dialectRoutes(world: IntakeWorld): Promise<readonly DialectRoute[]> {
  const routes: DialectRoute[] = []
  const context: DialectContext = { world, closing: new AbortController().signal }
  await using app = Fastify()
  for (const { name, register } of DIALECTS) {
    await app.register(async (scope) => {
      scope.addHook('onRoute', ({ method, url, config }) => {
        for (const one of [method].flat()) routes.push({ dialect: name, method: one, url, access: config?.access ?? 'none' })
      })
      await register(scope, context)
    })
  }
  await app.ready()
  return routes
}
