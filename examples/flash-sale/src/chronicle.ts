import type { Happening } from './happening.ts'

interface Watcher {
  readonly isFulfilled: () => boolean
  readonly resolve: () => void
}

/** Everything that happened. Processes are heard a little late and out of turn; told in order it is by `inOrder`. */
export class Chronicle {
  readonly #happenings: Happening[] = []
  readonly #watchers = new Set<Watcher>()
  #unsettled: Happening[] = []

  readonly add = (happening: Happening): void => {
    this.#happenings.push(happening)
    this.#unsettled.push(happening)
    for (const watcher of this.#watchers) {
      if (!watcher.isFulfilled()) continue
      this.#watchers.delete(watcher)
      watcher.resolve()
    }
  }

  /** All of it, by the time at which it happened. */
  inOrder(): readonly Happening[] {
    return inTimeOrder(this.#happenings)
  }

  /** What happened before that time and was not asked for yet. */
  settledBefore(atMs: number): readonly Happening[] {
    const settled = this.#unsettled.filter(happening => happening.atMs < atMs)
    this.#unsettled = this.#unsettled.filter(happening => happening.atMs >= atMs)
    return inTimeOrder(settled)
  }

  count(isCounted: (happening: Happening) => boolean): number {
    return this.#happenings.filter(isCounted).length
  }

  /** Why the first worker that failed did so. */
  get failure(): string | undefined {
    const failed = this.#happenings.find(({ kind }) => kind === 'failed')
    return failed?.kind === 'failed' ? `Worker ${failed.worker} failed: ${failed.reason}` : undefined
  }

  /** The last thing that was heard of a worker. */
  lastOf(worker: number): Happening | undefined {
    return this.#happenings.findLast(happening => happening.worker === worker)
  }

  /** Resolves as soon as the condition holds; it is looked at whenever something happens. */
  until(isFulfilled: () => boolean): Promise<void> {
    if (isFulfilled()) return Promise.resolve()
    return new Promise(resolve => this.#watchers.add({ isFulfilled, resolve }))
  }
}

function inTimeOrder(happenings: readonly Happening[]): readonly Happening[] {
  return happenings.toSorted((a, b) => a.atMs - b.atMs)
}
