import { defineConfig } from 'vitest/config'

const servers = ['./e2e/servers/setup.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    setupFiles: ['./scripts/test-seed.ts'],
    // Tests make real files, processes and databases: two at a time keep a small machine honest.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/{core,images,http,fetch}/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'drivers',
          include: ['packages/{database,queue,storage,runtime}/src/**/*.test.ts', 'services/*/src/**/*.test.ts'],
          globalSetup: servers,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          globalSetup: servers,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
