import type { Backend, Guard } from '@holdfast/core'
import { FencingToken, LeaseLostError, StaleTokenError, UnavailableError, UnknownOutcomeError } from '@holdfast/core'
import type { ZooKeeperFence } from '@holdfast/core/zookeeper'
import { zookeeperBackend, zookeeperFence } from '@holdfast/core/zookeeper'
import { RawZooKeeper, connectStringOf, isProblem } from '../raw-zookeeper.ts'
import type { Ledger, LedgerWrite } from './ledger.ts'
import type { WriteOutcome } from './protocol.ts'

// Longer than any run: a write that is late in the network must not be refused for its session's sake.
const SESSION_MS = 60_000

/** A ledger in a ZooKeeper node. */
export class ZooKeeperLedger implements Ledger {
  readonly guard: Guard
  readonly #backend: Backend
  readonly #fence: ZooKeeperFence
  readonly #ports: readonly number[]
  readonly #root: string
  readonly #made = new Set<string>()
  // For writes past the guard only: a driver that is cut in the middle of a reply throws at the next one.
  #raw: Promise<RawZooKeeper> | undefined

  constructor(ports: readonly number[], root: string) {
    this.#backend = zookeeperBackend({ connect: connectStringOf(ports), root, sessionTimeoutMs: SESSION_MS })
    this.#fence = zookeeperFence(this.#backend)
    this.guard = this.#fence
    this.#ports = ports
    this.#root = root
  }

  async write({ resource, token, isGuarded }: LedgerWrite): Promise<WriteOutcome> {
    const path = ledgerPath(this.#root, resource)
    await this.#make(path)
    if (!isGuarded) return { kind: 'accepted', order: await (await this.#past()).write(path, String(token)) }
    try {
      const operations = [{ kind: 'set', path, data: String(token) }] as const
      const [result] = await this.#fence.apply({ lease: { resource, token: new FencingToken(token) }, operations })
      return { kind: 'accepted', order: result?.kind === 'set' ? result.version : 0 }
    } catch (error) {
      if (error instanceof StaleTokenError || error instanceof LeaseLostError) return { kind: 'refused' }
      if (error instanceof UnknownOutcomeError || error instanceof UnavailableError) {
        return { kind: 'unknown', message: error.message }
      }
      throw error
    }
  }

  async close(): Promise<void> {
    const raw = await this.#raw?.catch(() => undefined)
    raw?.close()
    await this.#backend.close()
  }

  async #make(path: string): Promise<void> {
    if (this.#made.has(path)) return
    this.#made.add(path)
    const raw = await connected(this.#ports)
    await raw
      .create(path, '', 'PERSISTENT')
      .catch((error: unknown) => {
        if (!isProblem(error, 'NODE_EXISTS')) throw error
      })
      .finally(() => raw.close())
  }

  #past(): Promise<RawZooKeeper> {
    this.#raw ??= connected(this.#ports)
    return this.#raw
  }
}

async function connected(ports: readonly number[]): Promise<RawZooKeeper> {
  const raw = new RawZooKeeper(ports, SESSION_MS)
  await raw.ready()
  return raw
}

export function ledgerPath(root: string, resource: string): string {
  return `${root}-ledger/${resource}`
}
