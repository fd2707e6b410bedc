import { openConsoleService, runService } from '@sluice/runtime'

await runService(openConsoleService)
