import { keepHeapLean } from '@sluice/runtime/lean-heap'

keepHeapLean()
const { openConsoleService, runService } = await import('@sluice/runtime')
await runService(openConsoleService)
