import { systemClock } from '@holdfast/core'
import { Call } from '../call.ts'
import { keepShape } from '../keep-shape.ts'
import type { Next } from '../stage.ts'
import { beginAtOnce } from '../stage.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'
import { wheelOf } from '../timer-wheel.ts'

/** What ends a call whose time is over, with what it rejects with. */
export interface Expiry {
  expire(call: Call, timeoutMs: number): void
}

/**
 * A call against its deadline and its caller: whoever comes first says how it ends. One object is the entry in the wheel and all that is
 * known of the call, for it is made for every call.
 */
export class Race implements WheelEntry {
  tick = -1
  before: WheelEntry | undefined = undefined
  after: WheelEntry | undefined = undefined
  readonly #call: Call
  readonly #wheel: TimerWheel
  readonly #expiry: Expiry
  readonly #timeoutMs: number
  #reject: ((reason: unknown) => void) | undefined = undefined
  #unlisten: (() => void) | undefined = undefined

  constructor(call: Call, wheel: TimerWheel, expiry: Expiry) {
    this.#call = call
    this.#wheel = wheel
    this.#expiry = expiry
    this.#timeoutMs = call.deadlineMs - call.nowMs
  }

  run(next: Next): Promise<unknown> {
    const call = this.#call
    this.#wheel.add(this, call.nowMs, this.#timeoutMs)
    return new Promise((resolve, reject) => {
      this.#reject = reject
      // Who has no signal cannot give up.
      if (call.parent?.isCancellable === true) this.#unlisten = call.parent.onCancel(reason => this.#lose(reason))
      beginAtOnce(call, next).then(
        value => {
          this.#over()
          resolve(value)
        },
        (error: unknown) => {
          this.#over()
          reject(error)
        },
      )
    })
  }

  fire(): void {
    this.#expiry.expire(this.#call, this.#timeoutMs)
    this.#lose(this.#call.reason)
  }

  #lose(reason: unknown): void {
    this.#reject?.(reason)
    this.#over()
  }

  #over(): void {
    this.#wheel.remove(this)
    this.#unlisten?.()
    this.#call.end()
  }
}

keepShape(new Race(new Call(() => {}, { clock: systemClock }), wheelOf(systemClock), { expire: () => {} }))
