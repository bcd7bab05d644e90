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

  constructor(request: LeaseRequest, contender: Contender, token: FencingToken, deadline: SessionDeadline) {
    this.request = request
    this.contender = contender
    this.token = token
    this.deadline = deadline
    this.ttlMs = contender.session.timeoutMs
  }
}
