import { blobKey } from '../../file.ts'
import type { Files } from '../../ports.ts'
import type { Tables } from './tables.ts'

export function memoryFiles({ files, facts }: Tables): Files {
  return {
    async find(tenantId, id) {
      const file = files.get(id)
      return file?.tenantId === tenantId ? file : null
    },
    findFacts: async (tenantId, digest) => facts.get(blobKey(tenantId, digest)) ?? null,
  }
}
