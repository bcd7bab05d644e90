import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '@holdfast/core'
import type { FaultProxy } from '@holdfast/core/testing'

const PAUSE_MS = { min: 100, max: 500 } as const
const FAULT_MS_MAX = 300
const REPLY_BYTES_MAX = 40
const DELAY_MS_MAX = 20

/** Breaks links, one after the other, in an order that the seed decides. */
export class Chaos {
  readonly #proxies: readonly FaultProxy[]
  readonly #random: Random
  #isOver = false
  #faults = 0

  constructor(proxies: readonly FaultProxy[], random: Random) {
    this.#proxies = proxies
    this.#random = random
  }

  /** How many links were broken. */
  get faults(): number {
    return this.#faults
  }

  /** Goes on until `stop`. Every link is whole at its end. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      await sleep(PAUSE_MS.min + this.#random.next() * (PAUSE_MS.max - PAUSE_MS.min))
      const proxy = this.#proxies[Math.floor(this.#random.next() * this.#proxies.length)]
      if (proxy === undefined || this.#isOver) continue
      this.#faults += 1
      await this.#breakOne(proxy)
    }
    for (const proxy of this.#proxies) proxy.heal()
  }

  stop(): void {
    this.#isOver = true
  }

  async #breakOne(proxy: FaultProxy): Promise<void> {
    const kind = Math.floor(this.#random.next() * 4)
    if (kind === 0) return proxy.dropConnections()
    if (kind === 1) return proxy.cutMidReply(Math.floor(this.#random.next() * REPLY_BYTES_MAX))
    if (kind === 2) proxy.hold()
    else proxy.delay(this.#random.next() * DELAY_MS_MAX)
    await sleep(this.#random.next() * FAULT_MS_MAX)
    proxy.heal()
  }
}
