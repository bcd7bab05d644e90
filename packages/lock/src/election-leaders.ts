import type {
  Announcement,
  Backend,
  DirectoryView,
  DirectoryWatch,
  Lease,
  LeaseMeta,
  Live,
  Subscription,
} from '@holdfast/core'
import {
  Bell,
  FencingToken,
  UnsupportedError,
  announceRecord,
  mapLive,
  onAbort,
  recipeDirectory,
  watchDirectory,
} from '@holdfast/core'

/** Who leads, as it says of itself. */
export interface Leader {
  /** Of the candidate (`ElectionOptions.id`). */
  readonly id: string
  /** Of its lease. */
  readonly token: FencingToken
  readonly meta: LeaseMeta
  /** What it proclaims, if anything: an address, say. */
  readonly value: string | undefined
}

// With every notice lost, a new leader is seen within so long.
const RECONCILE_MS = 10_000
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * Announces a leader to whoever observes, for as long as nobody takes it back: an ephemeral record. Undefined where a backend has no
 * records; leading does not need it.
 */
export function announceLeader(
  backend: Backend,
  election: string,
  lease: Lease,
  leader: Leader,
): Announcement | undefined {
  try {
    return announceRecord(backend, {
      directory: recipeDirectory('election', election),
      // Each term has a record of its own, so what a former leader does late touches no other.
      id: leader.token.toString(),
      value: encodeLeader(leader),
      ...(backend.leases.renewal === 'each' ? { ttlMs: lease.ttlMs } : {}),
    })
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined
    throw error
  }
}

export function encodeLeader({ id, token, meta, value }: Leader): Uint8Array {
  return encoder.encode(JSON.stringify({ id, token: token.toString(), meta, value }))
}

/**
 * Follows who leads. Of several who say so the one with the greatest token does: the others have been overtaken, and their records
 * end soon.
 */
export class Leaders {
  readonly live: Live<Leader | undefined>
  readonly #backend: Backend
  readonly #watch: DirectoryWatch
  readonly #health: Subscription
  readonly #bells = new Set<Bell>()
  #isClosed = false

  constructor(backend: Backend, election: string) {
    this.#backend = backend
    const directory = recipeDirectory('election', election)
    this.#watch = watchDirectory(backend, directory, { ephemerals: true, reconcileMs: RECONCILE_MS })
    this.live = mapLive(this.#watch.view, leaderIn, isSameLeader)
    this.#health = backend.health.subscribe(health => health.kind === 'closed' && this.close())
  }

  async find(signal: AbortSignal | undefined): Promise<Leader | undefined> {
    await this.#watch.refresh(signal)
    return this.live.current
  }

  /** The leader of now, then each change; what changed while its reader was busy is merged. Ends with the signal, or when it is closed. */
  async *observe(signal: AbortSignal | undefined): AsyncGenerator<Leader | undefined, void, undefined> {
    const bell = new Bell(this.#backend.clock)
    this.#bells.add(bell)
    const subscription = this.#watch.view.subscribe(() => bell.ring())
    const stop = onAbort(signal, () => bell.ring())
    let seen: { readonly leader: Leader | undefined } | undefined
    try {
      while (!this.#isClosed && signal?.aborted !== true) {
        const leader = this.live.current
        const isNew = seen === undefined || !isSameLeader(seen.leader, leader)
        if (this.#watch.view.current.kind !== 'unread' && isNew) {
          seen = { leader }
          yield leader
        } else {
          await bell.heard()
        }
      }
    } finally {
      stop()
      subscription.close()
      this.#bells.delete(bell)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#watch.close()
    this.#health.close()
    for (const bell of this.#bells) bell.ring()
  }
}

function leaderIn(view: DirectoryView): Leader | undefined {
  if (view.kind !== 'present') return undefined
  let newest: Leader | undefined
  for (const { value } of view.ephemerals.values()) {
    const leader = decodeLeader(value)
    if (leader !== undefined && (newest === undefined || leader.token > newest.token)) newest = leader
  }
  return newest
}

function decodeLeader(bytes: Uint8Array): Leader | undefined {
  try {
    const { id, token, meta, value } = JSON.parse(decoder.decode(bytes)) as Readonly<Record<string, unknown>>
    return Object.freeze({
      id: String(id),
      token: FencingToken.parse(String(token)),
      meta: Object.freeze({ ...(meta as LeaseMeta) }),
      value: typeof value === 'string' ? value : undefined,
    })
  } catch {
    // Somebody else's record: it says nothing of who leads.
    return undefined
  }
}

function isSameLeader(a: Leader | undefined, b: Leader | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.id === b.id && a.token.value === b.token.value && a.value === b.value
}
