import { onAbort, orAborted } from '../abort.ts'
import { Bell } from '../barriers/bell.ts'
import { ClosedError, UnavailableError } from '../errors.ts'
import type { BarrierWait } from '../ports/barriers.ts'
import type { Random } from '../random.ts'
import { OperationError, toHoldfastError } from './errors.ts'
import { removeWatches } from './operations.ts'
import type { Session } from './session.ts'
import type { WatchParts } from './standing-watch.ts'

/** What waiting at nodes works with. */
export interface VigilParts extends WatchParts {
  readonly random: Random
}

/** A watch that was set on a node that was not there. */
export interface BirthWatch {
  /** Whether the node has come since, and may have gone again. */
  readonly hasFired: boolean
  /** To be called once the server has said that there is no such node. */
  arm(): void
}

const RETRY_MS = 100

/** One who waits at nodes: looks, and looks again when a node that he watches changes, over connections and sessions. */
export class Vigil {
  readonly #parts: VigilParts
  readonly #bell: Bell
  readonly #ring = (): void => this.#bell.ring()
  readonly #watched = new Map<string, { readonly session: Session; readonly listener: () => void }>()
  #isOver = false

  constructor(parts: VigilParts) {
    this.#parts = parts
    this.#bell = new Bell(parts.clock)
  }

  /** The backend closes. */
  close(): void {
    this.#bell.fail(new ClosedError('zookeeper backend'))
  }

  /**
   * Looks until `look` answers something else than undefined, and answers that. `look` sets the watches that will make it look again.
   * While ZooKeeper does not answer it goes on; what the server refuses ends it.
   */
  async until<T>(wait: BarrierWait, look: (session: Session) => Promise<T | 'again' | undefined>): Promise<T> {
    const { signal, waiting } = wait
    signal?.throwIfAborted()
    const stopListening = onAbort(signal, reason => this.#bell.fail(reason))
    try {
      for (;;) {
        this.#bell.check()
        const seen = await orAborted(this.#look(look), signal)
        if (seen.kind === 'seen') return seen.value
        if (seen.kind === 'again') continue
        if (seen.kind === 'not-yet') waiting?.()
        await this.#bell.heard(seen.kind === 'unanswered' ? RETRY_MS * (1 + this.#parts.random.next()) : undefined)
      }
    } finally {
      stopListening()
      this.#isOver = true
      this.#unwatch()
    }
  }

  /** To be called before the question that sets the watch is sent. */
  watch(session: Session, path: string): void {
    this.#listen(session, path, this.#ring)
  }

  /** As `watch`, for a node that may not be there: tells whether it came, also when it went again before anybody looked. */
  watchBirth(session: Session, path: string): BirthWatch {
    let [isArmed, hasFired] = [false, false]
    this.#listen(session, path, () => {
      // All are told when the connection breaks as well, and that says nothing.
      hasFired ||= isArmed && session.state.kind === 'connected'
      this.#bell.ring()
    })
    return {
      get hasFired() {
        return hasFired
      },
      arm: () => (isArmed = true),
    }
  }

  #listen(session: Session, path: string, listener: () => void): void {
    if (this.#isOver) throw new OperationError({ kind: 'unsent' })
    const known = this.#watched.get(path)
    known?.session.watches.remove(path, known.listener)
    session.watches.add(path, listener)
    this.#watched.set(path, { session, listener })
  }

  async #look<T>(look: (session: Session) => Promise<T | 'again' | undefined>): Promise<Seen<T>> {
    const { sessions } = this.#parts
    try {
      const value = await look(sessions.current)
      if (value === 'again') return { kind: 'again' }
      return value === undefined ? { kind: 'not-yet' } : { kind: 'seen', value: value as Exclude<T, 'again'> }
    } catch (cause) {
      const error = toHoldfastError(cause, sessions.server)
      if (error instanceof UnavailableError) return { kind: 'unanswered' }
      throw error
    }
  }

  // Leaves nothing, neither here nor at the server.
  #unwatch(): void {
    for (const [path, { session, listener }] of this.#watched) {
      session.watches.remove(path, listener)
      if (session.isOver || session.watches.has(path)) continue
      session.runPatiently(removeWatches(path)).catch(() => undefined)
    }
  }
}

type Seen<T> =
  | { readonly kind: 'seen'; readonly value: T }
  | { readonly kind: 'again' }
  | { readonly kind: 'not-yet' }
  /** ZooKeeper did not answer. */
  | { readonly kind: 'unanswered' }
