import { keepHeapLean } from '@sluice/runtime/lean-heap'

keepHeapLean()
const { openIntakeService, runService } = await import('@sluice/runtime')
await runService(openIntakeService)
