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
    // A bound for what hangs, and for nothing else: how long a test takes is the machine's affair.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    setupFiles: ['scripts/vitest-patience.mjs'],
    allowOnly: false,
  },
})
