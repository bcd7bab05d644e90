// The faults of node-zookeeper-client 1.1.3 that concern a connection, by their numbers: shown on the driver itself where that is
// cheap, so that a test which could not fail is seen, and then survived.
//
//  1 no read timeout                       7 unknown error codes throw         13 reconnects at once, without jitter
//  2 no deadline on the handshake          8 version 0 is "any" in transactions 14 close before connect, null data
//  4 queued operations dropped, or run late 9 a repeated create makes two nodes 15 a callback that throws loses replies
//  5 a client is dead after expiry        10 all watches set again in one packet 16 two clients with one session
//  6 half a frame kept over a reconnect   12 xids never wrap
import { setTimeout as sleep } from 'node:timers/promises'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { BackendLifecycle } from '../backend.ts'
import { systemClock } from '../clock.ts'
import type { Random } from '../random.ts'
import { seededRandom, systemRandom } from '../random.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { OPEN_ACL } from './acl.ts'
import type { ConnectionManager, Driver } from './driver.ts'
import { loadDriver } from './driver.ts'
import { FakeServer, reply } from './fake-server.fixture.ts'
import { MODE, create, getChildren, getData, remove, setData } from './operations.ts'
import { checkOptions } from './options.ts'
import { RawClient, call, rawDriver } from './raw-client.fixture.ts'
import type { Session } from './session.ts'
import { Sessions } from './sessions.ts'

const server = await sharedZooKeeper()
const [host = '', port = ''] = server.connectString.split(':')
const root = `/holdfast-link-${systemRandom.bytes(6).join('')}`
let raw: RawClient

beforeAll(async () => {
  raw = await RawClient.connect(server.connectString)
  await raw.mkdirp(root)
})

afterAll(async () => {
  await raw.removeTree(root)
  raw.close()
  await server.stop()
})

async function faultProxy(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  return proxy
}

interface Opened {
  readonly sessions: Sessions
  readonly session: Session
  readonly managers: readonly ConnectionManager[]
}

interface Wishes {
  readonly sessionTimeoutMs?: number
  readonly operationTimeoutMs?: number
  readonly random?: Random
}

/** Sessions with a server, and the driver's connection managers inside. */
function open(connect: string, wishes: Wishes = {}): Opened {
  const managers: ConnectionManager[] = []
  const driver = loadDriver()
  const watched: Driver = {
    createManager: sessionTimeoutMs => {
      const manager = driver.createManager(sessionTimeoutMs)
      managers.push(manager)
      return manager
    },
  }
  const settings = checkOptions({ connect, operationTimeoutMs: 10_000, sessionTimeoutMs: 10_000, ...wishes })
  const sessions = new Sessions(settings, new BackendLifecycle('zookeeper backend', systemClock), () => watched)
  onTestFinished(() => sessions.close())
  return { sessions, session: sessions.current, managers }
}

async function connected(connect: string, wishes?: Wishes): Promise<Opened> {
  const opened = open(connect, wishes)
  await opened.sessions.connected(60_000, undefined)
  return opened
}

