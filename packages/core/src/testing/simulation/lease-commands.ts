import { FencingToken } from '../../fencing/token.ts'
import type { Moment } from '../../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../../lease/deadline.ts'
import { TakeBacks } from '../../lease/take-backs.ts'
import type { AcquireOutcome, WaitingCommands } from '../../lease/waiting.ts'
import type { Grant, LeaseRequest, Renewal, RenewOutcome } from '../../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../../ports/leases.ts'
import type { Calls } from './calls.ts'
import { CALL_TIMEOUT_MS } from './calls.ts'
import type { LeaseServer } from './lease-server.ts'
import type { Claim, ClaimAnswer, Holding } from './lease-table.ts'
import type { Machine } from './machine.ts'

/** How long a lease that is handed over lasts until its first renewal. */
const CLAIM_MS = 2_000

/** The steps of `LeaseTable`, as one simulated client takes them over the network. */
export class SimulatedCommands implements WaitingCommands {
  readonly #server: LeaseServer
  readonly #machine: Machine
  readonly #calls: Calls
  readonly #takeBacks: TakeBacks
  #epoch = 0
  #isClosed = false

  constructor(parts: { readonly server: LeaseServer; readonly machine: Machine; readonly calls: Calls }) {
    this.#server = parts.server
    this.#machine = parts.machine
    this.#calls = parts.calls
    this.#takeBacks = new TakeBacks({
      clock: parts.machine.clock,
      release: request => this.release(request),
      patienceMsOf: request => this.ttlMsOf(request) + CALL_TIMEOUT_MS,
      isClosed: () => this.#isClosed,
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  ttlMsOf(request: LeaseRequest): number {
    return request.ttlMs ?? TTL_MS_DEFAULT
  }

  /** The connection was made anew. */
  reconnect(): void {
    this.#epoch += 1
  }

  async acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome> {
    const claim = this.#claimOf(request, options.mayQueue ? CLAIM_MS : 0)
    const sent = momentOf(this.#machine.clock)
    const { answer, serverUs } = await this.#calls.ask(this.#server, () => {
      const nowUs = this.#server.nowUs()
      return { answer: copied(this.#server.table({ mayGrant: true }).claim(claim, nowUs)), serverUs: nowUs }
    })
    if (answer.kind === 'held') return answer
    if (answer.kind === 'granted') return { kind: 'granted', grant: this.#grantOf(request, answer.holding, sent) }
    return { ...answer, sent, serverUs }
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return await Promise.all(renewals.map(renewal => this.#renew(renewal)))
  }

  async release(request: LeaseRequest): Promise<'released' | 'lost'> {
    const { resource, requestId, mode } = request
    const isHeld = await this.#calls.ask(this.#server, () =>
      this.#server.table({ mayGrant: true }).release({ resource, id: requestId, mode }, this.#server.nowUs()),
    )
    return isHeld ? 'released' : 'lost'
  }

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    const { resource, requestId, mode } = from.request
    const sent = momentOf(this.#machine.clock)
    const holding = await this.#calls.ask(this.#server, () => {
      const table = this.#server.table({ mayGrant: true })
      return table.downgrade({ resource, id: requestId, mode }, this.#claimOf(to, 0), this.#server.nowUs())
    })
    return holding === undefined ? undefined : this.#grantOf(to, holding, sent)
  }

  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    this.#takeBacks.start(request, asked)
  }

  /** Settles when nothing is being taken back any more. */
  idle(): Promise<void> {
    return this.#takeBacks.idle()
  }

  close(): void {
    this.#isClosed = true
  }

  async #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const { resource, requestId, mode } = grant.request
    const sent = momentOf(this.#machine.clock)
    const isHeld = await this.#calls.ask(this.#server, () =>
      this.#server.table({ mayGrant: false }).renew({ resource, id: requestId, mode }, ttlMs, this.#server.nowUs()),
    )
    if (!isHeld) return { kind: 'lost', reason: 'revoked' }
    return { kind: 'renewed', deadline: answeredDeadline(this.#machine.clock, sent, ttlMs), ttlMs }
  }

  #claimOf(request: LeaseRequest, claimMs: number): Claim {
    const { resource, requestId, mode, meta } = request
    return { resource, id: requestId, mode, ttlMs: this.ttlMsOf(request), claimMs, meta }
  }

  #grantOf(request: LeaseRequest, { token, slot }: Holding, sent: Moment): Grant {
    const ttlMs = this.ttlMsOf(request)
    const deadline = answeredDeadline(this.#machine.clock, sent, ttlMs)
    return { request, token: new FencingToken(BigInt(token)), slot, ttlMs, deadline, isProvisional: false }
  }
}

// What is sent is what was so then.
function copied(answer: ClaimAnswer): ClaimAnswer {
  return answer.kind === 'granted' ? { kind: 'granted', holding: { ...answer.holding } } : answer
}
