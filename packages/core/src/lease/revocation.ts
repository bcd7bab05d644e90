import type { Backend } from '../backend.ts'
import { UnsupportedError } from '../errors.ts'
import type { Grant, LeaseKind } from '../ports/leases.ts'
import type { EphemeralRecord, EphemeralRequest } from '../ports/records.ts'
import type { DirectoryView, DirectoryWatch } from '../records/watch.ts'
import { watchDirectory } from '../records/watch.ts'
import { reportListenerError, reportListenerRejection } from '../telemetry.ts'
import { encodeMeta } from './options.ts'

/** Where wishes stand, one ephemeral record for each lease that is to be given up, by the id of its request. */
const DIRECTORY = 'lock/revocations'
/** For how long a wish is known to a holder who does not listen yet, and the longest that one can stay behind. */
const WISH_MS = 600_000
/** How many wishes are on their way at once. */
const AT_ONCE = 64

const encoder = new TextEncoder()

interface Audience {
  readonly listeners: Set<() => void>
  /** The wish, once it was seen. */
  wish: EphemeralRecord | undefined
}

/**
 * Tells the leases of a process that somebody asks for them: by the store's own way, or by one watch of the directory of wishes,
 * which is open as long as anybody listens.
 */
export class Revocations {
  readonly #backend: Backend
  readonly #audiences = new Map<string, Audience>()
  #watch: DirectoryWatch | undefined

  constructor(backend: Backend) {
    this.#backend = backend
  }

  /**
   * Calls `listener` once, never before this has returned.
   *
   * @throws {UnsupportedError} `HF_UNSUPPORTED`
   */
  listen(grant: Grant, listener: () => void): () => void {
    const hear = safely(listener)
    const native = this.#backend.leases.revocation
    if (native !== undefined) return native.listen(grant, hear)
    this.#watch ??= this.#open()
    const { requestId } = grant.request
    const audience = this.#audiences.get(requestId) ?? { listeners: new Set(), wish: undefined }
    this.#audiences.set(requestId, audience)
    // A function of our own: the same listener may be given twice.
    const once = (): void => {
      if (audience.listeners.delete(once)) hear()
    }
    audience.listeners.add(once)
    queueMicrotask(() => this.#read())
    return () => {
      audience.listeners.delete(once)
      if (audience.listeners.size === 0 && audience.wish === undefined) this.forget(requestId)
    }
  }

  /** The lease has ended: nobody listens for it any more, and a wish that was seen goes. */
  forget(requestId: string): void {
    const audience = this.#audiences.get(requestId)
    if (audience === undefined) return
    this.#audiences.delete(requestId)
    audience.listeners.clear()
    if (audience.wish !== undefined) this.#backend.records.leave(wishFor(audience.wish)).catch(() => undefined)
    if (this.#audiences.size > 0) return
    this.#watch?.close()
    this.#watch = undefined
  }

  #open(): DirectoryWatch {
    checkRecords(this.#backend)
    const watch = watchDirectory(this.#backend, DIRECTORY, { ephemerals: true })
    watch.view.subscribe(() => this.#read())
    return watch
  }

  #read(): void {
    const view: DirectoryView | undefined = this.#watch?.view.current
    if (view?.kind !== 'present') return
    for (const [requestId, audience] of [...this.#audiences]) {
      const wish = view.ephemerals.get(requestId)
      if (wish === undefined) continue
      audience.wish = wish
      for (const listener of [...audience.listeners]) listener()
    }
  }
}

/**
 * Asks all who hold this lock of `resource` now to give it up. A wish: nothing is taken from them, and who does not listen
 * (`Lease.onRevoke`) does not hear of it.
 *
 * @returns how many were asked
 * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend cannot carry such wishes
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer in time: some may have been asked
 */
export async function requestRevocation(
  backend: Backend,
  resource: string,
  kind: LeaseKind = 'exclusive',
): Promise<number> {
  const native = backend.leases.revocation
  if (native !== undefined) return await native.request(resource, kind)
  checkRecords(backend)
  const { holders } = await backend.leases.inspect(resource, kind)
  const value = encoder.encode(encodeMeta(undefined))
  for (let from = 0; from < holders.length; from += AT_ONCE) {
    const asked = holders.slice(from, from + AT_ONCE)
    await Promise.all(
      asked.map(({ requestId }) =>
        backend.records.join(wishFor({ id: requestId, owner: backend.records.newId(), value })),
      ),
    )
  }
  return holders.length
}

// What a user's listener throws breaks nothing.
function safely(listener: () => void): () => void {
  return () => {
    try {
      reportListenerRejection('lease', listener())
    } catch (error) {
      reportListenerError('lease', error)
    }
  }
}

function wishFor({ id, owner, value }: EphemeralRecord): EphemeralRequest {
  return { directory: DIRECTORY, id, owner, value, ttlMs: WISH_MS }
}

function checkRecords({ kind, records }: Backend): void {
  try {
    records.newId()
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    throw new UnsupportedError(
      `The ${kind} backend cannot ask holders to give up a lock, for it has no records to ask by.`,
    )
  }
}
