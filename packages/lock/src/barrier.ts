import type { Backend, BarrierStore } from '@holdfast/core'
import { barriersOf, checkRecipeName } from '@holdfast/core'
import type { CallOptions, WaitOptions } from './wait-options.ts'
import { checkCallOptions, checkWaitOptions, waitAtMost } from './wait-options.ts'

/** Where processes stop while it is shut, and go on once it is opened. Everybody may shut it, open it, and wait. */
export interface Barrier {
  readonly name: string
  /** From now on who comes waits, until somebody opens it; also when the process that shut it has ended. Idempotent. */
  shut(options?: CallOptions): Promise<void>
  /** Lets everybody go on who waits. Idempotent. */
  open(options?: CallOptions): Promise<void>
  isShut(options?: CallOptions): Promise<boolean>
  /**
   * Resolves once it is open, or has been since the call: also when it was shut again at once.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when it was shut for all of `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store never answered within `waitMs`
   */
  wait(options?: WaitOptions): Promise<void>
}

/** The barrier of a name. */
export class NamedBarrier implements Barrier {
  readonly name: string
  readonly #backend: Backend
  readonly #store: BarrierStore

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
  constructor(backend: Backend, name: string) {
    checkRecipeName('barrier', name)
    this.name = name
    this.#backend = backend
    this.#store = barriersOf(backend)
  }

  async shut(options: CallOptions = {}): Promise<void> {
    checkCallOptions('shut', options)
    await this.#store.shut(this.name, options.signal)
  }

  async open(options: CallOptions = {}): Promise<void> {
    checkCallOptions('open', options)
    await this.#store.open(this.name, options.signal)
  }

  async isShut(options: CallOptions = {}): Promise<boolean> {
    checkCallOptions('isShut', options)
    return await this.#store.isShut(this.name, options.signal)
  }

  async wait(options: WaitOptions = {}): Promise<void> {
    checkWaitOptions('wait', options)
    const awaited = { backend: this.#backend, name: this.name, what: `The barrier "${this.name}" was still shut` }
    await waitAtMost(awaited, options, wait => this.#store.untilOpen(this.name, wait))
  }
}
