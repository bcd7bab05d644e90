import type { RecordHarness, RecordPromise } from './record-harness.ts'
import type { RecordScene } from './record-scene.ts'

/** What a world may be unable to do to itself. */
export type RecordCapability = 'loseData' | 'backUp' | 'silence' | 'cut' | 'muffle' | 'restart' | 'endSession'

/** A behaviour, before it is bound to a harness. */
export interface RecordCase {
  readonly promise: RecordPromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: readonly RecordCapability[]
  readonly body: (scene: RecordScene) => Promise<void>
}

/** Whether the case can be expressed in that world. */
export function isRecordCaseExpressible({ needs = [] }: RecordCase, harness: RecordHarness): boolean {
  return needs.every(capability => harness[capability].kind === 'supported')
}
