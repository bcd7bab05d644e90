import type { Clock } from '@holdfast/core'
import { codeOf } from '../errors.ts'

const PROBE_FIRST_MS = 50
const PROBE_MAX_MS = 500
// Mistakes: no waiting cures them, and to go on without the store would hide them.
const PERMANENT: ReadonlySet<unknown> = new Set(['HF_INVALID_ARGUMENT', 'HF_UNSUPPORTED', 'HF_INVARIANT'])

/** Who wants to know that the store went away, or came back. */
export interface LinkListener {
  storeLost(cause: unknown): void
  storeBack(awayMs: number): void
}

/**
 * A breaker towards a store: one answer that does not come, and nobody waits for the store any more. While it is away one call at
 * a time asks it again, beside being decided without it, at most every 500 ms; one answer, and the store decides again.
 *
 * It has no timer: without calls nothing is asked.
 */
export class StoreLink {
  readonly #clock: Clock
  readonly #listener: LinkListener
  /** Grows whenever the store goes away: what was sent before says nothing about it now. */
  #epoch = 0
  #away: { sinceMs: number; nextProbeMs: number; probeAtMs: number; isProbing: boolean } | undefined
  #failures = 0
  #probes = 0

  constructor(clock: Clock, listener: LinkListener) {
    this.#clock = clock
    this.#listener = listener
  }

  get isUp(): boolean {
    return this.#away === undefined
  }

  /** To be kept while a request is under way, for `failed`. */
  get epoch(): number {
    return this.#epoch
  }

  /** Until it is asked again; 0 while it is up. */
  retryAfterMs(nowMs: number): number {
    return this.#away === undefined ? 0 : Math.max(1, Math.ceil(this.#away.probeAtMs - nowMs))
  }

  /** A request of `epoch` was not answered. @throws `cause` where it is a mistake: the caller has to hear it. */
  failed(epoch: number, cause: unknown): void {
    if (PERMANENT.has(codeOf(cause))) throw cause
    this.#failures += 1
    if (epoch !== this.#epoch) return
    const sinceMs = this.#clock.monotonicMs()
    this.#epoch += 1
    this.#away = { sinceMs, nextProbeMs: PROBE_FIRST_MS, probeAtMs: sinceMs + PROBE_FIRST_MS, isProbing: false }
    this.#listener.storeLost(cause)
  }

  /** Asks the store whether it is back, if it is away and it is time to. Returns at once. */
  probe(nowMs: number, ask: () => Promise<unknown>): void {
    const away = this.#away
    if (away === undefined || away.isProbing || nowMs < away.probeAtMs) return
    away.isProbing = true
    this.#probes += 1
    void ask().then(
      () => {
        this.#away = undefined
        this.#listener.storeBack(this.#clock.monotonicMs() - away.sinceMs)
      },
      () => {
        away.isProbing = false
        away.nextProbeMs = Math.min(PROBE_MAX_MS, away.nextProbeMs * 2)
        away.probeAtMs = this.#clock.monotonicMs() + away.nextProbeMs
      },
    )
  }

  describe(): { readonly failures: number; readonly probes: number } {
    return { failures: this.#failures, probes: this.#probes }
  }
}
