export { callerOf } from './authenticate.ts'
export { BOARD_PATH } from './console/layout.ts'
export { buildConsole, type ConsoleOptions } from './console/server.ts'
export { buildServer, type ServerOptions } from './server.ts'
