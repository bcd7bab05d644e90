import { zookeeperBackend } from '@holdfast/core/zookeeper'
import type { FaultProxy } from '@holdfast/core/testing'
import { createFaultProxy } from '@holdfast/core/testing'
import { createLocks } from '@holdfast/lock'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeperEnsemble } from '@holdfast/scripts/servers'
import type { SiteFacts } from './site.ts'

const ROOT = '/holdfast-faults'
const SESSION_MS = 4_000
const TICK_MS = 500
// 10 s, as with ZooKeeper's own defaults (5 ticks of 2 s).
const SYNC_LIMIT = 20
const WARM_MS = 20_000

/** Three ZooKeeper servers. */
export interface EnsembleSite extends SiteFacts {
  readonly kind: 'ensemble'
  /** How long a follower goes on by itself. */
  readonly syncMs: number
  leader(): Promise<ZooKeeperServer | undefined>
  /** One that follows. */
  follower(): Promise<ZooKeeperServer>
  /** Nothing passes any more between a follower and whoever leads, and neither is told. Only with links. */
  cutOff(follower: ZooKeeperServer): void
  /** Ends all faults; returns when all servers serve. */
  heal(): Promise<void>
}

/**
 * With links, who follows reaches who leads through a proxy. Not where a leader is to be replaced: a proxy takes a follower's connection
 * before the new leader listens, and breaks it, and the two then need `initLimit` to find each other.
 */
export async function ensembleSite({ hasLinks }: { readonly hasLinks: boolean }): Promise<EnsembleSite> {
  const cut = new Set<FaultProxy>()
  const links: { readonly from: number; readonly proxy: FaultProxy }[] = []
  const ensemble = await startZooKeeperEnsemble({
    tickTime: TICK_MS,
    syncLimit: SYNC_LIMIT,
    link: async ({ from, port }) => {
      if (!hasLinks) return port
      const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port }, protocol: 'zookeeper' })
      links.push({ from, proxy })
      return proxy.port
    },
  })
  const { servers } = ensemble
  const observer = zookeeperBackend({ connect: ensemble.connectString, root: ROOT, sessionTimeoutMs: 30_000 })
  await observer.ready({ timeoutMs: WARM_MS })
  const locks = createLocks({ backend: observer })
  const ports = servers.map(({ port }) => port)
  return {
    kind: 'ensemble',
    port: ports[0] ?? 0,
    ttlMs: undefined,
    leaseMs: SESSION_MS,
    syncMs: TICK_MS * SYNC_LIMIT,
    place: ({ lockPort, dataPort, sessionMs = SESSION_MS }) => ({
      kind: 'zookeeper',
      lockPorts: lockPort === undefined ? ports : [lockPort],
      dataPorts: dataPort === undefined ? ports : [dataPort],
      root: ROOT,
      sessionTimeoutMs: sessionMs,
    }),
    waiters: async resource => (await locks.inspect(resource)).waiters.length,
    leader: () => ensemble.leader(),
    follower: async () => {
      const leader = await ensemble.leader()
      const follower = servers.find(server => server !== leader)
      if (leader === undefined || follower === undefined) throw new Error('No server leads.')
      return follower
    },
    cutOff: follower => {
      for (const { from, proxy } of links) {
        if (servers[from] !== follower) continue
        proxy.blackHole()
        cut.add(proxy)
      }
    },
    heal: async () => {
      for (const { proxy } of links) {
        // What was swallowed is missing: the servers begin anew.
        if (cut.delete(proxy)) proxy.dropConnections()
        proxy.heal()
      }
      await Promise.all(servers.map(async server => (hasEnded(server) ? await server.restart() : undefined)))
      await ensemble.ready()
    },
    [Symbol.asyncDispose]: async () => {
      await observer.close()
      await ensemble.stop()
      await Promise.all(links.map(({ proxy }) => proxy.close()))
    },
  }
}

function hasEnded({ process }: ZooKeeperServer): boolean {
  return process === undefined || process.exitCode !== null || process.signalCode !== null
}
