import { objectsSuite } from '@sluice/core/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openFilesystemObjects } from './filesystem.ts'

const dir = await mkdtemp(join(tmpdir(), 'sluice-filesystem-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

objectsSuite('filesystem', () => openFilesystemObjects({ dir: join(dir, 'suite') }))
