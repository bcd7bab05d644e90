import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { barriersOf } from '../barriers/barriers-of.ts'
import { recordBarriers } from '../barriers/record-barriers.ts'
import type { BarrierStore } from '../ports/barriers.ts'
import type { BarrierHarness, FaultProxy } from '../testing/index.ts'
import { barrierConformance, createFaultProxy } from '../testing/index.ts'
import { internalsOf } from './backend.ts'
import { ZooKeeperBarrierStore } from './barriers.ts'
import { CODE, isCode } from './errors.ts'
import { zookeeperBackend } from './index.ts'
import type { ContenderNaming } from './index.ts'
import { getChildren } from './operations.ts'
import { ephemeralsPath, lockDirectory, recordDirectory } from './paths.ts'

const SESSION_MS = 4_000
const LAYOUT = { base: '/holdfast' }

const proxies = new WeakMap<Backend, FaultProxy>()
let server: ZooKeeperServer
let admin: Backend

async function openBackend(naming: ContenderNaming): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  const backend = zookeeperBackend({ connect: proxy.connectString, sessionTimeoutMs: SESSION_MS, naming })
  proxies.set(backend, proxy)
  backend.health.subscribe(health => void (health.kind === 'closed' && proxy.close()))
  return backend
}

function proxyOf(backend: Backend): FaultProxy {
  const proxy = proxies.get(backend)
  if (proxy === undefined) throw new Error('It is not one of ours.')
  return proxy
}

async function childrenOf(path: string): Promise<readonly string[]> {
  return await internalsOf(admin)
    .sessions.current.run(getChildren(path))
    .catch((error: unknown) => {
      if (isCode(error, CODE.noNode)) return []
      throw error
    })
}

async function watches(): Promise<readonly string[]> {
  const total = /Total watches:(\d+)/.exec(await text(connect(server.port, '127.0.0.1').end('wchs')))?.[1]
  return total === '0' ? [] : [`${total} watches`]
}

async function leftovers(barrier: string): Promise<readonly string[]> {
  const native = await childrenOf(lockDirectory(LAYOUT, barrier))
  const records = await childrenOf(ephemeralsPath(recordDirectory(LAYOUT, `double-barrier:${barrier}`)))
  return [...native, ...records, ...(await watches())]
}

function harness(store: (backend: Backend) => BarrierStore, naming: ContenderNaming): BarrierHarness {
  return {
    openBackend: () => openBackend(naming),
    barriersOf: store,
    barrier: () => randomUUID(),
    advance: ms => sleep(ms),
    ttlMs: SESSION_MS,
    leftovers,
    silence: {
      kind: 'supported',
      run: async backend => {
        proxyOf(backend).hold()
        return async () => proxyOf(backend).heal()
      },
    },
    cut: { kind: 'supported', run: async backend => proxyOf(backend).dropConnections() },
  }
}

beforeAll(async () => {
  server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
  admin = zookeeperBackend({ connect: server.connectString, sessionTimeoutMs: 30_000 })
  await admin.ready()
})

afterAll(async () => {
  await admin.close()
  await server.stop()
})

it('A backend on ZooKeeper has barriers of its own, and they are the ones that are used', () => {
  expect(barriersOf(admin)).toBeInstanceOf(ZooKeeperBarrierStore)
})

describe.each([
  ['in the layout of Curator', barriersOf, 'curator'],
  ['in the layout of kazoo', barriersOf, 'kazoo'],
  ['made of records', recordBarriers, 'curator'],
] as const)('Barriers in ZooKeeper, %s', (_, store, naming) => {
  for (const { promise, name, run } of barrierConformance(harness(store, naming))) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
