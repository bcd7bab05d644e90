import type { Config, Namespace, Participant, Prepared, ReleaseName } from '@holdfast/config-client'
import type { Delivered, Delivery } from './delivery.ts'

/** Delivers the releases that a configuration applies, one at a time, as part of applying them. */
export class Deliverer {
  readonly #delivery: Delivery
  #last: ReleaseName | undefined
  #running: Promise<void> = Promise.resolve()
  #isBusy = false

  constructor(delivery: Delivery) {
    this.#delivery = delivery
  }

  /** How long an apply may take: one delivery, and the one that may be under way when it begins. */
  get applyTimeoutMs(): number {
    return 2 * this.#delivery.limitMs
  }

  /** Whether a delivery is under way. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /**
   * Takes part in each apply that changes one of the opened namespaces: what is refused here is refused by the instance. `read`
   * gives what is to be delivered of the release that is in use by then.
   */
  join(opened: Opened, read: () => Promise<Delivered['content']>): void {
    const runs = new WeakMap<AbortSignal, Promise<void>>()
    const participant: Participant<unknown> = {
      name: 'delivery',
      prepare: ({ release, signal }): Prepared => ({
        // Each namespace that changed commits, and by then all have their new values. The signal is that of the whole apply, so
        // the first one delivers for all. Nothing can fail after it, so there is nothing to roll back.
        commit: () => {
          const run = runs.get(signal) ?? this.deliver(release, read)
          runs.set(signal, run)
          return run
        },
      }),
    }
    for (const namespace of opened.namespaces) opened.config.participate(namespace, participant)
  }

  /** Delivers a release after those that are under way, unless it was the last. Before the first release there is nothing to deliver. */
  deliver(release: ReleaseName | undefined, read: () => Promise<Delivered['content']>): Promise<void> {
    const run = this.#running.then(async () => {
      if (release === undefined || this.#isLast(release)) return
      this.#isBusy = true
      await this.#delivery.deliver({ release, previous: this.#last, content: await read() })
      this.#last = release
    })
    this.#running = run
      .catch(() => {})
      .then(() => {
        this.#isBusy = false
      })
    return run
  }

  #isLast({ number, hash }: ReleaseName): boolean {
    return this.#last?.number === number && this.#last.hash === hash
  }
}

/** A configuration, and what it was opened with. */
export interface Opened {
  readonly config: Config
  readonly namespaces: readonly Namespace<unknown, never>[]
}

/** What a configuration says now. */
export function contentOf({ config, namespaces }: Opened): Delivered['content'] {
  return Object.fromEntries(namespaces.map(namespace => [namespace.name, config.current.get(namespace)]))
}
