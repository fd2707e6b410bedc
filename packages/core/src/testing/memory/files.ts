import { blobKey, type File } from '../../file.ts'
import type { FileCondition, Files } from '../../ports.ts'
import { refuseOwned } from '../../product-image.ts'
import { writeImages } from './product-images.ts'
import type { Tables } from './tables.ts'

export function memoryFiles(tables: Tables): Files {
  const { files, facts, products } = tables
  const own = (tenantId: string) => [...files.values()].filter((file) => file.tenantId === tenantId)

  return {
    async find(tenantId, id) {
      const file = files.get(id)
      return file?.tenantId === tenantId ? file : null
    },
    findByCode: async (tenantId, code) => own(tenantId).find((file) => file.code === code) ?? null,
    findMany: async (tenantId, ids) => own(tenantId).filter(({ id }) => ids.includes(id)),
    async list(tenantId, filter, { offset, limit, withTotal }) {
      const found = own(tenantId).filter((file) => filter.every((condition) => holds(condition, file)))
      const items = found.sort((a, b) => a.number - b.number).slice(offset, offset + limit)
      return { items, total: withTotal ? found.length : 0 }
    },
    async remove(tenantId, id) {
      if (files.get(id)?.tenantId !== tenantId) return false
      const showing = [...products.values()].filter(({ images }) => images.some(({ file }) => file.id === id))
      for (const { product } of showing) refuseOwned(product.owner)
      for (const row of showing) {
        writeImages(tables, row, { ...row, images: row.images.filter(({ file }) => file.id !== id) })
      }
      return files.delete(id)
    },
    findByDigests: async (tenantId, digests) => {
      const found = own(tenantId).sort((a, b) => b.number - a.number)
      return new Map(found.filter(({ facts }) => digests.includes(facts.digest)).map(({ id, facts }) => [facts.digest, id]))
    },
    findFacts: async (tenantId, digest) => facts.get(blobKey(tenantId, digest)) ?? null,
  }
}

function holds(condition: FileCondition, { name, facts }: File): boolean {
  if (condition.field === 'name') {
    if (name === null) return false
    return condition.operator === 'eq' ? name === condition.value : patternOf(condition.value).test(name)
  }
  const difference = facts[condition.field] - condition.value
  const truths = { eq: difference === 0, lt: difference < 0, le: difference <= 0, gt: difference > 0, ge: difference >= 0 }
  return truths[condition.operator]
}

function patternOf(like: string): RegExp {
  return new RegExp(
    `^${like
      .split('*')
      .map((text) => RegExp.escape(text))
      .join('[^]*')}$`,
    'iu',
  )
}
