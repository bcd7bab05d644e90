import type { ConformanceCase } from './harness.ts'
import type { RecordCase } from './record-case.ts'
import { isRecordCaseExpressible } from './record-case.ts'
import { announcementCases } from './record-cases/announcing.ts'
import { closingCases } from './record-cases/closing.ts'
import { commitCases } from './record-cases/commits.ts'
import { ephemeralCases } from './record-cases/ephemerals.ts'
import { listenerCases } from './record-cases/listeners.ts'
import { lossCases } from './record-cases/losses.ts'
import { readCases } from './record-cases/reads.ts'
import { repeatCases } from './record-cases/repeats.ts'
import { valueCases } from './record-cases/values.ts'
import { watchCases } from './record-cases/watching.ts'
import type { RecordHarness, RecordPromise } from './record-harness.ts'
import { RecordScene } from './record-scene.ts'

const CASES: readonly RecordCase[] = [
  ...commitCases,
  ...repeatCases,
  ...readCases,
  ...valueCases,
  ...lossCases,
  ...listenerCases,
  ...ephemeralCases,
  ...watchCases,
  ...announcementCases,
  ...closingCases,
]

/**
 * What every `RecordStore` promises, as cases for any test runner. A case that the world of the harness cannot express (see
 * the capabilities of `RecordHarness`) is not among them.
 *
 * ```ts
 * for (const { promise, name, run } of recordConformance(harness)) it(`${promise}: ${name}`, run)
 * ```
 */
export function recordConformance(harness: RecordHarness): readonly ConformanceCase<RecordPromise>[] {
  return CASES.filter(one => isRecordCaseExpressible(one, harness)).map(({ name, promise, body }) => ({
    name,
    promise,
    run: async () => {
      await using scene = new RecordScene(harness)
      await body(scene)
    },
  }))
}
