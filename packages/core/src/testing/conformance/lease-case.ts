import type { LeaseHarness, LeasePromise } from './harness.ts'
import type { Scene } from './scene.ts'

/** A behaviour, before it is bound to a harness. */
export interface LeaseCase {
  readonly promise: LeasePromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: 'loseData' | 'silence' | 'requests' | 'fifo'
  readonly body: (scene: Scene) => Promise<void>
}

/** Whether the case can be expressed in that world. */
export function isExpressible(needs: LeaseCase['needs'], harness: LeaseHarness): boolean {
  if (needs === undefined) return true
  if (needs === 'fifo') return harness.ordering === 'fifo'
  return harness[needs].kind === 'supported'
}
