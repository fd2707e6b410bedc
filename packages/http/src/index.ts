export { BOARD_PATH } from './console/layout.ts'
export { buildConsole, type ConsoleOptions } from './console/server.ts'
export { buildOps, type Checks } from './ops.ts'
export { buildServer, type ServerOptions } from './server.ts'
