import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import { ClosedError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import type {
  Grant,
  LeaseInfo,
  LeaseKind,
  LeaseMode,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import { RequestIds } from '../request-ids.ts'
import type { Claim, Holding, MemoryLeases } from './holding.ts'
import type { MemoryWorld } from './world.ts'

/** Leases of one client of a `MemoryWorld`. */
export class MemoryLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  // The store and its holders are one process: what it acknowledged is gone only when they are.
  readonly guarantee = 'lease'
  readonly modes = 'all'
  readonly #world: MemoryWorld
  readonly #lifecycle: BackendLifecycle
  readonly #ids = new RequestIds()
  readonly #waiting = new Set<() => void>()

  constructor(world: MemoryWorld, lifecycle: BackendLifecycle) {
    this.#world = world
    this.#lifecycle = lifecycle
  }

  newRequestId(): string {
    return this.#ids.next()
  }

  async tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    const grant = this.#tryNow(request, signal)
    return grant === undefined ? { kind: 'held' } : { kind: 'granted', grant }
  }

  async grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    // No await in between: a release before the enqueue would find nobody to hand over to.
    const grant = this.#tryNow(request, signal)
    if (grant !== undefined) return grant
    queued?.()
    return await this.#wait(request, signal)
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.#lifecycle.checkUsable()
    const sent = momentOf(this.#world.clock)
    return renewals.map(({ grant: { request }, ttlMs }) => {
      const holding = this.#leasesFor(request.mode).renew(request.resource, request.requestId, ttlMs)
      if (holding === undefined) return { kind: 'lost', reason: 'revoked' }
      return { kind: 'renewed', deadline: answeredDeadline(this.#world.clock, sent, ttlMs), ttlMs }
    })
  }

  async release({ request }: Grant): Promise<'released' | 'lost'> {
    this.#lifecycle.checkUsable()
    return this.#leasesFor(request.mode).release(request.resource, request.requestId) ? 'released' : 'lost'
  }

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    this.#lifecycle.checkOpen()
    const sent = momentOf(this.#world.clock)
    const holding = this.#world.readWrite.downgrade(to.resource, from.request.requestId, claimOf(to))
    return holding === undefined ? undefined : this.#grantOf(to, holding, sent)
  }

  async inspect(resource: string, kind?: LeaseKind): Promise<LeaseInfo> {
    this.#lifecycle.checkOpen()
    return this.#world.inspect(resource, kind)
  }

  /** Nothing ends here before its deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits. */
  close(): void {
    for (const giveUp of [...this.#waiting]) giveUp()
  }

  #tryNow(request: LeaseRequest, signal: AbortSignal | undefined): Grant | undefined {
    this.#lifecycle.checkOpen()
    signal?.throwIfAborted()
    const sent = momentOf(this.#world.clock)
    const holding = this.#leasesFor(request.mode).tryGrant(request.resource, claimOf(request))
    return holding === undefined ? undefined : this.#grantOf(request, holding, sent)
  }

  #wait(request: LeaseRequest, signal: AbortSignal | undefined): Promise<Grant> {
    const leases = this.#leasesFor(request.mode)
    return new Promise((resolve, reject) => {
      const giveUp = (reason: unknown): void => {
        stop()
        leases.release(request.resource, request.requestId)
        reject(reason)
      }
      const onClosed = (): void => giveUp(new ClosedError('memory backend'))
      const stopListening = onAbort(signal, giveUp)
      const stop = (): void => {
        this.#waiting.delete(onClosed)
        stopListening()
      }
      this.#waiting.add(onClosed)
      leases.enqueue(request.resource, claimOf(request), holding => {
        stop()
        resolve(this.#grantOf(request, holding, momentOf(this.#world.clock)))
      })
    })
  }

  #leasesFor(mode: LeaseMode | undefined): MemoryLeases {
    if (mode === undefined) return this.#world
    return mode.kind === 'permit' ? this.#world.permits : this.#world.readWrite
  }

  #grantOf(request: LeaseRequest, holding: Holding, sent: Moment): Grant {
    return {
      request,
      token: holding.token,
      slot: holding.slot,
      ttlMs: holding.ttlMs,
      deadline: answeredDeadline(this.#world.clock, sent, holding.ttlMs),
      isProvisional: false,
    }
  }
}

function claimOf(request: LeaseRequest): Claim {
  const { requestId, mode, meta } = request
  return { requestId, mode, ttlMs: request.ttlMs ?? TTL_MS_DEFAULT, meta }
}
