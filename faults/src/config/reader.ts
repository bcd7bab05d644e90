import type { Config } from '@holdfast/config-client'
import { openConfig } from '@holdfast/config-client'
import type { Backend } from '@holdfast/core'
import { seededRandom } from '@holdfast/core'
import { backendAt } from './address.ts'
import { withFaultyNotices } from './faulty-notices.ts'
import { counter } from './namespaces.ts'
import type { ReadOrder, ReaderReport } from './protocol.ts'

const WRONG_KEPT = 5

/** Follows the counter, and notes what it saw. */
export class Reader {
  readonly #backend: Backend
  readonly #config: Config
  readonly #wrong: string[] = []
  #applied = 0
  #lastNumber = 0

  private constructor(backend: Backend, config: Config) {
    this.#backend = backend
    this.#config = config
    this.#note()
    config.events.on('applied', () => this.#note())
  }

  static async open({ address, app, seed, reconcileMs }: ReadOrder): Promise<Reader> {
    const backend = backendAt(address)
    const config = await openConfig({
      backend: withFaultyNotices(backend, seededRandom(seed)),
      app,
      env: 'faults',
      namespaces: [counter],
      reconcileMs,
      regressionHoldMs: 60_000,
      startup: { timeoutMs: 30_000 },
    })
    return new Reader(backend, config)
  }

  report(): ReaderReport {
    const { state, detail, release } = this.#config.status()
    const { value } = this.#config.get(counter)
    return { state, detail, number: release?.number ?? 0, value, applied: this.#applied, wrong: this.#wrong }
  }

  async close(): Promise<void> {
    await this.#config.close()
    await this.#backend.close()
  }

  #note(): void {
    const number = this.#config.current.release?.number ?? 0
    const { value } = this.#config.get(counter)
    this.#applied += 1
    if (number <= this.#lastNumber) this.#say(`Release ${number} was applied after ${this.#lastNumber}.`)
    if (value !== number) this.#say(`Release ${number} was applied with the value ${value}.`)
    this.#lastNumber = number
  }

  #say(sentence: string): void {
    if (this.#wrong.length < WRONG_KEPT) this.#wrong.push(sentence)
  }
}
