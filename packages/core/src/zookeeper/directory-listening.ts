import type { DirectoryListener } from '../ports/records.ts'
import { reportListenerError } from '../telemetry.ts'
import { exists, watchChildren } from './operations.ts'
import { ephemeralsPath } from './paths.ts'
import type { NodeListener, WatchParts } from './standing-watch.ts'
import { StandingWatch } from './standing-watch.ts'

/** All who listen to one directory, with one set of watches. */
export class DirectoryListening {
  readonly #watches: readonly StandingWatch[]
  readonly #armed = new Set<StandingWatch>()
  readonly #listeners = new Set<DirectoryListener>()
  #state: 'starting' | 'live' | 'down' = 'starting'
  #hasChanged = false

  /** `explain` makes of a cause what callers see. */
  constructor(parts: WatchParts, path: string, explain: (cause: unknown) => unknown) {
    const parent = ephemeralsPath(path)
    this.#watches = [
      new StandingWatch(parts, path, [() => exists(path, true)], this.#listenerOf(0, explain)),
      // The first tells of touches (a value was changed) and of the node itself, the second of who comes and goes.
      new StandingWatch(
        parts,
        parent,
        [() => exists(parent, true), () => watchChildren(parent)],
        this.#listenerOf(1, explain),
      ),
    ]
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0
  }

  /** Whether there was a change since it was last asked. */
  takeChange(): boolean {
    const hasChanged = this.#hasChanged
    this.#hasChanged = false
    return hasChanged
  }

  add(listener: DirectoryListener): void {
    const isFirst = this.isEmpty
    this.#listeners.add(listener)
    if (isFirst) for (const watch of this.#watches) watch.start()
    else if (this.#state === 'live') queueMicrotask(() => this.#tell(listener, () => listener.live()))
  }

  /** The last one ends it. */
  remove(listener: DirectoryListener): void {
    this.#listeners.delete(listener)
    if (this.isEmpty) for (const watch of this.#watches) watch.close()
  }

  #listenerOf(index: number, explain: (cause: unknown) => unknown): NodeListener {
    return {
      armed: () => this.#onArmed(index),
      changed: () => {
        this.#hasChanged = true
        this.#tellAll(listener => listener.changed())
      },
      lost: cause => this.#onLost(index, explain(cause)),
    }
  }

  #onArmed(index: number): void {
    const watch = this.#watches[index]
    if (watch !== undefined) this.#armed.add(watch)
    if (this.#state === 'live' || this.#armed.size < this.#watches.length) return
    this.#state = 'live'
    this.#tellAll(listener => listener.live())
  }

  #onLost(index: number, cause: unknown): void {
    const watch = this.#watches[index]
    if (watch !== undefined) this.#armed.delete(watch)
    if (this.#state === 'down') return
    this.#state = 'down'
    this.#tellAll(listener => listener.down(cause))
  }

  #tellAll(how: (listener: DirectoryListener) => void): void {
    for (const listener of [...this.#listeners]) this.#tell(listener, () => how(listener))
  }

  #tell(listener: DirectoryListener, how: () => void): void {
    if (!this.#listeners.has(listener)) return
    try {
      how()
    } catch (error) {
      reportListenerError('records', error)
    }
  }
}
