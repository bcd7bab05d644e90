import type { LeaseLostReason } from '../errors.ts'
import type { FencingToken } from '../fencing/token.ts'
import type { Deadline } from '../lease/deadline.ts'

/** The TTL of a lease whose caller named none, where the store has no better one. */
export const TTL_MS_DEFAULT = 30_000

/**
 * The same where the store serves none longer than `ttlMsMax`, for a holder after whose end the store is to keep others out for `beyondMs`.
 */
export function defaultTtlMs(ttlMsMax: number = Infinity, beyondMs: number = 0): number {
  return Math.min(TTL_MS_DEFAULT, ttlMsMax - beyondMs)
}

/** What a holder or waiter says of itself; `inspect` shows it. */
export type LeaseMeta = Readonly<Record<string, string>>

/**
 * Beside whom a resource is held.
 *
 * - left out: alone.
 * - `read`: beside other readers, with no writer. `write`: alone. Who waits is served first come, first served, so readers that come
 *   after a waiting writer wait behind it, and readers next to each other in the queue are granted together.
 * - `permit`: beside others, as long as there are fewer than `limit` (1 to 1,000,000). Each has a slot of its own (`Grant.slot`), the
 *   lowest that is free. Should callers name different limits, each goes by its own.
 *
 * These are three locks: who holds a name alone, its readers and writers, and its permits have nothing to do with each other.
 */
export type LeaseMode =
  | { readonly kind: 'read' }
  | { readonly kind: 'write' }
  | { readonly kind: 'permit'; readonly limit: number }

/** Which of the three locks of one name. */
export type LeaseKind = 'exclusive' | 'read-write' | 'permits'

/** Which of the locks of a name a mode is about. */
export function kindOf(mode: LeaseMode | undefined): LeaseKind {
  if (mode === undefined) return 'exclusive'
  return mode.kind === 'permit' ? 'permits' : 'read-write'
}

/** One wish for one resource. Every step of it (enqueue, cancel, grant, renew, release) is idempotent by `requestId`. */
export interface LeaseRequest {
  readonly resource: string
  /** From `LeaseStore.newRequestId`; never used for two requests. */
  readonly requestId: string
  /** @default alone */
  readonly mode?: LeaseMode | undefined
  /** What the caller wishes; undefined means the store's default. `Grant.ttlMs` says what it is served with. */
  readonly ttlMs: number | undefined
  /**
   * Whether a grant that comes by message after waiting may be shorter than `ttlMs` (see `Grant.isProvisional`). False makes
   * the store renew such a grant to its full length before it hands it out.
   */
  readonly allowProvisional: boolean
  /** A `LeaseMeta` as JSON text. */
  readonly meta: string
}

/** A resource given to a request until a deadline. */
export interface Grant {
  readonly request: LeaseRequest
  /**
   * Of a reader: the token of the last writer, so that whoever wrote since makes it stale; where the store has forgotten that one, a
   * later token that no writer has. Of a permit: greater than that of any permit that was granted before.
   */
  readonly token: FencingToken
  /** Of a permit: its number, from 0; what it fences is the resource's slot. Undefined where the store has none (ZooKeeper). */
  readonly slot?: number | undefined
  /** The effective one. */
  readonly ttlMs: number
  /** When it ends, by the client's own clocks: always before the store ends it (L1). The store may move it. */
  readonly deadline: Deadline
  /** The first renewal is still to give it its full length: a handed-off grant is short, so that a silent waiter costs little. */
  readonly isProvisional: boolean
  /** That nothing may be fenced by the token: it is not known to be greater than earlier ones. @default false */
  readonly isUnfenced?: boolean | undefined
}

/** What `tryGrant` answers. */
export type TryGrantOutcome = { readonly kind: 'granted'; readonly grant: Grant } | { readonly kind: 'held' }

/** One lease to renew, counted from the moment when the renewal is sent. */
export interface Renewal {
  readonly grant: Grant
  readonly ttlMs: number
}

/** What became of a renewal that the store answered. */
export type RenewOutcome =
  | { readonly kind: 'renewed'; readonly deadline: Deadline; readonly ttlMs: number }
  | { readonly kind: 'lost'; readonly reason: LeaseLostReason }

/** Somebody who holds or waits, as the store sees it now. */
export interface LeaseParty {
  readonly requestId: string
  /** How it holds the resource, or wants to. */
  readonly mode: 'exclusive' | LeaseMode['kind']
  readonly meta: LeaseMeta
}

