import type { Clock } from '../clock.ts'
import { InvalidArgumentError, UnavailableError, UnsupportedError } from '../errors.ts'
import { TTL_MS } from '../options.ts'
import type { Grant, LeaseStore } from '../ports/leases.ts'
import { defaultTtlMs } from '../ports/leases.ts'
import type { Deadline } from './deadline.ts'
import { ClockDeadline, driftMs, momentOf } from './deadline.ts'
import type { AcquireOptions } from './options.ts'

type KeepOutOptions = Pick<AcquireOptions, 'ttlMs' | 'lockDelayMs' | 'lockAtLeastForMs'>

/** Whether the store is to keep others out for longer than its holder may act. */
export function keepsOut({ lockDelayMs = 0, lockAtLeastForMs = 0 }: KeepOutOptions): boolean {
  return lockDelayMs > 0 || lockAtLeastForMs > 0
}

/** The holder's own part of what the store is asked for. */
export function holderTtlMs({ ttlMsMax }: LeaseStore, { ttlMs, lockDelayMs }: KeepOutOptions): number {
  return ttlMs ?? Math.max(TTL_MS.min, defaultTtlMs(ttlMsMax, lockDelayMs))
}

/** What the store is asked for at first: a holder that dies at once leaves it for so long. */
export function firstStoreTtlMs(store: LeaseStore, options: KeepOutOptions): number {
  const { lockDelayMs = 0, lockAtLeastForMs = 0 } = options
  return Math.max(holderTtlMs(store, options) + lockDelayMs, lockAtLeastForMs)
}

/**
 * For how long others stay out after the holder's own end: a delay that follows an end which was no release, and a least time
 * from the grant on. The store only ever knows one time, the later; the holder's deadline is the sooner.
 *
 * @see The Chubby lock service for loosely-coupled distributed systems (Burrows, OSDI 2006), 2.4: lock-delay
 * @see https://developer.hashicorp.com/consul/docs/automate/session (lock-delay)
 * @see https://github.com/lukas-krecan/ShedLock (lockAtLeastFor; its holder writes the rest on release, as here)
 */
export class KeepOut {
  readonly #delayMs: number
  readonly #atLeast: Deadline

  /** To be made at the grant: the least time counts from then. */
  constructor(clock: Clock, { lockDelayMs = 0, lockAtLeastForMs = 0 }: KeepOutOptions) {
    this.#delayMs = lockDelayMs
    this.#atLeast = new ClockDeadline(clock, momentOf(clock), lockAtLeastForMs)
  }

  /** What the store is asked for when its holder is to have `ttlMs`. */
  storeTtlMs(ttlMs: number): number {
    return Math.max(ttlMs + this.#delayMs, this.restMs({ isOrderly: true }))
  }

  /** For how long others stay out when it ends now. */
  restMs({ isOrderly }: { readonly isOrderly: boolean }): number {
    const atLeastMs = Math.max(0, Math.ceil(this.#atLeast.remainingMs()))
    return isOrderly ? atLeastMs : Math.max(this.#delayMs, atLeastMs)
  }
}

/** Undefined for those who ask for nothing of it: it is in each use of a lock. */
export function keepOutOf(clock: Clock, options: KeepOutOptions): KeepOut | undefined {
  return keepsOut(options) ? new KeepOut(clock, options) : undefined
}

/** When the holder of what the store keeps for `ttlMs + beyondMs` has to stop. */
export function holderDeadline(deadline: Deadline, ttlMs: number, beyondMs: number): Deadline {
  // The store's deadline has been shortened by the drift of all of its time; the holder's own is that of his part.
  const reserveMs = beyondMs - (driftMs(ttlMs + beyondMs) - driftMs(ttlMs))
  return { remainingMs: () => deadline.remainingMs() - reserveMs }
}

/**
 * A grant of which the holder has at least half of his own time. One that came by message after a long wait may have less, for the
 * doubt about clocks grows with the wait: that is renewed first.
 *
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not renew it; it is given back.
 */
export async function withHolderTime(store: LeaseStore, grant: Grant, options: KeepOutOptions): Promise<Grant> {
  const ttlMs = holderTtlMs(store, options)
  if (holderDeadline(grant.deadline, ttlMs, grant.ttlMs - ttlMs).remainingMs() >= ttlMs / 2) return grant
  try {
    const [outcome] = await store.renew([{ grant, ttlMs: grant.ttlMs }])
    if (outcome?.kind === 'renewed') return { ...grant, deadline: outcome.deadline, isProvisional: false }
    throw new UnavailableError(`The grant of "${grant.request.resource}" was over before it could be handed out.`)
  } catch (error) {
    store.release(grant).catch(() => undefined)
    throw error
  }
}

/**
 * @throws {UnsupportedError} `HF_UNSUPPORTED` where leases have no time of their own
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` where the store would have to keep others out for longer than it can
 */
export function checkKeepOut({ leases, kind }: { leases: LeaseStore; kind: string }, options: KeepOutOptions): void {
  if (!keepsOut(options)) return
  if (leases.renewal === 'each') return checkLongest(leases, options)
  const { lockDelayMs = 0 } = options
  throw new UnsupportedError(
    lockDelayMs > 0
      ? `The ${kind} backend has no \`lockDelayMs\` (${lockDelayMs}): its locks end with a session, and the rest of the session after the holder's own deadline, a third, is such a delay already.`
      : `The ${kind} backend has no \`lockAtLeastForMs\` (${options.lockAtLeastForMs}): its locks end with a session, and cannot outlive their holder for a time.`,
  )
}

// The store would speak of a sum that nobody gave.
function checkLongest(store: LeaseStore, options: KeepOutOptions): void {
  const { ttlMsMax = Infinity } = store
  const { lockDelayMs = 0, lockAtLeastForMs = 0 } = options
  const ttlMs = holderTtlMs(store, options)
  if (lockAtLeastForMs > ttlMsMax) {
    throw new InvalidArgumentError(
      'lockAtLeastForMs',
      `Expected \`lockAtLeastForMs\` to be at most the store's longest TTL of ${ttlMsMax} ms, got ${lockAtLeastForMs}.`,
    )
  }
  if (ttlMs + lockDelayMs <= ttlMsMax) return
  throw new InvalidArgumentError(
    'lockDelayMs',
    `Expected \`lockDelayMs\` to be at most ${Math.max(0, ttlMsMax - ttlMs)} beside a \`ttlMs\` of ${ttlMs}, got ${lockDelayMs}: the store's longest TTL is ${ttlMsMax} ms.`,
  )
}
