import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '../backend.ts'
import type { FaultProxy, LeaseHarness } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import type { ContenderNaming } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { lockDirectory } from './paths.ts'
import { RawClient, rawDriver } from './raw-client.fixture.ts'

/** Where the suite keeps its leases. */
export interface HarnessPlace {
  /** `host:port`, one server or several, perhaps with a chroot behind them. */
  readonly connectString: string
  /** A node that exists; nothing outside of it is touched. */
  readonly root: string
  readonly naming: ContenderNaming
  /** What is asked for. */
  readonly sessionMs: number
  /** What the server grants: a user's may grant no session so short. */
  readonly ttlMs: number
  /** A client that looks past the backends; its session has to outlive the stalls of the suite. */
  readonly raw: RawClient
}

// Whoever holds or waits, in any of the three locks of a name.
const CONTENDER = /(?:-lock-|-__READ__|-__WRIT__|-lease-|__lock__|__rlock__)-?\d{10}$|^[\da-f]{32}$/

/** What a server grants to one who asks for a session of so many milliseconds. */
export async function grantedSessionMs(connectString: string, sessionMs: number): Promise<number> {
  const raw = await RawClient.connect(connectString, { sessionTimeout: sessionMs })
  const ms = raw.client.getSessionTimeout()
  raw.close()
  return ms
}

/** Leases in a real ZooKeeper for the conformance suite. Every backend reaches each server through a proxy of its own. */
export function zooKeeperHarness(place: () => HarnessPlace): LeaseHarness {
  const proxies = new WeakMap<Backend, readonly FaultProxy[]>()

  async function openBackend(): Promise<Backend> {
    const { connectString, root, naming, sessionMs } = place()
    const [, servers = '', chroot = ''] = /^([^/]+)(\/.*)?$/.exec(connectString) ?? []
    const own = await Promise.all(
      servers.split(',').map(server => {
        const [host = '', port = '2181'] = server.split(':')
        return createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
      }),
    )
    const connect = own.map(proxy => proxy.connectString).join(',') + chroot
    const backend = zookeeperBackend({ connect, root, sessionTimeoutMs: sessionMs, naming })
    proxies.set(backend, own)
    backend.health.subscribe(health => {
      if (health.kind === 'closed') void Promise.all(own.map(proxy => proxy.close()))
    })
    return backend
  }

  async function leftovers(resource: string): Promise<readonly string[]> {
    const { root, naming, raw } = place()
    const directory = lockDirectory({ base: root }, resource)
    const others = naming === 'curator' ? [`${directory}/locks`, `${directory}/leases`] : [`${directory}-__lock__`]
    // A server of an ensemble may be behind the others; it is not behind what was written through it.
    await raw.write(root, '')
    const children = await Promise.all([directory, ...others].map(path => childrenOf(raw, path)))
    return children.flat().filter(child => CONTENDER.test(child))
  }

  async function loseData(): Promise<void> {
    const { root, raw } = place()
    await raw.write(root, '')
    await Promise.all((await raw.children(root)).map(child => raw.removeTree(`${root}/${child}`)))
  }

  async function silence(backend: Backend): Promise<() => Promise<void>> {
    const own = proxies.get(backend) ?? []
    for (const proxy of own) proxy.hold()
    return async () => {
      for (const proxy of own) proxy.heal()
    }
  }

  return {
    openBackend,
    resource: () => randomUUID(),
    advance: ms => sleep(ms),
    stall: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
    get ttlMs() {
      return place().ttlMs
    },
    slackMs: 10_000,
    ordering: 'fifo',
    modes: 'all',
    slots: false,
    leftovers,
    loseData: { kind: 'supported', run: loseData },
    silence: { kind: 'supported', run: silence },
    requests: {
      kind: 'supported',
      run: backend => (proxies.get(backend) ?? []).reduce((sum, proxy) => sum + proxy.requests, 0),
    },
  }
}

async function childrenOf(raw: RawClient, path: string): Promise<readonly string[]> {
  try {
    return await raw.children(path)
  } catch (error) {
    if ((error as { readonly code?: number }).code === rawDriver.Exception['NO_NODE']) return []
    throw error
  }
}
