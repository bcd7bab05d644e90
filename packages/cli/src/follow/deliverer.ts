import type { Config, Namespace, Participant, Prepared, ReleaseName } from '@holdfast/config-client'
import type { Delivered, Delivery } from './delivery.ts'

/** Delivers the releases that a configuration applies, one at a time, as part of applying them. */
export class Deliverer {
  readonly #delivery: Delivery
  #last: ReleaseName | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(delivery: Delivery) {
    this.#delivery = delivery
  }

  /** How long an apply may take: one delivery, and the one that may be under way when it begins. */
  get applyTimeoutMs(): number {
    return 2 * this.#delivery.limitMs
  }

  /** The release that was delivered last. */
  get last(): ReleaseName | undefined {
    return this.#last
  }

  /** Takes part in each apply that changes one of these namespaces: what is refused here is refused by the instance. */
  joinAll(config: Config, namespaces: readonly Namespace<unknown, never>[]): void {
    const runs = new WeakMap<AbortSignal, Promise<void>>()
    const participant: Participant<unknown> = {
      name: 'delivery',
      prepare: ({ release, signal }): Prepared => ({
        // Each namespace that changed commits, and by then all have their new values. The signal is that of the whole apply, so
        // the first one delivers for all. Nothing can fail after it, so there is nothing to roll back.
        commit: () => {
          const run = runs.get(signal) ?? this.deliver(release, contentOf(config, namespaces))
          runs.set(signal, run)
          return run
        },
      }),
    }
    for (const namespace of namespaces) config.participate(namespace, participant)
  }

  /** Delivers a release after those that are under way. Without a release, as before the first one, there is nothing to deliver. */
  deliver(release: ReleaseName | undefined, content: Delivered['content']): Promise<void> {
    const run = this.#running.then(async () => {
      if (release === undefined) return
      await this.#delivery.deliver({ release, previous: this.#last, content })
      this.#last = release
    })
    this.#running = run.catch(() => {})
    return run
  }
}

/** What a configuration says now. */
export function contentOf(config: Config, namespaces: readonly Namespace<unknown, never>[]): Delivered['content'] {
  return Object.fromEntries(namespaces.map(namespace => [namespace.name, config.current.get(namespace)]))
}
