import type { Clock, Timer } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import { codeOf } from '../errors.ts'
import type { Admission } from '../stage.ts'
import type { WheelEntry } from '../timer-wheel.ts'
import { wheelOf } from '../timer-wheel.ts'
import type { Decider } from './decider.ts'
import { isPromise, whileWanted } from './decider.ts'
import type { Quota } from './meter.ts'

/** How calls may wait, as it is now. */
export interface WaitSettings {
  readonly waitMs: number
  readonly waitersMax: number
}

interface Line {
  readonly key: string | undefined
  readonly waiters: Waiter[]
  /** What those in it will take, together. */
  cost: number
  /** When the first of it can be asked for again. */
  readyAtMs: number
  /** What the first of it was told last: who comes later is told the same. */
  refusal: RejectedError
  timer: Timer | undefined
}

/** A call in a line. Its wheel entry ends the wait. */
class Waiter implements WheelEntry {
  tick = -1
  before: WheelEntry | undefined = undefined
  after: WheelEntry | undefined = undefined
  isSettled = false
  /** What it was told last. */
  refusal: RejectedError
  readonly call: Call
  readonly admitted: Promise<number>
  readonly #leave: (waiter: Waiter) => void
  readonly #stopListening: () => void
  #resolve!: (ticket: number) => void
  #reject!: (reason: unknown) => void

  constructor(call: Call, refusal: RejectedError, leave: (waiter: Waiter) => void) {
    this.call = call
    this.refusal = refusal
    this.#leave = leave
    this.admitted = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#stopListening = call.onCancel(reason => this.refuse(reason))
  }

  fire(): void {
    this.refuse(this.refusal)
  }

  admit(ticket: number): void {
    this.#settle()
    this.#resolve(ticket)
  }

  refuse(reason: unknown): void {
    if (this.isSettled) return
    this.#settle()
    this.#reject(reason)
  }

  #settle(): void {
    this.isSettled = true
    this.#stopListening()
    this.#leave(this)
  }
}

/**
 * Calls that wait for a permit: one line for each key, first come, first served. Nobody waits who will not get one within `waitMs`
 * and before his deadline, as far as can be told when he comes: he is refused at once, not at the end.
 */
export class WaitLines {
  readonly #clock: Clock
  readonly #decider: Decider
  readonly #quotaOf: (key: string | undefined) => Quota
  readonly #lines = new Map<string | undefined, Line>()
  #count = 0

  constructor(clock: Clock, decider: Decider, quotaOf: (key: string | undefined) => Quota) {
    this.#clock = clock
    this.#decider = decider
    this.#quotaOf = quotaOf
  }

  get count(): number {
    return this.#count
  }

  /** Admits, refuses, or waits. */
  enter(call: Call, key: string | undefined, settings: WaitSettings): Admission {
    const line = this.#lines.get(key)
    // Nobody overtakes those who wait; what costs nothing takes nothing from them.
    if (line !== undefined && call.cost > 0) return this.#join(line, call, line.refusal, settings)
    const answer = this.#decider.decide(call, key)
    if (typeof answer === 'number') return answer
    if (!isPromise(answer)) return this.#waitOr(answer, call, key, settings)
    const wanted = whileWanted(call, answer, ticket => this.#decider.undo(call, key, ticket))
    return this.#enterAfter(wanted, call, key, settings)
  }

  /** The quota is another: those who wait may have to for less. */
  wake(): void {
    for (const line of this.#lines.values()) {
      line.timer?.cancel()
      if (line.timer !== undefined) void this.#serve(line)
    }
  }

  async #enterAfter(
    answer: Promise<number>,
    call: Call,
    key: string | undefined,
    settings: WaitSettings,
  ): Promise<number> {
    try {
      return await answer
    } catch (error) {
      if (codeOf(error) !== 'HF_REJECTED') throw error
      call.nowMs = this.#clock.monotonicMs()
      const next = this.#waitOr(error as RejectedError, call, key, settings)
      if (typeof next === 'number' || isPromise(next)) return await next
      throw next
    }
  }

