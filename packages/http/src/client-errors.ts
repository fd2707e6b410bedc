import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, SluiceError } from '@sluice/core'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

const NODE_CODES: Readonly<Record<string, [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The address and the headers may have 16 KiB together.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The headers or the body did not arrive in time.'],
  HPE_INVALID_EOF_STATE: ['request_aborted', 'The connection ended before the request was complete.'],
  HPE_INVALID_METHOD: ['request_invalid', 'HTTP has no such method.'],
}

/** Answers what never became a request, as everything else is answered, and ends the connection. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  // Nobody is there to be told.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) socket.write(responseTo(error.code ?? ''))
  socket.destroy(error)
}

function responseTo(nodeCode: string): string {
  const [code, detail] = NODE_CODES[nodeCode] ?? ['request_invalid', 'This is not valid HTTP.']
  const problem = problemOf(new SluiceError(code, detail))
  const body = JSON.stringify(problem)
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${PROBLEM_TYPE}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
