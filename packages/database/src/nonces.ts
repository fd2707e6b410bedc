import { type Nonces, SluiceError } from '@sluice/core'
import type { Runner } from './transaction.ts'

export function openNonces(_: Runner): Nonces {
  return {
    use: () => Promise.reject(new SluiceError('internal_error')),
    forget: () => Promise.reject(new SluiceError('internal_error')),
  }
}
