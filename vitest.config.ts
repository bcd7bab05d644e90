import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'examples/*/src/**/*.test.ts',
      'bench/src/**/*.test.ts',
      'faults/src/**/*.test.ts',
      'sim/src/**/*.test.ts',
      'scripts/**/*.test.mjs',
    ],
    pool: 'forks',
    // Most of the time of the long ones is waiting.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    allowOnly: false,
  },
})
