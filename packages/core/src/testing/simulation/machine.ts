import type { Random } from '../../random.ts'
import type { MachineClockSettings } from './machine-clock.ts'
import { MachineClock } from './machine-clock.ts'
import type { Scheduler } from './scheduler.ts'

type State = 'running' | 'paused' | 'dead'

/** Where one process runs: its code runs only when a timer or a message of it is delivered, and neither is while it stands still. */
export class Machine {
  readonly name: string
  readonly clock: MachineClock
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #timers: (() => void)[] = []
  readonly #messages: (() => void)[] = []
  #state: State = 'running'

  constructor(parts: {
    readonly name: string
    readonly scheduler: Scheduler
    readonly random: Random
    readonly clock: MachineClockSettings
  }) {
    this.name = parts.name
    this.#scheduler = parts.scheduler
    this.#random = parts.random
    this.clock = new MachineClock(parts.scheduler, parts.clock, run => this.#take(this.#timers, run))
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }

  /** A message has come. */
  deliver(run: () => void): void {
    this.#take(this.#messages, run)
  }

  /** Its code stands still; asleep, so does its monotonic clock. */
  pause(how: 'stalled' | 'asleep'): void {
    if (this.#state !== 'running') return
    this.#state = 'paused'
    if (how === 'asleep') this.clock.sleep()
  }

  /** What was due meanwhile follows at once: messages in order, timers in order, and which comes first is chance. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.clock.wake()
    while (this.#timers.length + this.#messages.length > 0) {
      const isTimer = this.#messages.length === 0 || (this.#timers.length > 0 && this.#random.next() < 0.5)
      const run = (isTimer ? this.#timers : this.#messages).shift() as () => void
      // Each by itself, so that promises settle in between; should it stand still again first, it waits again.
      this.#scheduler.after(0, () => this.#take(isTimer ? this.#timers : this.#messages, run))
    }
  }

  /** It is over: nothing of it ever runs again. What it has sent is on its way. */
  kill(): void {
    this.#state = 'dead'
    this.#timers.length = 0
    this.#messages.length = 0
  }

  #take(held: (() => void)[], run: () => void): void {
    if (this.#state === 'running') run()
    else if (this.#state === 'paused') held.push(run)
  }
}
