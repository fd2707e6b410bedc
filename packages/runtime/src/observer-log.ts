import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino'
import type { LogLevel } from './config-variables.ts'

const SECRET_NAMES = ['authorization', 'cookie', '["set-cookie"]', 'token', 'password', 'secretKey', 'secret']
const CAUSES_MAX = 5
const MESSAGE_LENGTH_MAX = 500

export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_NAMES.flatMap(atAnyDepth), censor: '[hidden]' },
    serializers: { err: describeError, error: describeError, cause: describeError },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** pino's paths have no "anywhere": three levels reach `req.headers.authorization`. */
function atAnyDepth(name: string): string[] {
  const dotted = name.startsWith('[') ? name : `.${name}`
  return [name, `*${dotted}`, `*.*${dotted}`]
}

/**
 * Of each error in the chain of causes its kind, its first line and where it comes from. Not its further lines and properties:
 * drizzle puts the parameters of a query there, and with them whatever an uploader has sent.
 */
function describeError(error: unknown, depth = 1): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? error.slice(0, MESSAGE_LENGTH_MAX) : typeof error
  return {
    type: error.name,
    message: error.message.split('\n', 1)[0]?.slice(0, MESSAGE_LENGTH_MAX),
    code: 'code' in error ? error.code : undefined,
    stack: error.stack
      ?.split('\n')
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim()),
    cause: error.cause === undefined || depth >= CAUSES_MAX ? undefined : describeError(error.cause, depth + 1),
  }
}
