import type { Random } from '../../random.ts'
import type { Incidents } from './incidents.ts'
import type { Scheduler } from './scheduler.ts'

/** How a network treats what it carries. Ratios are of messages, in [0, 1]. */
export interface NetworkWeather {
  readonly delayMsMax: number
  readonly dropRatio: number
  readonly duplicateRatio: number
  readonly reorderRatio: number
  /** Of those that come much later, by up to `lateMsMax`. */
  readonly lateRatio: number
  readonly lateMsMax: number
}

const DELAY_MS_MIN = 0.1
const GAP_MS = 1e-4

/**
 * Carries messages from one place to another, each way of a link in order as a TCP connection does, but for what the weather does. A
 * message that is lost is lost: it is not sent again, and neither side is told.
 */
export class Network {
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #incidents: Incidents
  readonly #cuts = new Map<string, number>()
  readonly #lastMs = new Map<string, number>()
  #weather: NetworkWeather
  #sent = 0

  constructor(parts: {
    readonly scheduler: Scheduler
    readonly random: Random
    readonly incidents: Incidents
    readonly weather: NetworkWeather
  }) {
    this.#scheduler = parts.scheduler
    this.#random = parts.random
    this.#incidents = parts.incidents
    this.#weather = parts.weather
  }

  /** How many messages were sent. */
  get sent(): number {
    return this.#sent
  }

  /** From now on all arrives, soon and once. */
  calm(): void {
    this.#weather = { ...this.#weather, dropRatio: 0, duplicateRatio: 0, reorderRatio: 0, lateRatio: 0 }
  }

  /** `channel` is one connection of several between two places: on each, messages are in order. */
  send(from: string, to: string, deliver: () => void, channel: string = ''): void {
    this.#sent += 1
    const { dropRatio, duplicateRatio } = this.#weather
    if (this.isCut(from, to)) return
    if (this.#happens(dropRatio)) return this.#incidents.add('drop')
    this.#carry(`${from}>${to} ${channel}`, deliver)
    if (!this.#happens(duplicateRatio)) return
    const delayMs = this.#delayMs() + this.#random.next() * this.#weather.lateMsMax
    this.#incidents.add('duplicate', this.#scheduler.nowMs + delayMs)
    this.#scheduler.after(delayMs, deliver)
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0
  }

  /** Nothing goes from one to the other until the returned function is called. What is on its way arrives. */
  cut(from: string, to: string): () => void {
    const link = `${from}>${to}`
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1)
    return () => void this.#cuts.set(link, (this.#cuts.get(link) ?? 0) - 1)
  }

  #carry(link: string, deliver: () => void): void {
    const { reorderRatio, lateRatio, lateMsMax } = this.#weather
    const { nowMs } = this.#scheduler
    let delayMs = this.#delayMs()
    if (this.#happens(lateRatio)) {
      delayMs += this.#random.next() * lateMsMax
      this.#incidents.add('delay', nowMs + delayMs)
    }
    if (this.#happens(reorderRatio)) {
      this.#incidents.add('reorder', nowMs + delayMs)
      this.#scheduler.after(delayMs + this.#delayMs(), deliver)
      return
    }
    const atMs = Math.max(nowMs + delayMs, (this.#lastMs.get(link) ?? 0) + GAP_MS)
    this.#lastMs.set(link, atMs)
    this.#scheduler.after(atMs - nowMs, deliver)
  }

  #delayMs(): number {
    return DELAY_MS_MIN + this.#random.next() * (this.#weather.delayMsMax - DELAY_MS_MIN)
  }

  #happens(ratio: number): boolean {
    return ratio > 0 && this.#random.next() < ratio
  }
}
