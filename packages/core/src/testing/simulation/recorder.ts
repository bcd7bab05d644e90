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
  /** What the store may count by since a renewal was sent: of those after the last that was answered, by their number. */
  readonly sent: Map<number, Deadline>
  answered: number
}

/** Writes down what happens, by true time. */
export class Recorder {
  readonly #scheduler: Scheduler
  readonly #events: SimulationEvent[] = []
  readonly #open = new Map<string, OpenHold>()
  #renewals = 0

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
    this.#open.set(grant.request.requestId, {
      machine,
      grant,
      acquiredAtMs: this.#scheduler.nowMs,
      deadline,
      sent: new Map(),
      answered: 0,
    })
  }

  /** A renewal is being sent: the store may count by its time from now on, and the answer be lost. Answers which one it is. */
  renewing(machine: Machine, requestId: string, ttlMs: number): number {
    const renewal = (this.#renewals += 1)
    const hold = this.#open.get(requestId)
    if (hold === undefined) return renewal
    const deadline = answeredDeadline(machine.clock, momentOf(machine.clock), ttlMs)
    hold.sent.set(renewal, deadline)
    hold.deadline = sooner(hold.deadline, deadline)
    return renewal
  }

  /** It was answered. Others that were sent later can make the hold end sooner, and may have been answered first. */
  renewed(requestId: string, renewal: number, deadline: Deadline): void {
    const hold = this.#open.get(requestId)
    if (hold === undefined || renewal < hold.answered) return
    hold.answered = renewal
    for (const earlier of hold.sent.keys()) if (earlier <= renewal) hold.sent.delete(earlier)
    hold.deadline = [...hold.sent.values()].reduce(sooner, deadline)
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

function sooner(one: Deadline, other: Deadline): Deadline {
  return other.remainingMs() < one.remainingMs() ? other : one
}

function resourceOf({ request: { resource }, slot }: Grant): string {
  return slot === undefined ? resource : `${resource}#${slot}`
}
