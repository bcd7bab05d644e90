import type { Call } from '../call.ts'
import type { RejectedError, RejectionReason } from '../errors.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'

/** Whom a queue asks what to say. */
export interface QueueOwner {
  readonly wheel: TimerWheel
  refusal(reason: RejectionReason): RejectedError
}

/** The ticket of every slot: they are all alike. */
export const SLOT = 0

/**
 * Calls that wait for a slot, first come first served. To join, to be served and to leave from the middle are a few steps each,
 * however many there are.
 */
export class WaitQueue {
  readonly #owner: QueueOwner
  #first: Waiter | undefined
  #last: Waiter | undefined
  #count = 0

  constructor(owner: QueueOwner) {
    this.#owner = owner
  }

  get count(): number {
    return this.#count
  }

  /**
   * Waits for a slot. Rejects with the reason when the call is cancelled, and with a refusal after `waitMsMax` or at the call's
   * deadline: at once, and the place is free.
   */
  join(call: Call, waitMsMax: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(this, call, { resolve, reject })
      waiter.ahead = this.#last
      if (this.#last === undefined) this.#first = waiter
      else this.#last.behind = waiter
      this.#last = waiter
      this.#count += 1
      waiter.begin(this.#owner.wheel, waitMsMax)
    })
  }

  /** Gives a slot to whoever is first and still has time. Whether there was anybody. */
  serve(nowMs: number): boolean {
    for (let waiter = this.#first; waiter !== undefined; waiter = this.#first) {
      if (nowMs < waiter.call.deadlineMs) {
        waiter.serve()
        return true
      }
      waiter.refuse('deadline')
    }
    return false
  }

  // What follows is for waiters.

  get wheel(): TimerWheel {
    return this.#owner.wheel
  }

  refusal(reason: RejectionReason): RejectedError {
    return this.#owner.refusal(reason)
  }

  remove(waiter: Waiter): void {
    if (waiter.ahead === undefined) this.#first = waiter.behind
    else waiter.ahead.behind = waiter.behind
    if (waiter.behind === undefined) this.#last = waiter.ahead
    else waiter.behind.ahead = waiter.ahead
    this.#count -= 1
  }
}

interface Settle {
  readonly resolve: (ticket: number) => void
  readonly reject: (error: unknown) => void
}

/** One call that waits. It stands in the queue, in the wheel and with its call until the first of them ends it. */
class Waiter implements WheelEntry {
  tick = -1
  before: WheelEntry | undefined = undefined
  after: WheelEntry | undefined = undefined
  /** Its neighbours in the queue. */
  ahead: Waiter | undefined = undefined
  behind: Waiter | undefined = undefined
  readonly call: Call
  readonly #queue: WaitQueue
  readonly #settle: Settle
  #endsByDeadline = false
  #unlink: () => void = () => {}

  constructor(queue: WaitQueue, call: Call, settle: Settle) {
    this.#queue = queue
    this.call = call
    this.#settle = settle
  }

  begin(wheel: TimerWheel, waitMsMax: number): void {
    const { call } = this
    const leftMs = call.deadlineMs - call.nowMs
    this.#endsByDeadline = leftMs <= waitMsMax
    const waitMs = Math.min(leftMs, waitMsMax)
    if (waitMs !== Infinity) wheel.add(this, call.nowMs, waitMs)
    this.#unlink = call.onCancel(reason => {
      this.#end()
      this.#settle.reject(reason)
    })
  }

  /** By the wheel. */
  fire(): void {
    this.refuse(this.#endsByDeadline ? 'deadline' : 'queue-timeout')
  }

  refuse(reason: RejectionReason): void {
    this.#end()
    this.#settle.reject(this.#queue.refusal(reason))
  }

  serve(): void {
    this.#end()
    this.#settle.resolve(SLOT)
  }

  #end(): void {
    this.#queue.remove(this)
    this.#queue.wheel.remove(this)
    this.#unlink()
  }
}
