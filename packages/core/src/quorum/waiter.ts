import type { Chained } from '../chain.ts'
import type { Clock, Timer } from '../clock.ts'
import { UnavailableError } from '../errors.ts'
import type { Grant } from '../ports/leases.ts'
import type { Random } from '../random.ts'
import type { CampaignOutcome } from './campaign.ts'
import type { InLine, WaitingLines } from './lines.ts'

/** What a waiter works with. */
export interface WaiterParts {
  readonly clock: Clock
  readonly random: Random
  readonly lines: WaitingLines
  /** The longest pause between two questions. */
  readonly retryMsMax: number
  /** For how long a waiter that was told to wait bears with servers that cannot serve. */
  readonly patienceMs: number
  /** One round of votes, and how to give it up. */
  readonly campaign: () => { readonly outcome: Promise<CampaignOutcome>; readonly giveUp: () => void }
}

/** Who hears of a waiter: `queued` once, and one of the others once. */
export interface WaiterListener {
  readonly queued: () => void
  readonly resolve: (grant: Grant) => void
  readonly reject: (error: unknown) => void
}

/** Somebody who waits or tries, until his wish is over. */
export interface Wish extends Chained<Wish> {
  giveUp(reason: unknown): void
}

const HELD_MS = 100

/**
 * Waits by asking again: no server of a quorum knows a queue, and nobody wakes a waiter but a release of the same client. The pauses
 * double up to `retryMsMax`, half of each by chance, and end when the holder's votes do.
 */
export class QuorumWaiter implements InLine, Wish {
  previous: Wish | undefined
  next: Wish | undefined
  readonly #resource: string
  readonly #parts: WaiterParts
  readonly #listener: WaiterListener
  #timer: Timer | undefined
  #giveUpCampaign: (() => void) | undefined
  #mustAskAgain = false
  #isQueued = false
  #failingSinceMs: number | undefined
  #isOver = false
  #refusals = 0

  constructor(resource: string, parts: WaiterParts, listener: WaiterListener) {
    this.#resource = resource
    this.#parts = parts
    this.#listener = listener
  }

  start(): void {
    const { lines } = this.#parts
    lines.join(this.#resource, this)
    if (lines.isFirst(this.#resource, this)) this.ask()
  }

  ask(): void {
    if (this.#isOver) return
    if (this.#giveUpCampaign !== undefined) {
      this.#mustAskAgain = true
      return
    }
    this.#timer?.cancel()
    this.#mustAskAgain = false
    const { outcome, giveUp } = this.#parts.campaign()
    this.#giveUpCampaign = giveUp
    outcome.then(
      answer => this.#onOutcome(answer),
      (error: unknown) => this.#fail(error),
    )
  }

  tellQueued(): void {
    this.#failingSinceMs = undefined
    if (this.#isQueued || this.#isOver) return
    this.#isQueued = true
    this.#listener.queued()
  }

  tellFailure(error: unknown): void {
    const nowMs = this.#parts.clock.monotonicMs()
    this.#failingSinceMs ??= nowMs
    if (nowMs - this.#failingSinceMs >= this.#parts.patienceMs) this.giveUp(error)
  }

  /** Leaves, and takes back what was asked for. */
  giveUp(reason: unknown): void {
    if (this.#isOver) return
    this.#giveUpCampaign?.()
    this.#fail(reason)
  }

  #onOutcome(outcome: CampaignOutcome): void {
    this.#giveUpCampaign = undefined
    if (this.#isOver) return
    const { lines } = this.#parts
    switch (outcome.kind) {
      case 'won':
        this.#end()
        return this.#listener.resolve(outcome.grant)
      case 'held':
        lines.noteHeld(this.#resource)
        return this.#askIn(Math.min(outcome.remainingMs + 1, this.#pauseMs(HELD_MS)))
      case 'split':
        lines.noteHeld(this.#resource)
        return this.#askIn(splitPauseMs(this.#parts.random, outcome.tookMs, this.#refusals))
      case 'failed':
        // A "no" for good will be the same the next time.
        if (!this.#isQueued || !(outcome.error instanceof UnavailableError)) return this.#fail(outcome.error)
        lines.noteFailure(this.#resource, outcome.error)
        return this.#askIn(this.#pauseMs(HELD_MS))
    }
  }

  #pauseMs(firstMs: number): number {
    const { random, retryMsMax } = this.#parts
    const ceilingMs = Math.min(retryMsMax, firstMs * 2 ** Math.min(this.#refusals, 16))
    return ceilingMs / 2 + (random.next() * ceilingMs) / 2
  }

  #askIn(delayMs: number): void {
    if (this.#isOver) return
    this.#refusals += 1
    if (this.#mustAskAgain) return this.ask()
    // Somebody awaits what comes of it.
    const bound = Math.min(delayMs, this.#parts.retryMsMax)
    this.#timer = this.#parts.clock.setTimer(() => this.ask(), bound, { background: false })
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.#listener.reject(error)
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#parts.lines.leave(this.#resource, this)
  }
}

/**
 * How long one whose votes were split waits before it asks again: by chance, up to twice as long as a round of votes takes, so that one
 * of those who split them comes before the others, and twice that for each further time.
 */
export function splitPauseMs(random: Random, tookMs: number, splits: number): number {
  return random.next() * (2 * tookMs + 4) * 2 ** Math.min(splits, 6)
}
