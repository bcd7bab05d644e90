import type { ConformanceCase } from './harness.ts'
import { argumentCases } from './rate-cases/arguments.ts'
import { clockCases } from './rate-cases/clocks.ts'
import { decisionCases } from './rate-cases/decisions.ts'
import { failureCases } from './rate-cases/failures.ts'
import { giveBackCases } from './rate-cases/give-backs.ts'
import { manyCases } from './rate-cases/many.ts'
import { raceCases } from './rate-cases/races.ts'
import type { RateHarness, RatePromise } from './rate-harness.ts'
import type { RateCase } from './rate-scene.ts'
import { RateScene, isRateCaseExpressible } from './rate-scene.ts'

const CASES: readonly RateCase[] = [
  ...raceCases,
  ...clockCases,
  ...decisionCases,
  ...manyCases,
  ...giveBackCases,
  ...argumentCases,
  ...failureCases,
]

/**
 * What every `RateStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see the
 * capabilities of `RateHarness`) is not among them.
 *
 * ```ts
 * for (const { promise, name, run } of rateConformance(harness)) it(`${promise}: ${name}`, run)
 * ```
 */
export function rateConformance(harness: RateHarness): readonly ConformanceCase<RatePromise>[] {
  return CASES.filter(one => isRateCaseExpressible(one, harness)).map(({ name, promise, body }) => ({
    name,
    promise,
    run: async () => {
      await using scene = new RateScene(harness)
      await body(scene)
    },
  }))
}
