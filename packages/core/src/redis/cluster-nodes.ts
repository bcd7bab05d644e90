import type { Cluster, Redis } from 'ioredis'
import type { Clock, Timer } from '../clock.ts'
import { hashSlot } from './hash-slot.ts'
import { markerKey } from './keys.ts'
import { serverMarker } from './scripts/server-marker.ts'
import { isLongUp, nodeIdOf, readInfo } from './server.ts'

// Those that are gone are not known as such. No Cluster has more masters.
const NODES_MAX = 1_000

/** What a `ClusterNodes` works with. */
export interface ClusterNodesSettings {
  readonly clock: Clock
  readonly prefix: string
  readonly maxClockSkewMs: number
}

/**
 * The nodes of a Cluster that may grant. Tokens rest on the clock of the node that grants, so one that took over from another is
 * held back until it has been in charge for `maxClockSkewMs`. Which node runs a script nobody knows beforehand: slots move, and
 * masters are replaced, behind everybody's back. So each step names the nodes that may carry it out, and the script compares.
 *
 * A node is its replication id here: a master has the same one for as long as it is one, and a promoted replica has a new one.
 */
export class ClusterNodes {
  readonly #settings: ClusterNodesSettings
  readonly #learning = new Map<string, Promise<void>>()
  readonly #timers = new Set<Timer>()
  readonly #granting = new Set<string>()
  #mayGrant = ''

  constructor(settings: ClusterNodesSettings) {
    this.#settings = settings
  }

  /** Those that may grant, as a step names them. */
  get mayGrant(): string {
    return this.#mayGrant
  }

  /** Settles once a node, which answered just now, may grant. */
  learn(cluster: Cluster, node: string): Promise<void> {
    const known = this.#learning.get(node)
    if (known !== undefined) return known
    const learning = this.#learn(cluster, node)
    this.#learning.set(node, learning)
    return learning
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel()
  }

  // That it answered says that it is in charge, so after all of the skew nothing needs to be asked. Most often it has been for
  // longer, and can tell.
  async #learn(cluster: Cluster, node: string): Promise<void> {
    const { maxClockSkewMs } = this.#settings
    if (maxClockSkewMs > 0) {
      const heldBack = this.#sleep(maxClockSkewMs)
      const told = this.#inChargeMs(cluster, node).then(
        knownMs => this.#sleep(maxClockSkewMs - knownMs),
        () => heldBack,
      )
      await Promise.race([heldBack, told])
    }
    this.#granting.add(node)
    const [oldest = ''] = this.#granting
    if (this.#granting.size > NODES_MAX) this.#forget(oldest)
    this.#mayGrant = [...this.#granting].join(' ')
  }

  #forget(node: string): void {
    this.#granting.delete(node)
    this.#learning.delete(node)
  }

  async #inChargeMs(cluster: Cluster, node: string): Promise<number> {
    const { prefix, maxClockSkewMs } = this.#settings
    const { client, info } = await findNode(cluster, node)
    const key = nodeMarkerKey(prefix, String(await client.cluster('NODES')))
    // The driver puts a prefix that is the Cluster's before no key that goes to one node.
    const before = client.options.keyPrefix ? '' : String(cluster.options.keyPrefix ?? '')
    const isProven = isLongUp(info, maxClockSkewMs) ? '1' : '0'
    return Number(await client.eval(serverMarker, 1, `${before}${key}`, node, isProven)) / 1_000
  }

  #sleep(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve()
    return new Promise(resolve => {
      const over = (): void => {
        this.#timers.delete(timer)
        resolve()
      }
      const timer = this.#settings.clock.setTimer(over, ms)
      this.#timers.add(timer)
    })
  }
}

/** The connection to a node. Does not wait for nodes that are silent. @throws when none of those that answer is it */
export async function findNode(
  cluster: Cluster,
  node: string,
): Promise<{ readonly client: Redis; readonly info: ReadonlyMap<string, string> }> {
  const looks = cluster.nodes('all').map(async client => {
    const info = await readInfo(client)
    if (info.get('role') !== 'master' || nodeIdOf(info) !== node) throw new Error('It is another node.')
    return { client, info }
  })
  return await Promise.any(looks)
}

const SILENT_MS = 1_000

/** Cuts the links to nodes that do not answer any more: only a new one can tell, and the others have nothing to do with it. */
export function dropSilentNodes(cluster: Cluster, clock: Clock): void {
  for (const client of cluster.nodes('all')) {
    const timer = clock.setTimer(() => client.disconnect(), SILENT_MS)
    const answered = (): void => timer.cancel()
    client.ping().then(answered, answered)
  }
}

/**
 * Where it is kept since when a node is in charge: in a slot of that node, and the same one for all clients.
 *
 * @throws when the node has no slots
 */
function nodeMarkerKey(prefix: string, nodes: string): string {
  const myself = nodes.split('\n').find(line => /^\S+ \S+ \S*\bmyself\b/.test(line)) ?? ''
  const ranges = myself
    .split(' ')
    .slice(8)
    .filter(range => /^\d+(-\d+)?$/.test(range))
    .map(range => range.split('-').map(Number))
  if (ranges.length === 0) throw new Error('The node has no slots.')
  for (let tag = 0; ; tag += 1) {
    const slot = hashSlot(String(tag))
    if (ranges.some(([first = 0, last = first]) => slot >= first && slot <= last))
      return `${markerKey(prefix)}:{${tag}}`
  }
}
