import { SluiceError } from '@sluice/core'

export function unreachable(what: string, cause?: unknown): SluiceError {
  return new SluiceError('url_unreachable', `The file could not be fetched from its address. ${what}`, { cause })
}
