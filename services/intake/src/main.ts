import { keepHeapLean } from '@sluice/runtime/lean-heap'

keepHeapLean()
const { openIntakeService, runService } = await import('@sluice/runtime/intake')
await runService(openIntakeService)
