import type { RateDecision } from '@holdfast/core'
import type { Quota, QuotaView } from './meter.ts'

// A permit that somebody gives back is seen this much later at most.
const DENY_MS_MAX = 100

interface Seen {
  remaining: number
  atMs: number
  resetAtMs: number
  deniedUntilMs: number
  deniedCost: number
}

/**
 * What a store said last of each key, in bounded memory: so that a hot key that is over its quota costs no round trips, and that
 * callers can be told how their quota stands. To forget a key costs a round trip, no permit.
 */
export class SeenDecisions {
  readonly #seen = new Map<string, Seen>()
  #keysMax: number

  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#seen.size
  }

  setKeysMax(keysMax: number): void {
    this.#keysMax = keysMax
    this.#seen.clear()
  }

  note(key: string, decision: RateDecision, cost: number, nowMs: number): void {
    const seen = this.#seen.get(key) ?? this.#add(key)
    seen.remaining = decision.remaining
    seen.atMs = nowMs
    seen.resetAtMs = nowMs + decision.resetMs
    if (decision.kind === 'granted') {
      seen.deniedUntilMs = 0
      return
    }
    seen.deniedUntilMs = nowMs + Math.min(DENY_MS_MAX, decision.retryAfterMs)
    seen.deniedCost = cost
  }

  /** How long the key is known to have less than `cost`; 0 where the store has to be asked. */
  deniedMs(key: string, cost: number, nowMs: number): number {
    const seen = this.#seen.get(key)
    if (seen === undefined || cost < seen.deniedCost) return 0
    return Math.max(0, seen.deniedUntilMs - nowMs)
  }

  /** Permits were given back: ask again. */
  allow(key: string): void {
    const seen = this.#seen.get(key)
    if (seen !== undefined) seen.deniedUntilMs = 0
  }

  /** What the store said last, and what has come back since. */
  view(key: string, { limit, periodMs, burst }: Quota, nowMs: number): QuotaView {
    const seen = this.#seen.get(key)
    if (seen === undefined || seen.resetAtMs <= nowMs) return { limit, periodMs, remaining: burst, resetMs: 0 }
    const back = Math.floor(((nowMs - seen.atMs) * limit) / periodMs)
    const remaining = Math.min(burst, seen.remaining + back)
    return { limit, periodMs, remaining, resetMs: Math.ceil(seen.resetAtMs - nowMs) }
  }

  #add(key: string): Seen {
    if (this.#seen.size >= this.#keysMax) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest)
        break
      }
    }
    const seen: Seen = { remaining: 0, atMs: 0, resetAtMs: 0, deniedUntilMs: 0, deniedCost: 0 }
    this.#seen.set(key, seen)
    return seen
  }
}
