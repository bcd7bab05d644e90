import { gateCases } from './barrier-gate-cases.ts'
import type { BarrierHarness, BarrierPromise } from './barrier-harness.ts'
import { partyCases } from './barrier-party-cases.ts'
import { BarrierScene } from './barrier-scene.ts'
import type { ConformanceCase } from './harness.ts'

/**
 * What every `BarrierStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see the
 * capabilities of `BarrierHarness`) is not among them.
 *
 * ```ts
 * for (const { promise, name, run } of barrierConformance(harness)) it(`${promise}: ${name}`, run)
 * ```
 */
export function barrierConformance(harness: BarrierHarness): readonly ConformanceCase<BarrierPromise>[] {
  const expressible = [...gateCases, ...partyCases].filter(({ needs = [] }) =>
    needs.every(capability => harness[capability].kind === 'supported'),
  )
  return expressible.map(({ name, promise, body }) => ({
    name,
    promise,
    run: async () => {
      await using scene = new BarrierScene(harness)
      await body(scene)
    },
  }))
}
