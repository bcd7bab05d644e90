import { setTimeout as sleep } from 'node:timers/promises'
import { jainIndex, quantile } from '../../statistics.ts'
import type { Client } from '../contestants/contestant.ts'
import { seededRandom } from './random.ts'

/** Everybody wants the same lock. */
export interface HandOffLoad {
  readonly kind: 'hand-off'
  readonly name: string
  readonly durationMs: number
  readonly holdMs: number
  /** After its turn a contender waits for 0 to this long; 0 = wants it again at once. */
  readonly thinkMsMax: number
  readonly seed: number
}

export interface HandOffResult {
  /** Hand-offs to another contender than the last holder. */
  readonly perSecond: number
  /** From the call of release to the moment when the acquire of another, who waited by then, resolved; NaN if that never was. */
  readonly gapP50Ms: number
  readonly gapP99Ms: number
  /** Over the acquisitions of each contender. */
  readonly jain: number
  /** Mean time that the lock was really held: timers are not exact. */
  readonly holdMs: number
  /** All of them, those after the end included. */
  readonly acquisitions: number
}

/** Each client takes turns until the time is over; what still waits then is served without being counted. */
export async function runHandOff(clients: readonly Client[], load: HandOffLoad): Promise<HandOffResult> {
  const contest = new Contest(load)
  const startMs = performance.now()
  await Promise.all(clients.map((client, index) => contest.takeTurns(client, index)))
  return contest.result(clients.length, Math.min(performance.now() - startMs, load.durationMs))
}

class Contest {
  readonly #load: HandOffLoad
  readonly #endMs: number
  readonly #counts = new Map<number, number>()
  readonly #gapsMs: number[] = []
  #waiting = 0
  #acquisitions = 0
  #handOffs = 0
  #heldMs = 0
  #last: { readonly holder: number; readonly releasedMs: number; readonly isAwaited: boolean } | undefined

  constructor(load: HandOffLoad) {
    this.#load = load
    this.#endMs = performance.now() + load.durationMs
  }

  async takeTurns(client: Client, index: number): Promise<void> {
    const { name, holdMs, thinkMsMax, seed } = this.#load
    const random = seededRandom(seed * 1_000 + index)
    while (performance.now() < this.#endMs) {
      this.#waiting += 1
      const held = await client.acquire(name)
      this.#waiting -= 1
      const acquiredMs = performance.now()
      const isCounted = this.#acquired(index, acquiredMs)
      if (isCounted) await sleep(holdMs)
      const releasedMs = performance.now()
      if (isCounted) this.#heldMs += releasedMs - acquiredMs
      this.#last = { holder: index, releasedMs, isAwaited: this.#waiting > 0 }
      await held.release()
      if (thinkMsMax > 0 && isCounted) await sleep(random() * thinkMsMax)
    }
  }

  result(clients: number, elapsedMs: number): HandOffResult {
    const counts = Array.from({ length: clients }, (_, index) => this.#counts.get(index) ?? 0)
    return {
      perSecond: this.#handOffs / (elapsedMs / 1_000),
      gapP50Ms: quantile(this.#gapsMs, 0.5),
      gapP99Ms: quantile(this.#gapsMs, 0.99),
      jain: jainIndex(counts),
      holdMs: this.#heldMs / counts.reduce((sum, count) => sum + count, 0),
      acquisitions: this.#acquisitions,
    }
  }

  #acquired(index: number, nowMs: number): boolean {
    this.#acquisitions += 1
    if (nowMs >= this.#endMs) return false
    this.#counts.set(index, (this.#counts.get(index) ?? 0) + 1)
    const last = this.#last
    if (last === undefined || last.holder === index) return true
    this.#handOffs += 1
    if (last.isAwaited) this.#gapsMs.push(nowMs - last.releasedMs)
    return true
  }
}
