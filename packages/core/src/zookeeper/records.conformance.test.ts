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
import { zookeeperBackend } from './index.ts'
import { Muffler } from './muffler.fixture.ts'
import { ephemeralsPath, recordDirectory } from './paths.ts'
import { RawClient } from './raw-client.fixture.ts'

const SESSION_MS = 2_000
// A server looks for sessions that are over once a tick.
const TICK_MS = 200

interface Wire {
  readonly proxy: FaultProxy
  readonly muffler: Muffler
}

const wires = new WeakMap<Backend, Wire>()
let server: ZooKeeperServer
let raw: RawClient

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

async function watches(): Promise<readonly string[]> {
  const socket = connect(server.port, '127.0.0.1').end('wchs')
  const total = /Total watches:(\d+)/.exec(await text(socket))?.[1]
  return total === '0' ? [] : [`${total} watches`]
}

async function leftovers(directory: string): Promise<readonly string[]> {
  const ephemerals = await raw.children(ephemeralsPath(pathOf(directory))).catch(() => [])
  return [...ephemerals, ...(await watches())]
}

async function hold(backend: Backend): Promise<() => Promise<void>> {
  const { proxy } = wireOf(backend)
  proxy.hold()
  return async () => proxy.heal()
}

async function backUp(directory: string): Promise<() => Promise<void>> {
  const path = pathOf(directory)
  const names = await raw.children(path)
  const copies = await Promise.all(
    ['', ...names.map(name => `/${name}`)].map(async name => [name, await raw.bytes(path + name)] as const),
  )
  return async () => {
    await raw.removeTree(path)
    for (const [name, bytes] of copies) await raw.create(path + name, bytes)
  }
}

const harness: RecordHarness = {
  openBackend,
  directory: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: SESSION_MS,
  slackMs: 250,
  leftovers,
  loseData: { kind: 'supported', run: directory => raw.removeTree(pathOf(directory)) },
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
    raw = await RawClient.connect(server.connectString, { sessionTimeout: 30_000, retries: 20, spinDelay: 200 })
  })

  afterAll(async () => {
    raw.close()
    await server.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 120_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
