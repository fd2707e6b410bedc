import { openIntakeService, runService } from '@sluice/runtime'

await runService(openIntakeService)
