import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import type { Backend } from '../backend.ts'
import type { FaultDirection, FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'

interface Node {
  readonly port: number
}

/** The links of backends: through which proxies each one goes, and what can be done to them. */
export class Links {
  readonly #proxies = new WeakMap<Backend, readonly FaultProxy[]>()

  /** They go with the backend, and so does the client that it was given. */
  keep(backend: Backend, proxies: readonly FaultProxy[], client?: { disconnect(): void }): Backend {
    this.#proxies.set(backend, proxies)
    backend.health.subscribe(health => {
      if (health.kind !== 'closed') return
      client?.disconnect()
      for (const proxy of proxies) void proxy.close()
    })
    return backend
  }

  of(backend: Backend): readonly FaultProxy[] {
    const proxies = this.#proxies.get(backend)
    if (proxies === undefined) throw new Error('This backend is not of this harness.')
    return proxies
  }

  requests(backend: Backend): number {
    return this.of(backend).reduce((sum, { requests }) => sum + requests, 0)
  }

  async silence(backend: Backend, options?: FaultDirection): Promise<() => Promise<void>> {
    for (const proxy of this.of(backend)) proxy.hold(options)
    return async () => {
      for (const proxy of this.of(backend)) proxy.heal()
    }
  }

  async cut(backend: Backend): Promise<void> {
    for (const proxy of this.of(backend)) proxy.dropConnections()
  }

  /** Cuts them while something is under way that was sent and not answered. */
  async cutUnanswered(backend: Backend, underWay: () => Promise<unknown>): Promise<void> {
    for (const proxy of this.of(backend)) proxy.blackHole()
    await underWay()
    await sleep(100)
    for (const proxy of this.of(backend)) {
      proxy.heal()
      proxy.dropConnections()
    }
  }
}

/** A proxy before each node. */
export async function proxiesTo(nodes: readonly Node[]): Promise<readonly FaultProxy[]> {
  return await Promise.all(nodes.map(({ port }) => createFaultProxy({ target: { host: '127.0.0.1', port } })))
}

interface ClusterClientOptions {
  readonly through?: readonly FaultProxy[]
  readonly lazyConnect?: boolean
  readonly clusterRetryStrategy?: () => number
  readonly redisOptions?: { readonly username?: string; readonly password?: string }
}

/** A client of a Cluster that goes through proxies, one before each node, or through none. */
export function clusterClient(
  nodes: readonly Node[],
  { through = [], ...options }: ClusterClientOptions = {},
): Cluster {
  const at = (port: number): { host: string; port: number } => ({ host: '127.0.0.1', port })
  const natMap = Object.fromEntries(
    nodes.map(({ port }, index) => [`127.0.0.1:${port}`, at(through[index]?.port ?? port)]),
  )
  const client = new Cluster(
    nodes.map(({ port }) => at(port)),
    { natMap, ...options },
  )
  return client.on('error', () => {})
}
