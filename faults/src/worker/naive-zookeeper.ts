import { setTimeout as sleep } from 'node:timers/promises'
import { RawZooKeeper, isProblem } from '../raw-zookeeper.ts'
import type { Contender, Held, Wish } from './contender.ts'
import { NaiveHeld } from './naive-held.ts'
import type { SessionTap } from './session-tap.ts'

/**
 * The recipe as it stands in many a tutorial, over the bare driver: the predecessor is gone, so the lock is ours, until the driver
 * says that the session has expired, or with `endsWithConnection`, that its pings are not answered any more. The token is the node's
 * sequence number.
 */
export class NaiveZooKeeper implements Contender {
  readonly #raw: RawZooKeeper
  readonly #tap: SessionTap
  readonly #directory: string
  readonly #isEphemeral: boolean
  readonly #held = new Set<NaiveHeld>()

  constructor(
    raw: RawZooKeeper,
    tap: SessionTap,
    options: { readonly directory: string; readonly isEphemeral: boolean; readonly endsWithConnection: boolean },
  ) {
    this.#raw = raw
    this.#tap = tap
    this.#directory = options.directory
    this.#isEphemeral = options.isEphemeral
    const lose = (): void => {
      for (const held of this.#held) held.lose()
    }
    raw.onExpired(lose)
    if (options.endsWithConnection) raw.onDisconnected(lose)
  }

  async ready(): Promise<void> {}

  async acquire({ resource, waitMs }: Wish): Promise<Held | undefined> {
    const directory = `${this.#directory}/${resource}`
    const mode = this.#isEphemeral ? 'EPHEMERAL_SEQUENTIAL' : 'PERSISTENT_SEQUENTIAL'
    const path = await this.#raw.create(`${directory}/n-`, '', mode)
    const gone = await this.#predecessorGone(directory, path, waitMs)
    if (!gone) {
      await this.#remove(path)
      return undefined
    }
    const token = BigInt(path.slice(-10))
    const facts = { resource, token, ttlMs: this.#raw.sessionTimeoutMs, provenAtMs: this.#tap.provenAtMs }
    const held = new NaiveHeld(facts, async () => {
      this.#held.delete(held)
      await this.#remove(path)
    })
    this.#held.add(held)
    return held
  }

  async close(): Promise<void> {
    this.#tap.close()
    this.#raw.close()
  }

  async #predecessorGone(directory: string, path: string, waitMs: number): Promise<boolean> {
    const names = [...(await this.#raw.children(directory))].sort()
    const predecessor = names[names.indexOf(path.slice(path.lastIndexOf('/') + 1)) - 1]
    if (predecessor === undefined) return true
    let notice = (_isGone: boolean): void => {}
    const gone = new Promise<boolean>(resolve => {
      notice = resolve
    })
    if (!(await this.#raw.exists(`${directory}/${predecessor}`, () => notice(true)))) return true
    const abort = new AbortController()
    const tooLate = sleep(waitMs, false, { signal: abort.signal }).catch(() => false)
    return await Promise.race([gone, tooLate]).finally(() => abort.abort())
  }

  async #remove(path: string): Promise<void> {
    await this.#raw.remove(path).catch((error: unknown) => {
      if (!isProblem(error, 'NO_NODE')) throw error
    })
  }
}
