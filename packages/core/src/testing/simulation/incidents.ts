import type { SimulatedFault } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

/** What went wrong so far, and until when it had an effect. */
export class Incidents {
  readonly #scheduler: Scheduler
  readonly #counts = new Map<SimulatedFault, number>()
  #lastMs = 0
  #sleptMs = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** `untilMs` is when its effect is over, as far as it is known. */
  add(fault: SimulatedFault, untilMs: number = this.#scheduler.nowMs): void {
    this.#counts.set(fault, this.countOf(fault) + 1)
    if (fault === 'sleep') this.#sleptMs += untilMs - this.#scheduler.nowMs
    this.extend(untilMs)
  }

  extend(untilMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, untilMs)
  }

  countOf(fault: SimulatedFault): number {
    return this.#counts.get(fault) ?? 0
  }

  /** Since when all has been well, by true time. */
  get calmSinceMs(): number {
    return this.#lastMs
  }

  /** For how long machines have slept, all together. */
  get sleptMs(): number {
    return this.#sleptMs
  }

  /** Whether who waits may not have been told when to ask, or wrongly, or late: what remains counts from when it hears of it. */
  get hasMisledWaiters(): boolean {
    return [...this.#counts.keys()].some(fault => MISLEADING.has(fault))
  }

  counts(): Partial<Record<SimulatedFault, number>> {
    return Object.fromEntries([...this.#counts].sort(([one], [other]) => (one < other ? -1 : 1)))
  }
}

const MISLEADING: ReadonlySet<SimulatedFault> = new Set<SimulatedFault>([
  'drop',
  'delay',
  'reorder',
  'partition',
  'pause',
  'crash',
  'lose-tail',
  'wipe',
  'restore',
  'store-clock-back',
  'store-clock-forward',
])