/** Somebody who holds. */
export interface LeaseHolder extends LeaseParty {
  readonly token: FencingToken
  readonly slot: number | undefined
  /** For how long it has held it, by the store's clock. Undefined where the store does not know. */
  readonly heldMs: number | undefined
  /** Until it ends without renewal. Undefined where the store does not know. */
  readonly remainingMs: number | undefined
}

/** Who holds a resource and who waits, in order. For people: never decide by it. */
export interface LeaseInfo {
  readonly resource: string
  /** The first of the holders. */
  readonly holder: LeaseHolder | undefined
  /** All of them, longest first. */
  readonly holders: readonly LeaseHolder[]
  readonly waiters: readonly LeaseParty[]
}

/** Asking holders to release, as a wish: nothing is taken from them. */
export interface LeaseRevocation {
  /** Asks all who hold this lock of `resource` now, and answers how many were asked. */
  request(resource: string, kind: LeaseKind): Promise<number>
  /**
   * Calls `listener` once the holder of `grant` is asked, also when that was before it listened or while the link was away; at
   * most once, and never before this method has returned. It costs the server nothing until then, and ends with the grant. The
   * returned function removes the listener.
   */
  listen(grant: Grant, listener: () => void): () => void
}

/** Hears of a lease that the store knows to be over before its deadline. */
export type GrantLostListener = (requestId: string, reason: LeaseLostReason) => void

/**
 * Where leases are kept. These are the promises; `leaseConformance` of `@holdfast/core/testing` checks them.
 *
 * - **L1** As long as the store keeps what it acknowledged, no two holders have a valid conflicting lease at any instant (see
 *   `LeaseMode`): a grant's deadline ends before the store's. It counts from before the request that was answered was sent.
 * - **L2** Tokens strictly increase per resource in grant order, also across loss of the store's data. (Of readers: see `Grant.token`.)
 *   No two permits have one slot at the same time.
 * - **L3** `renew` and `release` touch only their own grant; both are idempotent. A request that comes once more makes no lease shorter.
 * - **L5** After an aborted or failed `grant` nothing of it remains, at worst for one TTL or session. Taking it back goes on
 *   in the background after the rejection, and `Backend.close` waits for it (bounded).
 * - **L6** A free resource with a live waiter is granted within one hop; a closed waiter costs nothing, a silent one a bounded
 *   claim time, a dead holder its TTL + 1 s.
 * - **L7** Waiters are served first come, first served; waiting costs the server next to nothing. Who has a place in the queue waits on
 *   while the store does not answer: for one TTL at least, where leases live with a session for as long as that may live. Only after
 *   that it rejects with `UnavailableError`. What the store forgot meanwhile it asks for anew, at the end of the queue.
 *
 * (L4, the signal by the deadline, is kept by the lease engine above the port.)
 *
 * Every method rejects with `UnavailableError` when the store does not answer within its command deadline, `RefusedError` when
 * it says no, `InvalidArgumentError` when it cannot serve a TTL so short (the message has both values), `ClosedError` once
 * closed. Abort rejects with the signal's reason.
 */
export interface LeaseStore {
  /**
   * `each`: every grant has its own deadline, which `renew` moves. `session`: all grants share the deadline of a session
   * that the store keeps alive by itself, and `renew` only asks for a proof of life now.
   */
  readonly renewal: 'each' | 'session'
  /** `advisory` when an acknowledged grant can vanish, `lease` when L1 holds under crashes of the server as well. */
  readonly guarantee: 'advisory' | 'lease'
  /** Whether requests may have a `mode`: `exclusive` refuses every one that has, with `UnsupportedError`. */
  readonly modes: 'exclusive' | 'all'
  /** The longest TTL that it serves, in milliseconds; a longer one is refused. @default as long as a TTL may be */
  readonly ttlMsMax?: number
  newRequestId(): string
  /** Grants at once or answers `held`; never waits its turn. */
  tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome>
  /** Grants when it is the request's turn. `queued` is called once the store has said that it is not yet. */
  grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant>
  /** One outcome for each renewal, in order. */
  renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]>
  /** `lost` when the store no longer had it as ours. */
  release(grant: Grant): Promise<'released' | 'lost'>
  /**
   * Makes a writer's grant a reader's (`to` has the mode `read`, the resource of `from` and an id of its own) in one step, with no
   * writer in between; readers that wait behind it are granted with it. Undefined when `from` was not held any more. Idempotent: again
   * with the same two, the same grant. The reader's token is the writer's.
   */
  downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined>
  inspect(resource: string, kind?: LeaseKind): Promise<LeaseInfo>
  /** The store's own way to ask holders to give way. Without it the engine asks through records. */
  readonly revocation?: LeaseRevocation
  /** The returned function removes the listener. */
  onLost(listener: GrantLostListener): () => void
}
