import type { RunRef } from '@holdfast/core'
import { FencingToken, StaleTokenError } from '@holdfast/core'
import { codeOf } from '../errors.ts'
import type { KeyedCall } from './keyed-call.ts'
import type { StoredResult } from './stored-result.ts'

const TRIES = 10

/** Ends runs: gives them their results, or gives keys back. */
export class RunEndings {
  readonly #tell: (event: string, facts: Readonly<Record<string, unknown>>) => void
  readonly #pauses = new Set<() => void>()
  #isClosed = false

  constructor(tell: (event: string, facts: Readonly<Record<string, unknown>>) => void) {
    this.#tell = tell
  }

  /** How many results the store has not taken yet. */
  get owing(): number {
    return this.#pauses.size
  }

  /**
   * Stores a result. Where the store does not answer, it goes on trying in the background for as long as a lease, and `over` is called
   * after that: the work is done, and its caller need not wait for the store.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when the run is not the caller's any more: the result of its successor stays.
   */
  async keep(keyed: KeyedCall, run: RunRef, result: StoredResult, over: () => void): Promise<void> {
    try {
      await this.#complete(keyed, run, result)
    } catch (error) {
      if (codeOf(error) === 'HF_STALE_TOKEN') {
        over()
        throw error
      }
      this.#tell('completing', { key: keyed.key, cause: error })
      void this.#keepTrying(keyed, run, result).finally(over)
      return
    }
    over()
  }

  /** Gives the key back. Never throws: what the store does not hear of ends with the lease. */
  async release({ key, settings }: KeyedCall, run: RunRef): Promise<void> {
    await settings.store.release(run).catch((cause: unknown) => this.#tell('releaseFailed', { key, cause }))
  }

  /** Tries no more. */
  close(): void {
    this.#isClosed = true
    for (const wake of [...this.#pauses]) wake()
  }

  async #complete({ settings }: KeyedCall, run: RunRef, { bytes, failed }: StoredResult): Promise<void> {
    const answer = await settings.store.complete(run, { result: bytes, failed, keepMs: settings.keepMs })
    if (answer === 'kept') return
    throw new StaleTokenError(run.key, new FencingToken(run.fence), undefined, {
      cause: new Error(
        'Another run of the same idempotency key has taken over, or the store lost its data: this result was not kept.',
      ),
    })
  }

  async #keepTrying(keyed: KeyedCall, run: RunRef, result: StoredResult): Promise<void> {
    const { key, settings } = keyed
    for (let count = 0; count < TRIES && !this.#isClosed; count += 1) {
      await this.#pause(keyed, settings.leaseMs / TRIES)
      try {
        await this.#complete(keyed, run, result)
        return
      } catch (cause) {
        if (codeOf(cause) === 'HF_STALE_TOKEN') return this.#tell('stale', { key, fence: run.fence })
      }
    }
    this.#tell('notKept', { key, fence: run.fence })
  }

  #pause({ call }: KeyedCall, delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        this.#pauses.delete(wake)
        timer.cancel()
        resolve()
      }
      const timer = call.clock.setTimer(wake, delayMs)
      this.#pauses.add(wake)
    })
  }
}