  #waitOr(refusal: RejectedError, call: Call, key: string | undefined, settings: WaitSettings): Admission {
    const { reason, retryAfterMs } = refusal.rejection
    if (reason !== 'rate-limited' || retryAfterMs === undefined) return refusal
    const known = this.#lines.get(key)
    if (known !== undefined) return this.#join(known, call, refusal, settings)
    const readyAtMs = call.nowMs + retryAfterMs
    const line: Line = { key, waiters: [], cost: 0, readyAtMs, refusal, timer: undefined }
    const answer = this.#join(line, call, refusal, settings)
    if (!isPromise(answer)) return answer
    this.#lines.set(key, line)
    this.#sleep(line, call.nowMs)
    return answer
  }

  #join(line: Line, call: Call, refusal: RejectedError, { waitMs, waitersMax }: WaitSettings): Admission {
    const { nowMs, cost } = call
    const untilMs = Math.min(nowMs + waitMs, call.deadlineMs)
    if (call.isCancelled) return Promise.reject(call.reason as Error)
    if (cost > this.#quotaOf(line.key).burst) return refusal
    if (this.#count >= waitersMax || this.#turnAtMs(line, cost, nowMs) > untilMs) return refusal
    const wheel = wheelOf(this.#clock)
    const waiter = new Waiter(call, refusal, left => {
      wheel.remove(left)
      this.#left(line, left)
    })
    line.waiters.push(waiter)
    line.cost += cost
    this.#count += 1
    wheel.add(waiter, nowMs, untilMs - nowMs)
    return waiter.admitted
  }

  /** When a call that comes now has its turn, if all before it take theirs. */
  #turnAtMs(line: Line, cost: number, nowMs: number): number {
    const [first] = line.waiters
    const readyAtMs = Math.max(line.readyAtMs, nowMs)
    if (first === undefined) return readyAtMs
    const { limit, periodMs } = this.#quotaOf(line.key)
    return readyAtMs + ((line.cost - first.call.cost + cost) * periodMs) / limit
  }

  #left(line: Line, waiter: Waiter): void {
    const index = line.waiters.indexOf(waiter)
    if (index < 0) return
    line.waiters.splice(index, 1)
    line.cost -= waiter.call.cost
    this.#count -= 1
    // The next one may want less, and have his turn earlier.
    if (index === 0 && line.timer !== undefined) {
      line.timer.cancel()
      void this.#serve(line)
    }
  }

  #sleep(line: Line, nowMs: number): void {
    line.timer = this.#clock.setTimer(() => void this.#serve(line), line.readyAtMs - nowMs, { background: false })
  }

  /** Asks for those in the line, one after the other, until one has to wait on. */
  async #serve(line: Line): Promise<void> {
    line.timer = undefined
    for (let first = line.waiters[0]; first !== undefined; first = line.waiters[0]) {
      const nowMs = this.#clock.monotonicMs()
      first.call.nowMs = nowMs
      const answer = await this.#ask(first, line.key)
      if (answer === undefined || first.isSettled) continue
      const { retryAfterMs } = answer.rejection
      first.refusal = answer
      line.refusal = answer
      if (answer.rejection.reason !== 'rate-limited' || retryAfterMs === undefined) first.refuse(answer)
      else {
        line.readyAtMs = nowMs + retryAfterMs
        return this.#sleep(line, nowMs)
      }
    }
    this.#lines.delete(line.key)
  }

  /** Admits the waiter, or says why not yet. What he was given and wants no more goes back. */
  async #ask(waiter: Waiter, key: string | undefined): Promise<RejectedError | undefined> {
    const { call } = waiter
    try {
      const answer = this.#decider.decide(call, key)
      if (!isPromise(answer) && typeof answer !== 'number') return answer
      const ticket = typeof answer === 'number' ? answer : await answer
      if (waiter.isSettled) this.#decider.undo(call, key, ticket)
      else waiter.admit(ticket)
    } catch (error) {
      if (codeOf(error) === 'HF_REJECTED') return error as RejectedError
      waiter.refuse(error)
    }
    return undefined
  }
}
