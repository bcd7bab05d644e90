import type { Clock, Revision, Timer } from '@holdfast/core'
import { successionOf } from '@holdfast/core'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Target } from './store-says.ts'

/** Up to where the store was followed. */
export interface Cursor {
  readonly release: ReleaseName
  readonly revision: Revision
  /** The number of the head that was seen with it; 0 when there was none. */
  readonly headNumber: number
}

/**
 * Whether a store that went back is being held off.
 *
 * - `held`: the snapshot is kept, until `untilMs` (monotonic), or until a newer release comes.
 * - `over`: it was held long enough; the store is followed.
 */
export type Hold =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly untilMs: number | undefined; readonly target: Target }
  | { readonly kind: 'over' }

/** How patiently a store that went back is held off. */
export interface RegressionOptions {
  readonly clock: Clock
  readonly holdMs: number
  /** Releases are signed: an older state of the store may be a replay, and is held off until somebody says otherwise. */
  readonly isTrusting: boolean
  /** The hold has ended. */
  readonly ended: () => void
}

const NONE: Hold = Object.freeze({ kind: 'none' })
const OVER: Hold = Object.freeze({ kind: 'over' })

/**
 * Tells a store that went on from one that went back, by what was applied last. One that went back is held off for a while: it may
 * come to itself, and somebody may want to look. Then it is followed, so that a fleet converges.
 */
export class Regression {
  readonly #options: RegressionOptions
  #cursor: Cursor | undefined
  #hold: Hold = NONE
  #timer: Timer | undefined

  constructor(options: RegressionOptions) {
    this.#options = options
  }

  /** Of what was applied last; undefined when nothing was. */
  get cursor(): Cursor | undefined {
    return this.#cursor
  }

  get hold(): Hold {
    return this.#hold
  }

  /** Whether the target must not be applied yet. A release that is the cursor's never is held off: there is nothing to go back to. */
  holdsOff(target: Target): boolean {
    const cursor = this.#cursor
    if (cursor === undefined || this.#hold.kind === 'over' || isSameRelease(cursor.release, target.release))
      return false
    // A store that went back and was written to since can have any number: once held off, it is until it shows the cursor again.
    if (this.#hold.kind === 'none' && !this.#wentBack(cursor, target)) return false
    const { isTrusting, holdMs } = this.#options
    if (isTrusting && target.release.number > cursor.release.number) return false
    if (this.#hold.kind === 'none') this.#hold = this.#heldFor(isTrusting ? undefined : holdMs, target)
    else this.#hold = { ...this.#hold, target }
    return true
  }

  /** Ends a hold that there is. */
  overrule(): void {
    if (this.#hold.kind === 'held') this.#set(OVER)
  }

  /** What the store says is in use: from here on it goes on or back. */
  moveTo(cursor: Cursor | undefined): void {
    this.#cursor = cursor
    this.#set(NONE)
  }

  close(): void {
    this.#timer?.cancel()
  }

  #wentBack(cursor: Cursor, target: Target): boolean {
    if (successionOf(cursor.revision, target.revision) !== 'forward') return true
    // Somebody who may write, and has no key, can put an old signed release in front again.
    return this.#options.isTrusting && target.headNumber < cursor.headNumber
  }

  #heldFor(holdMs: number | undefined, target: Target): Hold {
    const { clock, ended } = this.#options
    if (holdMs === undefined) return { kind: 'held', untilMs: undefined, target }
    this.#timer = clock.setTimer(() => {
      this.#set(OVER)
      ended()
    }, holdMs)
    return { kind: 'held', untilMs: clock.monotonicMs() + holdMs, target }
  }

  #set(hold: Hold): void {
    this.#timer?.cancel()
    this.#hold = hold
  }
}
