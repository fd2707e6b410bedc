import { keepHeapLean } from '@sluice/runtime/lean-heap'

keepHeapLean()
const { openWorkerService, runService } = await import('@sluice/runtime/worker')
await runService(openWorkerService)
