import type { LeaseHarness, LeasePromise } from './harness.ts'
import type { Scene } from './scene.ts'

/** What a world must be able to do for a case: `modes` = all of them, `exclusive` = none. */
export type LeaseNeed = 'loseData' | 'silence' | 'requests' | 'fifo' | 'modes' | 'exclusive' | 'slots' | 'listed'

/** A behaviour, before it is bound to a harness. */
export interface LeaseCase {
  readonly promise: LeasePromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: LeaseNeed | readonly LeaseNeed[]
  readonly body: (scene: Scene) => Promise<void>
}

/** Whether the case can be expressed in that world. */
export function isExpressible(needs: LeaseCase['needs'], harness: LeaseHarness): boolean {
  if (needs === undefined) return true
  return (typeof needs === 'string' ? [needs] : needs).every(need => isMet(need, harness))
}

function isMet(need: LeaseNeed, harness: LeaseHarness): boolean {
  switch (need) {
    case 'fifo':
      return harness.ordering === 'fifo'
    case 'listed':
      return harness.waiters !== 'unlisted'
    case 'modes':
      return harness.modes === 'all'
    case 'exclusive':
      return harness.modes === 'exclusive'
    case 'slots':
      return harness.slots
    default:
      return harness[need].kind === 'supported'
  }
}
