import type { Backend } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import type { LeaseLostReason } from '../errors.ts'
import { ClosedError, UnavailableError } from '../errors.ts'
import { Emitter } from '../events.ts'
import type { FencingToken } from '../fencing/token.ts'
import type { Grant, LeaseKind, LeaseMode, LeaseStore } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import { eventPoint } from '../telemetry.ts'
import { HeldLease } from './lease.ts'
import type { AcquireOptions } from './options.ts'
import { Revocations } from './revocation.ts'

/** What happens to the leases that a process holds through one backend. */
export interface LeaseEvents {
  granted: { readonly resource: string; readonly token: FencingToken }
  released: { readonly resource: string; readonly token: FencingToken }
  lost: { readonly resource: string; readonly token: FencingToken; readonly reason: LeaseLostReason }
  /** The lease is still held; renewal is tried again until its deadline. */
  renewFailed: { readonly leases: number; readonly error: unknown }
}

// A sleeping machine's timers are late by as long as it slept; a look at the wall clock this often finds out.
const CHECK_MS = 1_000

/** What `holdfast:lease.event` carries: the events, of which lease they are, and the renewals that were answered. */
export type LeaseEventMessage =
  | ({ readonly event: 'granted' | 'released' } & LeaseFacts)
  | ({ readonly event: 'lost'; readonly reason: LeaseLostReason } & LeaseFacts)
  | ({ readonly event: 'renewed' } & LeaseRenewed & LeaseFacts)
  | ({ readonly event: 'renewFailed'; readonly backend: string } & LeaseEvents['renewFailed'])

interface LeaseFacts {
  readonly backend: string
  readonly resource: string
  readonly token: FencingToken
  /** The same in its other events, and in the trace of its acquisition. */
  readonly leaseId: string
  readonly mode: 'exclusive' | LeaseMode['kind']
}

interface LeaseRenewed {
  /** What had been left of it when the answer came, in milliseconds. */
  readonly slackMs: number
  /** Whether it was the first of a short grant, which is renewed at once. */
  readonly isProvisional: boolean
}

const leaseEvent = eventPoint<LeaseEventMessage>('lease.event')

/**
 * Looks after all leases that a process holds through one backend, with one timer: renews them in batches at a third of their
 * TTL, and ends each by its deadline, whatever the renewals do.
 */
export class Keeper {
  readonly clock: Clock
  readonly events: Emitter<LeaseEvents> = new Emitter('lease')
  readonly revocations: Revocations
  /** Of its backend. */
  readonly kind: string
  readonly #store: LeaseStore
  readonly #held = new Map<string, HeldLease>()
  #timer: Timer | undefined
  #wakeAtMs = Infinity
  #isClosed = false

