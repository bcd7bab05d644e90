import { defineConfig } from 'vitest/config'
import type { TestSequencer, TestSpecification, Vitest } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'

// The suites on real servers wait most of their time. Those that began last would leave the machine idle, so they begin first.
const LONG = /\/zookeeper\/|conformance|ensemble|interop|recipes|sentinel|cluster/

class LongestFirst implements TestSequencer {
  readonly #usual: BaseSequencer

  constructor(vitest: Vitest) {
    this.#usual = new BaseSequencer(vitest)
  }

  shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    return this.#usual.shard(files)
  }

  async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await this.#usual.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter(file => !isLong(file))]
  }
}

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
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    // A bound for what hangs, and for nothing else: how long a test takes is the machine's affair.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    setupFiles: ['scripts/vitest-patience.mjs'],
    allowOnly: false,
  },
})
