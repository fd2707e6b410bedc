import { type ErrorDetails, SluiceError } from '@sluice/core'

/** The address is at fault: asking again gives the same. */
export function unreachable(what: string, cause?: unknown): SluiceError {
  return new SluiceError('url_unreachable', `The file could not be fetched from its address. ${what}`, { cause })
}

/** Its server is at fault, or the way there: asking later may help. */
export function unavailable(what: string, options: { cause?: unknown; details?: ErrorDetails } = {}): SluiceError {
  return new SluiceError('source_unavailable', `The file could not be fetched from its address. ${what}`, options)
}
