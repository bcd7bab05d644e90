import { setTimeout as sleep } from 'node:timers/promises'
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
  readonly elapsedMs: number
  /** To another contender than the last holder. */
  readonly handOffs: number
  /** From each call of release to the moment when the acquire of another, who waited by then, resolved. */
  readonly gapsMs: readonly number[]
  /** How often each contender had it. */
  readonly turns: readonly number[]
  /** For how long the lock was really held, in all: timers are not exact. */
  readonly heldMs: number
  /** All of them, those after the end included. */
  readonly acquisitions: number
}

/** Each client takes turns until the time is over; what still waits then is served without being counted. */
export async function runHandOff(clients: readonly Client[], load: HandOffLoad): Promise<HandOffResult> {
  const contest = new Contest(load, clients.length)
  const startMs = performance.now()
  await Promise.all(clients.map((client, index) => contest.takeTurns(client, index)))
  return contest.result(Math.min(performance.now() - startMs, load.durationMs))
}

class Contest {
  readonly #load: HandOffLoad
  readonly #endMs: number
  readonly #turns: number[]
  readonly #gapsMs: number[] = []
  #waiting = 0
  #acquisitions = 0
  #handOffs = 0
  #heldMs = 0
  #last: { readonly holder: number; readonly releasedMs: number; readonly isAwaited: boolean } | undefined

  constructor(load: HandOffLoad, contenders: number) {
    this.#load = load
    this.#turns = Array.from({ length: contenders }, () => 0)
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

  result(elapsedMs: number): HandOffResult {
    return {
      elapsedMs,
      handOffs: this.#handOffs,
      gapsMs: this.#gapsMs,
      turns: this.#turns,
      heldMs: this.#heldMs,
      acquisitions: this.#acquisitions,
    }
  }

  #acquired(index: number, nowMs: number): boolean {
    this.#acquisitions += 1
    if (nowMs >= this.#endMs) return false
    this.#turns[index] = (this.#turns[index] ?? 0) + 1
    const last = this.#last
    if (last === undefined || last.holder === index) return true
    this.#handOffs += 1
    if (last.isAwaited) this.#gapsMs.push(nowMs - last.releasedMs)
    return true
  }
}

/** One result of several turns of the load. */
export function mergeHandOffs(results: readonly HandOffResult[]): HandOffResult {
  const sum = (figure: (result: HandOffResult) => number): number => {
    return results.reduce((total, result) => total + figure(result), 0)
  }
  const contenders = results[0]?.turns ?? []
  return {
    elapsedMs: sum(({ elapsedMs }) => elapsedMs),
    handOffs: sum(({ handOffs }) => handOffs),
    gapsMs: results.flatMap(({ gapsMs }) => gapsMs),
    turns: contenders.map((_, index) => sum(({ turns }) => turns[index] ?? 0)),
    heldMs: sum(({ heldMs }) => heldMs),
    acquisitions: sum(({ acquisitions }) => acquisitions),
  }
}
