import { openWorkerService, runService } from '@sluice/runtime'

await runService(openWorkerService)
