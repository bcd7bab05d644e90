import type { ConformanceCase, LeaseHarness } from './harness.ts'
import { abortCases } from './lease-cases/aborts.ts'
import { closingCases } from './lease-cases/closing.ts'
import { deadlineCases } from './lease-cases/deadlines.ts'
import { downgradeCases } from './lease-cases/downgrades.ts'
import { engineCases } from './lease-cases/engine.ts'
import { grantCases } from './lease-cases/grants.ts'
import { modeCases } from './lease-cases/modes.ts'
import { nameCases } from './lease-cases/names.ts'
import { outageCases } from './lease-cases/outages.ts'
import { permitCases } from './lease-cases/permits.ts'
import { permitQueueCases } from './lease-cases/permit-queues.ts'
import { readerCases } from './lease-cases/readers.ts'
import { readerQueueCases } from './lease-cases/reader-queues.ts'
import { releaseCases } from './lease-cases/releases.ts'
import { sharedTokenCases } from './lease-cases/shared-tokens.ts'
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
  ...outageCases,
  ...closingCases,
  ...nameCases,
  ...engineCases,
  ...modeCases,
  ...readerCases,
  ...readerQueueCases,
  ...sharedTokenCases,
  ...permitCases,
  ...permitQueueCases,
  ...downgradeCases,
]

/**
 * What every `LeaseStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see
 * `LeaseHarness.loseData`, `silence`, `requests`, `ordering`, `waiters`, `modes`, `slots`) is not among them.
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
