import type { ConformanceCase } from './harness.ts'
import { beginCases } from './idempotency-cases/begins.ts'
import { endCases } from './idempotency-cases/ends.ts'
import { failureCases } from './idempotency-cases/failures.ts'
import { fenceCases } from './idempotency-cases/fences.ts'
import { leaseCases } from './idempotency-cases/leases.ts'
import { repeatCases } from './idempotency-cases/repeats.ts'
import { resultCases } from './idempotency-cases/results.ts'
import type { IdempotencyHarness, IdempotencyPromise } from './idempotency-harness.ts'
import type { IdempotencyCase } from './idempotency-scene.ts'
import { IdempotencyScene, isIdempotencyCaseExpressible } from './idempotency-scene.ts'

const CASES: readonly IdempotencyCase[] = [
  ...beginCases,
  ...endCases,
  ...fenceCases,
  ...leaseCases,
  ...repeatCases,
  ...resultCases,
  ...failureCases,
]

/**
 * What every `IdempotencyStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see
 * the capabilities of `IdempotencyHarness`) is not among them.
 *
 * ```ts
 * for (const { promise, name, run } of idempotencyConformance(harness)) it(`${promise}: ${name}`, run)
 * ```
 */
export function idempotencyConformance(harness: IdempotencyHarness): readonly ConformanceCase<IdempotencyPromise>[] {
  return CASES.filter(one => isIdempotencyCaseExpressible(one, harness)).map(({ name, promise, body }) => ({
    name,
    promise,
    run: async () => {
      await using scene = new IdempotencyScene(harness)
      await body(scene)
    },
  }))
}
