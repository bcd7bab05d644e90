import type { ConformanceCase, LeaseHarness } from './harness.ts'
import { abortCases } from './lease-cases/aborts.ts'
import { closingCases } from './lease-cases/closing.ts'
import { deadlineCases } from './lease-cases/deadlines.ts'
import { engineCases } from './lease-cases/engine.ts'
import { grantCases } from './lease-cases/grants.ts'
import { nameCases } from './lease-cases/names.ts'
import { releaseCases } from './lease-cases/releases.ts'
import { tokenCases } from './lease-cases/tokens.ts'
import { waiterCases } from './lease-cases/waiters.ts'
import type { LeaseCase } from './lease-case.ts'
import { isExpressible } from './lease-case.ts'
import { Scene } from './scene.ts'

const CASES: readonly LeaseCase[] = [
  ...grantCases,
  ...releaseCases,
  ...tokenCases,
  ...deadlineCases,
  ...abortCases,
  ...waiterCases,
  ...closingCases,
  ...nameCases,
  ...engineCases,
]

/**
 * What every `LeaseStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see
 * `LeaseHarness.loseData`, `silence`, `requests`, `ordering`) is not among them.
 *
 * ```ts
 * for (const { promise, name, run } of leaseConformance(harness)) it(`${promise}: ${name}`, run)
 * ```
 */
export function leaseConformance(harness: LeaseHarness): readonly ConformanceCase[] {
  return CASES.filter(({ needs }) => isExpressible(needs, harness)).map(({ name, promise, body }) => ({
    name,
    promise,
    run: async () => {
      await using scene = new Scene(harness)
      await body(scene)
    },
  }))
}
