import { keepHeapLean } from '@sluice/runtime/lean-heap'

keepHeapLean()
await import('./program.ts')
