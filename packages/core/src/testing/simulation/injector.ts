import type { Random } from '../../random.ts'
import type { SimulatedFault } from './faults.ts'
import type { Incidents } from './incidents.ts'
import type { LeaseServer } from './lease-server.ts'
import { CLOCK_SKEW_MS_MAX } from './lease-server.ts'
import type { Machine } from './machine.ts'
import type { Network, NetworkWeather } from './network.ts'
import type { Recorder } from './recorder.ts'
import type { Scheduler } from './scheduler.ts'

/** A process that faults can befall. */
export interface Victim {
  readonly machine: Machine
  /** Its connections broke. */
  readonly reconnect: () => void
  /** It dies, and is started again so much later. */
  readonly kill: (restartMs: number) => void
}

const KILLS_MAX = 3
const SHORT_MS = 150
const LONG_MS = 8_000

/** What the network does, when such faults are among those of a run. */
export function weatherOf(faults: ReadonlySet<SimulatedFault>, random: Random): NetworkWeather {
  const upTo = (fault: SimulatedFault, max: number): number => (faults.has(fault) ? random.next() * max : 0)
  return {
    delayMsMax: 0.5 + random.next() * 10,
    dropRatio: upTo('drop', 0.08),
    duplicateRatio: upTo('duplicate', 0.1),
    reorderRatio: upTo('reorder', 0.2),
    lateRatio: upTo('delay', 0.1),
    lateMsMax: 50 + random.next() * 3_000,
  }
}

/** Does to processes, links and the store what the seed says, for as long as it is told. */
export class Injector {
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #network: Network
  readonly #server: LeaseServer
  readonly #incidents: Incidents
  readonly #recorder: Recorder
  readonly #victims: () => readonly Victim[]
  readonly #faults: ReadonlySet<SimulatedFault>
  readonly #untilMs: number

  constructor(parts: {
    readonly scheduler: Scheduler
    readonly random: Random
    readonly network: Network
    readonly server: LeaseServer
    readonly incidents: Incidents
    readonly recorder: Recorder
    readonly victims: () => readonly Victim[]
    readonly faults: ReadonlySet<SimulatedFault>
    /** When the last one begins, by true time. */
    readonly untilMs: number
  }) {
    this.#scheduler = parts.scheduler
    this.#random = parts.random
    this.#network = parts.network
    this.#server = parts.server
    this.#incidents = parts.incidents
    this.#recorder = parts.recorder
    this.#victims = parts.victims
    this.#faults = parts.faults
    this.#untilMs = parts.untilMs
  }

  start(): void {
    for (const fault of this.#faults) {
      const strike = this.#strikeOf(fault)
      if (strike !== undefined) this.#repeat(strike, 1_000 + this.#random.next() * 8_000)
    }
    this.#scheduler.after(this.#untilMs - this.#scheduler.nowMs, () => this.#network.calm())
  }

  #repeat(strike: () => void, gapMs: number): void {
    const delayMs = (0.2 + this.#random.next() * 1.6) * gapMs
    if (this.#scheduler.nowMs + delayMs > this.#untilMs) return
    this.#scheduler.after(delayMs, () => {
      strike()
      this.#repeat(strike, gapMs)
    })
  }

  // The weather does the others.
  #strikeOf(fault: SimulatedFault): (() => void) | undefined {
    switch (fault) {
      case 'partition':
        return () => this.#partition()
      case 'pause':
      case 'sleep':
        return () => this.#pause(fault)
      case 'clock-jump':
        return () => this.#jumpWall()
      case 'kill':
        return () => this.#kill()
      case 'crash':
      case 'lose-tail':
      case 'wipe':
      case 'restore':
        return () => this.#crash(fault)
      case 'store-clock-back':
        return () => this.#setStoreBack()
      case 'store-clock-forward':
        return () => this.#setStoreForward()
      default:
        return undefined
    }
  }

  #partition(): void {
    const victim = this.#victim()
    if (victim === undefined) return
    const { name } = victim.machine
    const { name: store } = this.#server
    const isOneWay = this.#random.next() < 0.4
    const isToStore = this.#random.next() < 0.5
    const heals: (() => void)[] = []
    if (!isOneWay || isToStore) heals.push(this.#network.cut(name, store))
    if (!isOneWay || !isToStore) heals.push(this.#network.cut(store, name))
    const lengthMs = this.#length()
    this.#strike('partition', `${name}, ${store}`, lengthMs)
    this.#scheduler.after(lengthMs, () => {
      for (const heal of heals) heal()
      // Either the connections broke, or all was lost and nobody knows.
      if (this.#random.next() < 0.5 || victim.machine.isDead) return
      this.#server.forget(name)
      victim.machine.deliver(victim.reconnect)
    })
  }

  #pause(fault: 'pause' | 'sleep'): void {
    const victim = this.#victim()
    if (victim === undefined) return
    const lengthMs = this.#length()
    this.#strike(fault, victim.machine.name, lengthMs)
    victim.machine.pause(fault === 'sleep' ? 'asleep' : 'stalled')
    this.#scheduler.after(lengthMs, () => victim.machine.resume())
  }

  // A machine that sleeps can only tell by its wall clock: so that one is never set back where some do.
  #jumpWall(): void {
    const victim = this.#victim()
    if (victim === undefined) return
    const sign = this.#faults.has('sleep') || this.#random.next() < 0.5 ? 1 : -1
    this.#strike('clock-jump', victim.machine.name)
    victim.machine.clock.jumpWall(sign * this.#random.next() * 60_000)
  }

  #kill(): void {
    const victim = this.#victim()
    if (victim === undefined || this.#incidents.countOf('kill') >= KILLS_MAX) return
    const { name } = victim.machine
    this.#strike('kill', name)
    victim.kill(this.#length())
    // The end of its connection takes a while to be seen.
    const seenMs = this.#length()
    this.#incidents.extend(this.#scheduler.nowMs + seenMs)
    this.#scheduler.after(seenMs, () => this.#server.forget(name))
  }

  #crash(fault: 'crash' | 'lose-tail' | 'wipe' | 'restore'): void {
    if (!this.#server.isUp) return
    const readyMs = this.#server.crash(fault, 20 + this.#random.next() * 2_000)
    this.#strike(fault, this.#server.name, readyMs - this.#scheduler.nowMs)
  }

  // Once: all in all it must stay below the skew that is allowed.
  #setStoreBack(): void {
    if (this.#incidents.countOf('store-clock-back') > 0) return
    this.#strike('store-clock-back', this.#server.name)
    this.#server.jumpClock(-this.#random.next() * 0.9 * CLOCK_SKEW_MS_MAX)
  }

  #setStoreForward(): void {
    this.#strike('store-clock-forward', this.#server.name)
    this.#server.jumpClock(this.#random.next() * 20_000)
  }

  #victim(): Victim | undefined {
    const standing = this.#victims().filter(({ machine }) => machine.isRunning)
    return standing[Math.floor(this.#random.next() * standing.length)]
  }

  #length(): number {
    return this.#random.next() < 0.4 ? this.#random.next() * SHORT_MS : this.#random.next() * LONG_MS
  }

  #strike(fault: SimulatedFault, where: string, lengthMs: number = 0): void {
    const { nowMs } = this.#scheduler
    this.#incidents.add(fault, nowMs + lengthMs)
    this.#recorder.add({ kind: 'incident', atMs: nowMs, fault, where })
  }
}
