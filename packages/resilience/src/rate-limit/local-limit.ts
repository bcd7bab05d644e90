import type { KeyJudge } from './key-table.ts'
import { KeyTable } from './key-table.ts'
import type { Meter, QuotaView } from './meter.ts'

/** The meter of most keys, and those of keys that have a quota of their own. */
export interface Meters {
  readonly usual: Meter
  readonly named: ReadonlyMap<string, Meter>
}

/** Quotas of many keys, and one for calls without a key, counted in this process. */
export class LocalLimit implements KeyJudge {
  readonly #table: KeyTable
  readonly #keyless: Float64Array
  #meters: Meters
  #shared = 0

  constructor(meters: Meters, { keysMax, hashSeed }: { readonly keysMax: number; readonly hashSeed: number }) {
    const { width } = meters.usual
    this.#meters = meters
    this.#table = new KeyTable({ width, keysMax, hashSeed })
    this.#keyless = new Float64Array(width)
  }

  /** A ticket for `undo`, or less: see `Meter`. */
  take(key: string | undefined, cost: number, nowMs: number): number {
    if (key === undefined) return this.#meters.usual.take(this.#keyless, 0, cost, nowMs)
    const at = this.#table.find(key)
    if (at === undefined) return this.#takeFirst(key, cost, nowMs)
    return this.meterOf(key).take(this.#table.state, at, cost, nowMs)
  }

  undo(key: string | undefined, cost: number, ticket: number): void {
    if (key === undefined) return this.#meters.usual.undo(this.#keyless, 0, cost, ticket)
    const at = this.#table.find(key)
    if (at !== undefined) this.meterOf(key).undo(this.#table.state, at, cost, ticket)
    else if (this.#table.shared !== undefined) {
      this.meterOf(key).undo(this.#table.shared, this.#table.shareOf(key), cost, ticket)
    }
  }

  view(key: string | undefined, nowMs: number): QuotaView {
    const meter = this.meterOf(key)
    const { remaining, resetMs } = this.#look(meter, key, nowMs)
    const { limit, periodMs } = meter.quota
    return { limit, periodMs, remaining, resetMs: Math.ceil(resetMs) }
  }

  meterOf(key: string | undefined): Meter {
    const { usual, named } = this.#meters
    if (key === undefined || named.size === 0) return usual
    return named.get(key) ?? usual
  }

  /** Other quotas from now on: of what was taken nothing is lost, and nothing granted again. */
  change(meters: Meters, keysMax: number, nowMs: number): void {
    const previous = this.#meters
    const before = (key: string): Meter => previous.named.get(key) ?? previous.usual
    this.#meters = meters
    this.#table.setKeysMax(keysMax)
    meters.usual.adopt(this.#keyless, 0, previous.usual, nowMs)
    this.#table.each((key, at) => this.meterOf(key).adopt(this.#table.state, at, before(key), nowMs))
    const { shared } = this.#table
    if (shared === undefined) return
    for (let at = 0; at < shared.length; at += meters.usual.width) {
      meters.usual.adopt(shared, at, previous.usual, nowMs)
    }
  }

  describe(): { readonly keys: number; readonly evictions: number; readonly crowdedOut: number } {
    return { keys: this.#table.size, evictions: this.#table.evictions, crowdedOut: this.#shared }
  }

  isWhole(key: string, state: Float64Array, at: number, nowMs: number): boolean {
    return this.meterOf(key).isWhole(state, at, nowMs)
  }

  #takeFirst(key: string, cost: number, nowMs: number): number {
    const meter = this.meterOf(key)
    const at = this.#table.claim(key, this, nowMs)
    const { shared } = this.#table
    if (at !== undefined) {
      if (shared !== undefined) this.#moveIn(key, at, shared)
      return meter.take(this.#table.state, at, cost, nowMs)
    }
    this.#shared += 1
    const shareAt = this.#table.shareOf(key)
    return meter.take(this.#table.shared as Float64Array, shareAt, cost, nowMs)
  }

  // What it took while it had no place of its own stays taken.
  #moveIn(key: string, at: number, shared: Float64Array): void {
    const from = this.#table.shareOf(key)
    this.#table.state.set(shared.subarray(from, from + this.#meters.usual.width), at)
  }

  #look(
    meter: Meter,
    key: string | undefined,
    nowMs: number,
  ): { readonly remaining: number; readonly resetMs: number } {
    if (key === undefined) return meter.look(this.#keyless, 0, nowMs)
    const at = this.#table.find(key)
    if (at !== undefined) return meter.look(this.#table.state, at, nowMs)
    const { shared } = this.#table
    if (shared !== undefined) return meter.look(shared, this.#table.shareOf(key), nowMs)
    return { remaining: meter.quota.burst, resetMs: 0 }
  }
}