  constructor(backend: Backend) {
    this.clock = backend.clock
    this.kind = backend.kind
    this.#store = backend.leases
    this.revocations = new Revocations(backend)
    this.#store.onLost((requestId, reason) => this.#held.get(requestId)?.lose(reason))
    backend.onClose(() => this.#close())
  }

  /** Whether anybody listens to such events: what nobody hears need not be made. */
  isHeard(name: keyof LeaseEvents): boolean {
    return leaseEvent.isHeard || this.events.hears(name)
  }

  /** `token` is that of the grant: a lease that is lost does not say its own. */
  tell(name: 'granted' | 'released', lease: HeldLease, token: FencingToken): void {
    this.events.emit(name, { resource: lease.resource, token })
    if (leaseEvent.isHeard) leaseEvent.publish({ event: name, ...this.#factsOf(lease, token) })
  }

  tellLost(lease: HeldLease, token: FencingToken, reason: LeaseLostReason): void {
    this.events.emit('lost', { resource: lease.resource, token, reason })
    if (leaseEvent.isHeard) leaseEvent.publish({ event: 'lost', ...this.#factsOf(lease, token), reason })
  }

  tellRenewed(lease: HeldLease, token: FencingToken, renewed: LeaseRenewed): void {
    leaseEvent.publish({ event: 'renewed', ...this.#factsOf(lease, token), ...renewed })
  }

  /** Whether renewals are listened to. */
  get isTraced(): boolean {
    return leaseEvent.isHeard
  }

  /**
   * Makes a lease of a grant and looks after it from now on.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` when nothing of it is left: a lease that is over is never handed out.
   * @throws {ClosedError} `HF_CLOSED` when it came while the backend was being closed; it is given back.
   */
  hold(grant: Grant, options: AcquireOptions): HeldLease {
    if (this.#isClosed) {
      this.#store.release(grant).catch(() => undefined)
      throw new ClosedError(`${this.kind} backend`)
    }
    const lease = new HeldLease(this, this.#store, grant, options)
    const leftMs = lease.leftMs()
    if (leftMs <= 0) {
      lease.keepNobodyOut()
      lease.lapse()
      throw new UnavailableError(
        `The grant of "${lease.resource}" came so late that nothing of its ${lease.ttlMs} ms was left.`,
      )
    }
    this.#held.set(lease.requestId, lease)
    this.#wakeIn(Math.min(leftMs, lease.untilRenewalMs(leftMs)))
    if (this.isHeard('granted')) this.tell('granted', lease, grant.token)
    return lease
  }

  /** Whether a lease was acquired through this keeper's backend. */
  keeps(lease: unknown): boolean {
    return lease instanceof HeldLease && lease.isKeptBy(this)
  }

  /** Whether a lease of that resource is held through it, in whatever mode of that kind. */
  holds(resource: string, kind: LeaseKind): boolean {
    for (const { request } of this.#held.values()) {
      if (request.resource === resource && kindOf(request.mode) === kind) return true
    }
    return false
  }

  // The timer stays, for a second at most: setting it for each lease that comes and goes would cost more than the lease.
  forget(lease: HeldLease): void {
    this.#held.delete(lease.requestId)
    this.revocations.forget(lease.requestId)
  }

  /** To be called when a lease is to end sooner than it was, or to be renewed. */
  wakeFor(lease: HeldLease): void {
    const leftMs = lease.leftMs()
    this.#wakeIn(Math.min(leftMs, lease.untilRenewalMs(leftMs)))
  }

  #wakeIn(delayMs: number): void {
    if (this.#timer !== undefined && delayMs >= CHECK_MS) return
    const boundedMs = Math.max(0, Math.min(delayMs, CHECK_MS))
    const atMs = this.clock.monotonicMs() + boundedMs
    if (atMs >= this.#wakeAtMs) return
    this.#timer?.cancel()
    this.#wakeAtMs = atMs
    this.#timer = this.clock.setTimer(() => this.#wake(), boundedMs)
  }

  #sleep(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#wakeAtMs = Infinity
  }

  #wake(): void {
    this.#sleep()
    const due: HeldLease[] = []
    for (const lease of [...this.#held.values()]) {
      const leftMs = lease.leftMs()
      if (leftMs <= 0) lease.lapse()
      else if (lease.untilRenewalMs(leftMs) <= Math.min(CHECK_MS, lease.ttlMs / 12)) due.push(lease)
    }
    if (due.length > 0) void this.#renew(due)
    for (const lease of this.#held.values()) this.wakeFor(lease)
  }

  async #renew(leases: readonly HeldLease[]): Promise<void> {
    try {
      const outcomes = await this.#store.renew(leases.map(lease => lease.startRenewal()))
      for (const [index, lease] of leases.entries()) {
        const outcome = outcomes[index]
        if (outcome === undefined) lease.failRenewal()
        else lease.applyRenewal(outcome)
      }
    } catch (error) {
      for (const lease of leases) lease.failRenewal()
      const failure = { leases: leases.length, error }
      this.events.emit('renewFailed', failure)
      leaseEvent.publish({ event: 'renewFailed', backend: this.kind, ...failure })
    }
    for (const lease of this.#held.values()) this.wakeFor(lease)
  }

  #factsOf(lease: HeldLease, token: FencingToken): LeaseFacts {
    const { mode } = lease.request
    const { resource, requestId: leaseId } = lease
    return { backend: this.kind, resource, token, leaseId, mode: mode?.kind ?? 'exclusive' }
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#held.values()].map(lease => lease.close()))
    this.#sleep()
  }
}

const keepers = new WeakMap<Backend, Keeper>()

/** The keeper of a backend's leases: one, whoever asks. */
export function keeperOf(backend: Backend): Keeper {
  const known = keepers.get(backend)
  if (known !== undefined) return known
  const keeper = new Keeper(backend)
  keepers.set(backend, keeper)
  return keeper
}
