import type { Backend } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import type { LeaseLostReason } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import { leaseInfo } from '../lease/info.ts'
import type {
  Grant,
  GrantLostListener,
  LeaseInfo,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import { unsupportedIdempotency, unsupportedRates, unsupportedRecords } from '../ports/unsupported.ts'

/** What a scripted store says. Every answer has a default: yes. */
export interface LeaseAnswers {
  tryGrant: (request: LeaseRequest, signal?: AbortSignal) => Promise<TryGrantOutcome>
  grant: (request: LeaseRequest, signal?: AbortSignal) => Promise<Grant>
  renew: (renewals: readonly Renewal[]) => Promise<readonly RenewOutcome[]>
  release: (grant: Grant) => Promise<'released' | 'lost'>
}

/** A store that answers what a test tells it to, and remembers what it was asked: for tests of what stands above the port. */
export class ScriptedLeaseStore implements LeaseStore {
  renewal: 'each' | 'session' = 'each'
  guarantee: 'advisory' | 'lease' = 'lease'
  modes: 'exclusive' | 'all' = 'all'
  /** Whether it never says that a request is queued, as a store that cannot be reached. */
  isSilent = false
  readonly clock: Clock
  readonly answers: LeaseAnswers
  /** Everything that was asked, in order: `tryGrant r`, `renew r s`, … */
  readonly asked: string[] = []
  readonly #listeners = new Set<GrantLostListener>()
  #requests = 0
  #lastToken = 0n

  constructor(clock: Clock) {
    this.clock = clock
    this.answers = {
      tryGrant: async request => ({ kind: 'granted', grant: this.grantOf(request) }),
      grant: async request => this.grantOf(request),
      renew: async renewals => renewals.map(renewal => this.renewedFor(renewal)),
      release: async () => 'released',
    }
  }

  /** A grant of this instant, for all of the TTL. */
  grantOf(request: LeaseRequest, change: Partial<Grant> = {}): Grant {
    this.#lastToken += 1n
    const ttlMs = request.ttlMs ?? TTL_MS_DEFAULT
    const deadline = answeredDeadline(this.clock, momentOf(this.clock), ttlMs)
    return { request, token: new FencingToken(this.#lastToken), ttlMs, deadline, isProvisional: false, ...change }
  }

  /** A renewal of this instant. */
  renewedFor({ ttlMs }: Renewal): RenewOutcome {
    return { kind: 'renewed', deadline: answeredDeadline(this.clock, momentOf(this.clock), ttlMs), ttlMs }
  }

  /** Says that a lease is over. */
  lose(requestId: string, reason: LeaseLostReason): void {
    for (const listener of this.#listeners) listener(requestId, reason)
  }

  newRequestId(): string {
    return `request-${(this.#requests += 1)}`
  }

  tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    this.asked.push(`tryGrant ${request.resource}`)
    return this.answers.tryGrant(request, signal)
  }

  grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    this.asked.push(`grant ${request.resource}`)
    if (!this.isSilent) queued?.()
    return this.answers.grant(request, signal)
  }

  renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.asked.push(`renew ${renewals.map(({ grant }) => grant.request.resource).join(' ')}`)
    return this.answers.renew(renewals)
  }

  release(grant: Grant): Promise<'released' | 'lost'> {
    this.asked.push(`release ${grant.request.resource}`)
    return this.answers.release(grant)
  }

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant> {
    this.asked.push(`downgrade ${to.resource}`)
    return this.grantOf(to, { token: from.token })
  }

  async inspect(resource: string): Promise<LeaseInfo> {
    return leaseInfo(resource, [], [])
  }

  onLost(listener: GrantLostListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** A backend around a scripted store. */
export function scriptedBackend(store: ScriptedLeaseStore): Backend {
  const lifecycle = new BackendLifecycle('scripted backend', store.clock)
  lifecycle.setHealth({ kind: 'ready' })
  const close = (): Promise<void> => lifecycle.close(async () => {})
  return {
    kind: 'scripted',
    clock: store.clock,
    leases: store,
    records: unsupportedRecords('scripted'),
    rates: unsupportedRates('scripted'),
    idempotency: unsupportedIdempotency('scripted'),
    health: lifecycle.health,
    ready: async () => lifecycle.checkOpen(),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}
