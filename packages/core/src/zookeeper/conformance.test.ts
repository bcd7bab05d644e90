import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedZooKeeper } from '@holdfast/scripts/servers'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, LeaseHarness } from '../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../testing/index.ts'
import type { ContenderNaming } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { lockDirectory } from './paths.ts'

/** What the test itself needs of the driver. */
interface Admin extends NodeJS.EventEmitter {
  connect(): void
  close(): void
  getSessionTimeout(): number
  getChildren(path: string, done: (error: DriverError | null, children: string[]) => void): void
  remove(path: string, done: (error: DriverError | null) => void): void
}

interface DriverError extends Error {
  readonly name: string
}

const driver = createRequire(import.meta.url)('node-zookeeper-client') as {
  createClient(connectString: string, options: object): Admin
}

// The server may be the user's: nothing outside of this node is touched.
const root = `/hf-conformance-${randomUUID()}`
const SESSION_MS = 2_000
// Whoever holds or waits, in any of the three locks of a name.
const CONTENDER = /(?:-lock-|-__READ__|-__WRIT__|-lease-|__lock__|__rlock__)-?\d{10}$|^[\da-f]{32}$/
const proxies = new WeakMap<Backend, FaultProxy>()
let server: SharedZooKeeper
let admin: Admin
let ttlMs: number

async function connected(sessionTimeout: number): Promise<Admin> {
  const client = driver.createClient(server.connectString, { sessionTimeout, retries: 3 })
  client.connect()
  await once(client, 'connected')
  return client
}

async function openBackend(naming: ContenderNaming): Promise<Backend> {
  // The first of several servers is enough: a session through a proxy stays with one.
  const [, host = '', port = '2181', chroot = ''] =
    /^([^:,/]+)(?::(\d+))?[^/]*(\/.*)?$/.exec(server.connectString) ?? []
  const proxy = await createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
  const connect = proxy.connectString + chroot
  const backend = zookeeperBackend({ connect, root: `${root}/${naming}`, sessionTimeoutMs: SESSION_MS, naming })
  proxies.set(backend, proxy)
  backend.health.subscribe(health => {
    if (health.kind === 'closed') void proxy.close()
  })
  return backend
}

function childrenOf(path: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    admin.getChildren(path, (error, children) => {
      if (error === null) resolve(children)
      else if (error.name === 'NO_NODE') resolve([])
      else reject(error)
    })
  })
}

function remove(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    admin.remove(path, error => {
      if (error === null || error.name === 'NO_NODE') resolve()
      // Somebody came in between: his node goes the same way.
      else if (error.name === 'NOT_EMPTY') resolve(deleteAll(path))
      else reject(error)
    })
  })
}

async function deleteAll(path: string): Promise<void> {
  await Promise.all((await childrenOf(path)).map(child => deleteAll(`${path}/${child}`)))
  await remove(path)
}

async function leftovers(naming: ContenderNaming, resource: string): Promise<readonly string[]> {
  const directory = lockDirectory({ base: `${root}/${naming}` }, resource)
  const others = naming === 'curator' ? [`${directory}/locks`, `${directory}/leases`] : [`${directory}-__lock__`]
  const children = await Promise.all([directory, ...others].map(path => childrenOf(path)))
  return children.flat().filter(child => CONTENDER.test(child))
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  const proxy = proxies.get(backend)
  proxy?.hold()
  return async () => proxy?.heal()
}

const harnessOf = (naming: ContenderNaming): LeaseHarness => ({
  openBackend: () => openBackend(naming),
  resource: () => randomUUID(),
  advance: ms => sleep(ms),
  stall: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  // What the server grants: a user's may grant no session so short.
  get ttlMs() {
    return ttlMs
  },
  slackMs: 250,
  ordering: 'fifo',
  modes: 'all',
  slots: false,
  leftovers: resource => leftovers(naming, resource),
  loseData: { kind: 'supported', run: () => deleteAll(`${root}/${naming}`) },
  silence: { kind: 'supported', run: silence },
  requests: { kind: 'supported', run: backend => proxies.get(backend)?.requests ?? 0 },
})

/** Where kazoo's layout is another than what stores promise: its mutex is its write lock, and a semaphore has one limit for all. */
const KAZOO_DIFFERS: readonly string[] = [
  'Who holds a name alone, its readers and writers, and its permits have nothing to do with each other.',
  '`inspect` shows each lock of a name by itself: its holders with mode, slot and token, and its waiters with mode.',
  'Where limits differ each goes by its own, and the first in the queue holds up those behind it.',
  'A waiter with a smaller limit that gives up, by abort or by closing its client, lets in those behind it at once.',
]

describe('Leases in ZooKeeper', () => {
  beforeAll(async () => {
    server = await sharedZooKeeper()
    // Cases stall the event loop for longer than a lease lasts, and this session must outlive that.
    admin = await connected(30_000)
    const short = await connected(SESSION_MS)
    ttlMs = short.getSessionTimeout()
    short.close()
  })

  afterAll(async () => {
    await deleteAll(root)
    admin.close()
    await server.stop()
  })

  for (const naming of ['curator', 'kazoo'] as const) {
    describe(`as ${naming} names them`, () => {
      const differs = naming === 'kazoo' ? KAZOO_DIFFERS : []
      const cases = leaseConformance(harnessOf(naming))

      for (const { promise, name, run } of cases.filter(one => !differs.includes(one.name))) {
        it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
          expect(await run()).toBeUndefined()
        })
      }

      it('does otherwise only where it is known to', async () => {
        const others = cases.filter(one => differs.includes(one.name))
        expect(others.map(({ name }) => name).sort()).toEqual([...differs].sort())
        for (const { run } of others) await expect(run()).rejects.toBeInstanceOf(Error)
      }, 60_000)
    })
  }
})
