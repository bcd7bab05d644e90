import { reportListenerError } from '@holdfast/core'
import type { Call } from './call.ts'
import { codeOf } from './errors.ts'
import type { RejectedError } from './errors.ts'
import type { Probe } from './policy.ts'
import { endedOf } from './policy.ts'
import type { Ended, Gate, Next } from './stage.ts'
import { beginAtOnce } from './stage.ts'

// A gate that is off, or would have refused: it has no permit to give back.
const NO_TICKET = -1
const SOON = Promise.resolve()

/**
 * Gates that stand side by side, as one function: all admit, in order and without an await where none has to wait, or those that did
 * are undone; then the work; then all are told how it ended, in reverse.
 */
export class GateRun {
  readonly #probes: readonly Probe[]
  readonly #gates: readonly Gate[]
  readonly #next: Next
  readonly #heedsEnd: boolean

  constructor(probes: readonly Probe[], next: Next) {
    this.#probes = probes
    this.#gates = probes.map(({ stage }) => stage as Gate)
    this.#next = next
    this.#heedsEnd = this.#gates.some(gate => gate.leave !== undefined)
  }

  // A refusal is handed on, not thrown: to throw it and to catch it again costs as much as the rest of it.
  run(call: Call): Promise<unknown> {
    const tickets: number[] = []
    call.readClock()
    let answer: Promise<number> | RejectedError | undefined
    try {
      answer = this.#enter(call, tickets)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (answer === undefined) return this.#runInside(call, tickets)
    return isPromise(answer) ? this.#runLater(call, tickets, answer) : rejectedSoon(answer)
  }

  async #runLater(call: Call, tickets: number[], waiting: Promise<number>): Promise<unknown> {
    await this.#enterRest(call, tickets, waiting)
    call.readClock()
    return this.#runInside(call, tickets)
  }

  // No async function: it costs half as much again, for each run of gates.
  #runInside(call: Call, tickets: readonly number[]): Promise<unknown> {
    const startedAtMs = call.nowMs
    const running = beginAtOnce(call, this.#next)
    if (!this.#heedsEnd && !this.#isHeard()) return running
    return running.then(
      value => {
        this.#leave(call, tickets, endedOf(call, false, value, startedAtMs))
        return value
      },
      (error: unknown) => {
        this.#leave(call, tickets, endedOf(call, true, error, startedAtMs))
        throw error
      },
    )
  }

  /** Asks gates from where `tickets` ends, until all have admitted, one refuses (its refusal), or one has to wait (its promise). */
  #enter(call: Call, tickets: number[]): Promise<number> | RejectedError | undefined {
    try {
      if (call.isCancelled) throw call.reason
      for (let index = tickets.length; index < this.#gates.length; index++) {
        const gate = this.#gates[index] as Gate
        const probe = this.#probes[index] as Probe
        if (probe.mode === 'off') {
          tickets.push(NO_TICKET)
          continue
        }
        const answer = gate.enter(call)
        if (typeof answer === 'number') {
          probe.admitted += 1
          tickets.push(answer)
        } else if (isPromise(answer)) return answer
        else if (probe.refuses(answer)) {
          this.#undo(call, tickets)
          return answer
        } else tickets.push(NO_TICKET)
      }
      return undefined
    } catch (error) {
      this.#undo(call, tickets)
      throw error
    }
  }

  async #enterRest(call: Call, tickets: number[], first: Promise<number>): Promise<void> {
    for (let waiting: Promise<number> | undefined = first; waiting !== undefined;) {
      const probe = this.#probes[tickets.length] as Probe
      try {
        tickets.push(await waiting)
        probe.admitted += 1
      } catch (error) {
        try {
          // The reason of an abort may be another policy's refusal.
          if (call.isCancelled || codeOf(error) !== 'HF_REJECTED') throw error
          this.#refused(probe, error as RejectedError, tickets)
        } catch (stands) {
          this.#undo(call, tickets)
          throw stands
        }
      }
      call.nowMs = call.clock.monotonicMs()
      const answer = this.#enter(call, tickets)
      if (answer !== undefined && !isPromise(answer)) throw answer
      waiting = answer
    }
  }

  #refused(probe: Probe, error: RejectedError, tickets: number[]): void {
    if (probe.refuses(error)) throw error
    tickets.push(NO_TICKET)
  }

  #isHeard(): boolean {
    return this.#probes.some(probe => probe.isHeard)
  }

  #undo(call: Call, tickets: readonly number[]): void {
    for (let index = tickets.length - 1; index >= 0; index--) {
      const ticket = tickets[index] as number
      if (ticket !== NO_TICKET) this.#gates[index]?.undo(call, ticket)
    }
  }

  #leave(call: Call, tickets: readonly number[], ended: Ended): void {
    for (let index = tickets.length - 1; index >= 0; index--) {
      const ticket = tickets[index] as number
      const probe = this.#probes[index] as Probe
      if (probe.isHeard && probe.mode !== 'off') probe.tellEnd(ended)
      if (ticket === NO_TICKET) continue
      try {
        this.#gates[index]?.leave?.(call, ticket, ended)
      } catch (error) {
        // A gate that fails must not keep the others from giving back what they hold.
        reportListenerError('resilience', error)
      }
    }
  }
}

function isPromise(answer: Promise<number> | RejectedError): answer is Promise<number> {
  return typeof (answer as { readonly then?: unknown }).then === 'function'
}

/**
 * A rejection of the next microtask: by then its caller has begun to wait for it. Of one that nobody waits for when it is made Node is
 * told, and told again as soon as somebody does, which takes longer than all else about a refusal.
 */
function rejectedSoon(refusal: RejectedError): Promise<never> {
  return new Promise((_resolve, reject) => {
    void SOON.then(() => reject(refusal))
  })
}
