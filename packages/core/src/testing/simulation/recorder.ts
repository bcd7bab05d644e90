import type { Deadline } from '../../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../../lease/deadline.ts'
import type { Grant } from '../../ports/leases.ts'
import type { SimulatedHold, SimulationEvent } from './events.ts'
import { timeOf } from './events.ts'
import type { Machine } from './machine.ts'
import type { Scheduler } from './scheduler.ts'

interface OpenHold {
  readonly machine: Machine
  readonly grant: Grant
  readonly acquiredAtMs: number
  deadline: Deadline
}

/** Writes down what happens, by true time. */
export class Recorder {
  readonly #scheduler: Scheduler
  readonly #events: SimulationEvent[] = []
  readonly #open = new Map<string, OpenHold>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  add(event: SimulationEvent): void {
    this.#events.push(event)
  }

  /** A grant was handed to its process. */
  granted(machine: Machine, grant: Grant): void {
    // Whether an earlier one is still valid shows now: clocks may jump later.
    this.#endExpired(grant.request.resource)
    const { deadline } = grant
    this.#open.set(grant.request.requestId, { machine, grant, acquiredAtMs: this.#scheduler.nowMs, deadline })
  }

  /** A renewal is being sent: the store may count by its time from now on, and the answer be lost. */
  renewing(machine: Machine, requestId: string, ttlMs: number): void {
    const hold = this.#open.get(requestId)
    if (hold === undefined) return
    const deadline = answeredDeadline(machine.clock, momentOf(machine.clock), ttlMs)
    if (deadline.remainingMs() < hold.deadline.remainingMs()) hold.deadline = deadline
  }

  renewed(requestId: string, deadline: Deadline): void {
    const hold = this.#open.get(requestId)
    if (hold !== undefined) hold.deadline = deadline
  }

  /** It is over, for its process. */
  ended(requestId: string, end: 'released' | 'lost'): void {
    const hold = this.#open.get(requestId)
    if (hold !== undefined) this.#end(hold, end)
  }

  killed(machine: Machine): void {
    for (const hold of [...this.#open.values()]) if (hold.machine === machine) this.#end(hold, 'killed')
  }

  /** Whether a process holds a lease with such a token by its own deadline; undefined when it was over in another way. */
  isValid(machine: Machine, resource: string, token: bigint): boolean | undefined {
    for (const hold of this.#open.values()) {
      if (hold.machine !== machine || hold.grant.token.value !== token || resourceOf(hold.grant) !== resource) continue
      return hold.deadline.remainingMs() > 0
    }
    return undefined
  }

  /** All of it, in order. Those who hold at the end, hold until then. */
  finish(): readonly SimulationEvent[] {
    for (const hold of [...this.#open.values()]) this.#end(hold, 'open')
    return Object.freeze(this.#events.toSorted((one, other) => timeOf(one) - timeOf(other)))
  }

  #endExpired(resource: string): void {
    for (const hold of [...this.#open.values()]) {
      if (hold.grant.request.resource === resource && hold.deadline.remainingMs() <= 0) this.#end(hold, 'expired')
    }
  }

  #end({ machine, grant, acquiredAtMs, deadline }: OpenHold, end: SimulatedHold['end']): void {
    this.#open.delete(grant.request.requestId)
    const { nowMs } = this.#scheduler
    // When it passed: clocks run evenly but for their jumps, and then it is not known better.
    const leftMs = deadline.remainingMs() / machine.clock.rate
    const isPast = leftMs <= 0
    this.#events.push({
      kind: 'hold',
      resource: resourceOf(grant),
      holder: machine.name,
      mode: grant.request.mode?.kind ?? 'exclusive',
      token: grant.token.value,
      acquiredAtMs,
      validUntilMs: isPast ? Math.max(acquiredAtMs, nowMs + leftMs) : nowMs,
      end: isPast && end !== 'killed' ? 'expired' : end,
    })
  }
}

function resourceOf({ request: { resource }, slot }: Grant): string {
  return slot === undefined ? resource : `${resource}#${slot}`
}
