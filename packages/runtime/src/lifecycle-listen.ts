import { StartError } from './lifecycle-start-error.ts'

/** Why a server cannot listen, as a sentence that names the variable to change; any other error as it is. */
export function listenFailed(cause: unknown, at: { host: string; port: number }, variable: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EADDRINUSE') {
    return new StartError(`Port ${at.port} is in use: stop what uses it or set ${variable}.`, cause)
  }
  if (code === 'EACCES') {
    return new StartError(`Port ${at.port} needs more rights than this user has: set ${variable} to one above 1023.`, cause)
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    const host = variable.replace(/_PORT$/, '_HOST')
    return new StartError(`This machine has no address ${at.host}: set ${host} to one that it has.`, cause)
  }
  return cause
}
