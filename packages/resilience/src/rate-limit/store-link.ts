import type { Clock } from '@holdfast/core'
import { codeOf } from '../errors.ts'

const PROBE_FIRST_MS = 50
const PROBE_MAX_MS = 500
// A timeout that comes this much later than it was set for says that this process stood still; the answer may lie unread.
const LATE_MS = 5
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
  /** Grows whenever the store goes away: what was sent before says nothing about it after. */
  #epoch = 0
  /** When a timeout was late, if nothing was answered since. */
  #lateAtMs: number | undefined
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

  /** Until it is asked again; 0 while it is up. */
  retryAfterMs(nowMs: number): number {
    return this.#away === undefined ? 0 : Math.max(1, Math.ceil(this.#away.probeAtMs - nowMs))
  }

  /**
   * The answer to a request, or undefined when there is none and the call has to be decided without. Where this process itself stood
   * still it is asked once more.
   *
   * @throws what is a mistake: no waiting cures it, and to go on without the store would hide it.
   */
  async ask<T>(request: () => Promise<T>, timeoutMs: number): Promise<T | undefined> {
    for (;;) {
      const epoch = this.#epoch
      const sentAtMs = this.#clock.monotonicMs()
      try {
        const answer = await request()
        this.#lateAtMs = undefined
        return answer
      } catch (error) {
        if (PERMANENT.has(codeOf(error))) throw error
        this.#failed(error, { epoch, sentAtMs, timeoutMs })
        if (!this.isUp) return undefined
      }
    }
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

  #failed(cause: unknown, sent: { epoch: number; sentAtMs: number; timeoutMs: number }): void {
    this.#failures += 1
    // It was sent before the store was away, or has been back: that is known, or over.
    if (sent.epoch !== this.#epoch) return
    const nowMs = this.#clock.monotonicMs()
    const isLate = nowMs - sent.sentAtMs > sent.timeoutMs + LATE_MS
    if (isLate && (this.#lateAtMs === undefined || sent.sentAtMs < this.#lateAtMs)) {
      this.#lateAtMs ??= nowMs
      return
    }
    this.#lateAtMs = undefined
    this.#epoch += 1
    this.#away = { sinceMs: nowMs, nextProbeMs: PROBE_FIRST_MS, probeAtMs: nowMs + PROBE_FIRST_MS, isProbing: false }
    this.#listener.storeLost(cause)
  }
}
