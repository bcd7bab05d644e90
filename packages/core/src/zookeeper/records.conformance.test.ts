import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, RecordHarness } from '../testing/index.ts'
import { createFaultProxy, recordConformance } from '../testing/index.ts'
import { OPEN_ACL } from './acl.ts'
import { internalsOf } from './backend.ts'
import { CODE, isCode } from './errors.ts'
import { zookeeperBackend } from './index.ts'
import { Muffler } from './muffler.fixture.ts'
import { multi } from './multi.ts'
import type { Operation } from './operations.ts'
import { getChildren, getData, remove } from './operations.ts'
import { ephemeralsPath, recordDirectory } from './paths.ts'

const SESSION_MS = 4_000
// A server looks for sessions that are over once a tick.
const TICK_MS = 200

interface Wire {
  readonly proxy: FaultProxy
  readonly muffler: Muffler
}

const wires = new WeakMap<Backend, Wire>()
let server: ZooKeeperServer
// The driver itself gets stuck over restarts, so the adapter's own session looks at the server.
let admin: Backend

async function openBackend(): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  const muffler = await new Muffler(proxy.port).listen()
  const backend = zookeeperBackend({ connect: muffler.connectString, sessionTimeoutMs: SESSION_MS })
  wires.set(backend, { proxy, muffler })
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    muffler.close()
    void proxy.close()
  })
  return backend
}

function wireOf(backend: Backend): Wire {
  const wire = wires.get(backend)
  if (wire === undefined) throw new Error('It is not one of ours.')
  return wire
}

function pathOf(directory: string): string {
  return recordDirectory({ base: '/holdfast' }, directory)
}

function run<T>(operation: Operation<T>): Promise<T> {
  return internalsOf(admin).sessions.current.run(operation)
}

async function childrenOf(path: string): Promise<readonly string[]> {
  return run(getChildren(path)).catch((error: unknown) => {
    if (isCode(error, CODE.noNode)) return []
    throw error
  })
}

async function removeTree(path: string): Promise<void> {
  await Promise.all((await childrenOf(path)).map(child => removeTree(`${path}/${child}`)))
  await run(remove(path)).catch(async (error: unknown) => {
    // Somebody came in between.
    if (isCode(error, CODE.notEmpty)) await removeTree(path)
    else if (!isCode(error, CODE.noNode)) throw error
  })
}

async function watches(): Promise<readonly string[]> {
  const socket = connect(server.port, '127.0.0.1').end('wchs')
  const total = /Total watches:(\d+)/.exec(await text(socket))?.[1]
  return total === '0' ? [] : [`${total} watches`]
}

async function leftovers(directory: string): Promise<readonly string[]> {
  const ephemerals = await childrenOf(ephemeralsPath(pathOf(directory)))
  return [...ephemerals, ...(await watches())]
}

async function hold(backend: Backend): Promise<() => Promise<void>> {
  const { proxy } = wireOf(backend)
  proxy.hold()
  return async () => proxy.heal()
}

async function backUp(directory: string): Promise<() => Promise<void>> {
  const path = pathOf(directory)
  const names = await childrenOf(path)
  const copies = await Promise.all(
    ['', ...names.map(name => `/${name}`)].map(async name => [name, (await run(getData(path + name))).data] as const),
  )
  return async () => {
    await removeTree(path)
    // At once, as a restored server has it: the directory's node without its records would be another state of the same revision.
    await run(
      multi(
        copies.map(([name, data]) => ({ kind: 'create', path: path + name, data })),
        OPEN_ACL,
      ),
    )
  }
}

const harness: RecordHarness = {
  openBackend,
  directory: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: SESSION_MS,
  slackMs: 10_000,
  leftovers,
  loseData: { kind: 'supported', run: directory => removeTree(pathOf(directory)) },
  backUp: { kind: 'supported', run: backUp },
  silence: { kind: 'supported', run: hold },
  cut: { kind: 'supported', run: async backend => wireOf(backend).proxy.dropConnections() },
  muffle: {
    kind: 'supported',
    run: async backend => {
      const { muffler } = wireOf(backend)
      muffler.isMuffled = true
      return async () => void (muffler.isMuffled = false)
    },
  },
  restart: { kind: 'supported', run: () => server.restart() },
  endSession: {
    kind: 'supported',
    run: async backend => {
      const heal = await hold(backend)
      await sleep(SESSION_MS + 3 * TICK_MS)
      await heal()
    },
  },
}

describe('Records in ZooKeeper', () => {
  beforeAll(async () => {
    server = await startZooKeeper({ tickTime: TICK_MS, minSessionTimeoutMs: 400 })
    admin = zookeeperBackend({ connect: server.connectString, sessionTimeoutMs: 30_000 })
    await admin.ready()
  })

  afterAll(async () => {
    await admin.close()
    await server.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
