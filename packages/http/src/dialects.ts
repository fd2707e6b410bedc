import { akeneo } from './akeneo/index.ts'
import type { Dialect } from './dialect.ts'
import { elasticPath } from './elastic-path/index.ts'
import { openmage } from './openmage/index.ts'
import { tokenImages } from './token-images/index.ts'

/** Every foreign API that is served. To add one, write its folder and put it here. */
export const DIALECTS: readonly Dialect[] = [akeneo, elasticPath, openmage, tokenImages]