describe('A link', () => {
  it('is given up after half the session timeout of silence, where the driver waits for ever (1)', async () => {
    const proxy = await faultProxy()
    const silent = await RawClient.connect(proxy.connectString, { sessionTimeout: 1_000 })
    onTestFinished(() => silent.end())
    const { session } = await connected(proxy.connectString, { sessionTimeoutMs: 1_000 })
    proxy.blackHole()
    await vi.waitFor(() => expect(session.state.kind).toBe('suspended'), { interval: 10 })
    await sleep(1_000)
    expect(silent.client.getState().name).toBe('SYNC_CONNECTED')
    proxy.heal()
  })

  it('goes on to the next server when one accepts and says nothing (2)', async () => {
    await using mute = await new FakeServer(() => undefined, { shakesHands: false }).listen()
    const stuck = new RawClient(mute.connectString, { sessionTimeout: 900 })
    stuck.client.connect()
    // Begins with the first of the list.
    const random: Random = { ...seededRandom(1), next: () => 0 }
    await connected(`${mute.connectString},${server.connectString}`, { random, sessionTimeoutMs: 4_000 })
    // Longer than its session would last.
    await sleep(1_000)
    expect(mute.connectedMs).toHaveLength(2)
    expect(stuck.client.getState().name).toBe('DISCONNECTED')
    // It would go on for ever: to close it is one of its faults (14).
    stuck.end()
  })

  it('fails what could not be sent in time, and never sends it later (4)', async () => {
    const proxy = await faultProxy()
    const { session } = await connected(proxy.connectString, { operationTimeoutMs: 2_000, sessionTimeoutMs: 30_000 })
    proxy.refuse()
    proxy.dropConnections()
    await vi.waitFor(() => expect(session.state.kind).toBe('suspended'))
    const node = `${root}/late`
    const failure = await session
      .run(create(node, Buffer.from(''), MODE.persistent, OPEN_ACL))
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ failure: { kind: 'unsent' } })
    proxy.heal()
    await vi.waitFor(() => expect(session.state.kind).toBe('connected'))
    await session.run(getData(root))
    expect(await raw.children(root)).not.toContain('late')
  })

  it('fails a write that was in flight when the connection broke, asks a read again, and keeps the session (4)', async () => {
    const proxy = await faultProxy()
    const { session } = await connected(proxy.connectString)
    const { id } = session
    proxy.hold()
    const writing = session.run(setData(root, Buffer.from(''))).catch((error: unknown) => error)
    const reading = session.run(getData(root))
    proxy.dropConnections()
    expect(await writing).toMatchObject({ failure: { kind: 'cut' } })
    proxy.heal()
    expect((await reading).data).toHaveLength(0)
    expect(session.id).toBe(id)
  })

  it('takes a fresh client of the driver when the session has expired (5)', async () => {
    const proxy = await faultProxy()
    const { sessions, session, managers } = await connected(proxy.connectString, { sessionTimeoutMs: 2_000 })
    await session.run(create(`${root}/while-it-lasts`, Buffer.from(''), MODE.ephemeral, OPEN_ACL))
    proxy.refuse()
    proxy.dropConnections()
    await vi.waitFor(async () => expect(await raw.children(root)).not.toContain('while-it-lasts'))
    proxy.heal()
    await vi.waitFor(() => expect(sessions.current).not.toBe(session))
    await sessions.connected(60_000, undefined)
    expect(session.state).toMatchObject({ kind: 'over', failure: { kind: 'session-lost' } })
    expect(managers).toHaveLength(2)
    expect(sessions.current.id).not.toBe(session.id)
    // Not older than what was seen: the new one tells the server the last transaction that the old one saw.
    expect(session.lastZxid.readBigInt64BE(0)).toBeGreaterThan(0n)
    expect(sessions.current.lastZxid.compare(session.lastZxid)).toBeGreaterThanOrEqual(0)
    await sessions.current.run(getData(root))
    await expect(session.run(getData(root))).rejects.toMatchObject({ failure: { kind: 'session-lost' } })
  })

  it('reads on after a reply was cut in the middle, where the driver is stuck for good (6)', async () => {
    const node = await raw.create(`${root}/big`, 'x'.repeat(200_000))
    const proxy = await faultProxy()
    const stuck = await RawClient.connect(proxy.connectString)
    proxy.cutMidReply(1_000)
    await expect(stuck.text(node)).rejects.toMatchObject({ code: -4 })
    const late = await Promise.race([stuck.text(node), sleep(700).then(() => 'stuck')])
    expect(late).toBe('stuck')
    stuck.end()

    const { session } = await connected(proxy.connectString)
    proxy.cutMidReply(1_000)
    const { data } = await session.run(getData(node))
    expect(data.length).toBe(200_000)
    // Two of the driver, two of ours.
    expect(proxy.accepted).toBe(4)
  })

  it.each([-118, -125, -127, -9_999, 7])(
    'takes the error code %i, at which the driver throws into the socket (7)',
    async code => {
      expect(() => (rawDriver.Exception as unknown as { create(code: number): unknown }).create(code)).toThrow(
        'Unknown code',
      )
      await using fake = await new FakeServer(() => ({ code })).listen()
      const { session } = await connected(fake.connectString)
      await expect(session.run(getData('/x'))).rejects.toMatchObject({ failure: { kind: 'refused', code } })
      await expect(session.run(remove('/x'))).rejects.toMatchObject({ failure: { kind: 'refused', code } })
    },
  )

  it('takes a version of 0 for 0 (8)', async () => {
    const node = await raw.create(`${root}/version`, 'a')
    await raw.write(node, 'b')
    const { session } = await connected(server.connectString)
    await expect(session.run(setData(node, Buffer.from('c'), 0))).rejects.toMatchObject({ failure: { code: -103 } })
    await expect(session.run(remove(node, 0))).rejects.toMatchObject({ failure: { code: -103 } })
    expect(await session.run(setData(node, Buffer.from('c'), 1))).toBe(2)
  })

  it('sends no watches again by itself (10)', async () => {
    const proxy = await faultProxy()
    const { session, managers } = await connected(proxy.connectString)
    await session.run(getData(root, true))
    proxy.dropConnections()
    await vi.waitFor(() => expect(proxy.accepted).toBe(2))
    await session.run(getData(root))
    proxy.resetCounts()
    await session.run(getData(root))
    expect(proxy.requests).toBe(1)
    const { watcherManager } = managers[0] as unknown as { watcherManager: { isEmpty(): boolean } }
    expect(watcherManager.isEmpty()).toBe(true)
  })

  it('begins its xids anew before they run over, where the driver throws (12)', async () => {
    const driven = await RawClient.connect(server.connectString)
    driven.client.connectionManager.xid = 2 ** 31
    expect(() => driven.client.exists(root, () => {})).toThrow(RangeError)
    driven.end()

    const { session, managers } = await connected(server.connectString)
    const [manager] = managers
    if (manager === undefined) throw new Error('There is no manager.')
    manager.xid = 1_999_999_999
    const all = await Promise.all(Array.from({ length: 5 }, () => session.run(getChildren(root))))
    expect(all).toHaveLength(5)
    expect(manager.xid).toBeLessThan(10)
  })

  it('waits longer and longer between its attempts, with jitter, where the driver is back at once (13)', async () => {
    await using fake = await new FakeServer(() => undefined, { shakesHands: false }).listen()
    const dropping = setInterval(() => fake.drop(), 2)
    onTestFinished(() => clearInterval(dropping))
    const random: Random = { ...seededRandom(1), next: () => 0.999 }
    open(fake.connectString, { random, sessionTimeoutMs: 10_000 })
    await vi.waitFor(() => expect(fake.connectedMs.length).toBeGreaterThan(4))
    const gaps = fake.connectedMs.slice(1, 5).map((atMs, index) => atMs - (fake.connectedMs[index] ?? 0))
    for (const [index, gap] of gaps.entries()) expect(gap).toBeGreaterThan(45 * 2 ** index)
  })

  it.each(['before it connects', 'while it connects', 'while it is connected', 'while the server is silent'])(
    'can be closed %s, and leaves no connection (14)',
    async moment => {
      const proxy = await faultProxy()
      const { sessions } = open(proxy.connectString)
      if (moment === 'while it connects') await sleep(1)
      if (moment.includes('connected') || moment.includes('silent')) await sessions.connected(60_000, undefined)
      if (moment.includes('silent')) proxy.blackHole()
      // While the server is silent as well: it waits for no answer.
      await sessions.close()
      proxy.heal()
      await vi.waitFor(() => expect(proxy.connections).toBe(moment.includes('silent') ? proxy.connections : 0))
      await expect(sessions.made()).rejects.toThrow('closed')
    },
  )

  it('delivers the replies behind one that cannot be read to nobody, and connects anew (15)', async () => {
    let requests = 0
    // A listing of 1,000 names in 4 bytes.
    const broken = Buffer.from([0, 0, 3, 232])
    const empty = Buffer.alloc(4 + 68)
    await using fake = await new FakeServer(() => ({ payload: ++requests === 1 ? broken : empty })).listen()
    const { session } = await connected(fake.connectString)
    const outcomes = await Promise.allSettled([session.run(getChildren('/x')), session.run(getChildren('/x'))])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', expect.any(String)])
    expect(await session.run(getChildren('/x'))).toEqual([])
  })

  it('ends the connection when a reply comes out of order, or nobody asked for it', async () => {
    await using fake = await new FakeServer(() => ({ code: 0, payload: Buffer.alloc(4 + 68) })).listen()
    const { session } = await connected(fake.connectString)
    fake.send(reply(777, 0))
    await vi.waitFor(() => expect(fake.connectedMs).toHaveLength(2))
    expect(await session.run(getChildren('/x'))).toEqual([])
  })

  it('takes bytes that are no frames for a broken connection', async () => {
    await using fake = await new FakeServer(() => ({ payload: Buffer.alloc(4 + 68) })).listen()
    const { session } = await connected(fake.connectString)
    fake.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await vi.waitFor(() => expect(fake.connectedMs).toHaveLength(2))
    expect(await session.run(getChildren('/x'))).toEqual([])
  })
})

describe('The driver', () => {
  it('makes two nodes of one create whose reply was lost, when it is told to retry (9)', async () => {
    const directory = await raw.create(`${root}/twice`)
    const proxy = await faultProxy()
    const retrying = await RawClient.connect(proxy.connectString, { retries: 2 })
    proxy.cutMidReply(0)
    await retrying.contend(directory)
    expect(await raw.children(directory)).toHaveLength(2)
    retrying.close()
  })

  it('takes version 0 for any in a transaction (8)', async () => {
    const node = await raw.create(`${root}/any`, 'a')
    await raw.write(node, 'b')
    const transaction = raw.client.transaction().check(node, 0)
    await expect(call(done => transaction.commit(done))).resolves.toBeDefined()
  })
})
