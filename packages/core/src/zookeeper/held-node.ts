import type { LeaseLostReason } from '../errors.ts'
import type { FencingToken } from '../fencing/token.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import type { Contender } from './contender.ts'
import type { SessionDeadline } from './session-deadline.ts'

/** A grant, and the node that stands for it. */
export class HeldNode implements Grant {
  readonly request: LeaseRequest
  readonly contender: Contender
  readonly token: FencingToken
  readonly deadline: SessionDeadline
  readonly ttlMs: number
  readonly isProvisional = false
  /** Why it is not held any more, unless its holder gave it back. */
  lostBecause: LeaseLostReason | undefined
  release: Promise<'released' | 'lost'> | undefined
  /** What its node is being replaced by, or may have been. */
  successor: Contender | undefined
  /** To be closed when it is not held any more. */
  readonly attached: Set<{ close(): void }> = new Set()

  constructor(request: LeaseRequest, contender: Contender, token: FencingToken, deadline: SessionDeadline) {
    this.request = request
    this.contender = contender
    this.token = token
    this.deadline = deadline
    this.ttlMs = contender.session.timeoutMs
  }

  /** Takes back all that stands for it, however long that takes. */
  withdraw(): void {
    this.contender.withdraw().catch(() => undefined)
    this.successor?.withdraw().catch(() => undefined)
  }
}
