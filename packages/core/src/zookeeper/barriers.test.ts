import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { barriersOf } from '../barriers/barriers-of.ts'
import type { Membership } from '../ports/barriers.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import type { Operation } from './operations.ts'
import { MODE, NO_DATA, create, exists, getChildren, getData, remove } from './operations.ts'

const ROOT = '/holdfast'

let server: ZooKeeperServer

beforeAll(async () => {
  server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
})

afterAll(() => server.stop())

function opened(options: Partial<ZooKeeperBackendOptions> = {}): ZooKeeperBackend {
  const backend = zookeeperBackend({ connect: server.connectString, sessionTimeoutMs: 4_000, ...options })
  onTestFinished(() => backend.close())
  return backend
}

async function openedBehindProxy(
  options: Partial<ZooKeeperBackendOptions> = {},
): Promise<readonly [ZooKeeperBackend, FaultProxy]> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  return [opened({ connect: proxy.connectString, ...options }), proxy]
}

/** Both are in. */
async function inside(backends: readonly ZooKeeperBackend[], barrier: string): Promise<readonly Membership[]> {
  const parties = backends.length
  return await Promise.all(backends.map(backend => barriersOf(backend).enter({ barrier, parties, meta: '{}' })))
}

function run<T>(backend: ZooKeeperBackend, operation: Operation<T>): Promise<T> {
  return internalsOf(backend).sessions.current.run(operation)
}

function made(
  backend: ZooKeeperBackend,
  path: string,
  mode: typeof MODE.persistent | typeof MODE.ephemeral = MODE.ephemeral,
) {
  return run(backend, create(path, NO_DATA, mode, internalsOf(backend).sessions.current.acl))
}

/** Enters, and resolves once others have to come. */
async function waiting(backend: ZooKeeperBackend, barrier: string, parties: number) {
  let entered: Promise<Membership> | undefined
  await new Promise<void>(resolve => {
    entered = barriersOf(backend).enter({ barrier, parties, meta: '{"host":"h"}' }, { waiting: resolve })
  })
  // Not the promise itself: that would be waited for as well.
  return { entered: entered as unknown as Promise<Membership> }
}

it('A barrier that is shut is a node without children, as Curator and kazoo have it', async () => {
  const [backend, name] = [opened(), `gates/${randomUUID()}`]
  await barriersOf(backend).shut(name)
  const { stat } = await run(backend, getData(`${ROOT}/${name}`))
  expect([stat.ephemeralOwner, stat.childCount]).toEqual([0n, 0])
  // As either of them opens it.
  await run(backend, remove(`${ROOT}/${name}`))
  expect(await barriersOf(backend).isShut(name)).toBe(false)
})

it('A barrier with the name of a lock cannot be opened, and says why', async () => {
  const [backend, name] = [opened(), randomUUID()]
  await barriersOf(backend).shut(name)
  await made(backend, `${ROOT}/${name}/_c_x-lock-0000000000`)
  await expect(barriersOf(backend).open(name)).rejects.toMatchObject({
    code: 'HF_REFUSED',
    message: expect.stringContaining('needs a name that no lock') as string,
  })
})

it.each([
  ['curator', /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/],
  ['kazoo', /^[\da-f]{32}$/],
] as const)(
  'With the naming of %s a party is an ephemeral node with such a name, beside `ready`',
  async (naming, pattern) => {
    const [backend, name] = [opened({ naming }), randomUUID()]
    const party = await barriersOf(backend).enter({ barrier: name, parties: 1, meta: '{"host":"h"}' })
    const children = await run(backend, getChildren(`${ROOT}/${name}`))
    const [own] = children.filter(child => child !== 'ready')
    expect([children.includes('ready'), children.length, pattern.test(own ?? '')]).toEqual([true, 2, true])
    const { data, stat } = await run(backend, getData(`${ROOT}/${name}/${own}`))
    expect([String(data), stat.ephemeralOwner]).toEqual(['{"host":"h"}', internalsOf(backend).sessions.current.id])
    await party.leave()
    expect(await run(backend, getChildren(`${ROOT}/${name}`))).toEqual([])
  },
)

it('A party is in although another, as kazoo does, takes `ready` away before the party could look', async () => {
  const [backend, other, name] = [opened(), opened(), randomUUID()]
  const { entered } = await waiting(backend, name, 2)
  const foreign = `${ROOT}/${name}/${'f'.repeat(32)}`
  await made(other, foreign)
  const { acl } = internalsOf(other).sessions.current
  // In one go, so that the party hears of a node that has gone again.
  await Promise.all([
    run(other, create(`${ROOT}/${name}/ready`, NO_DATA, MODE.persistent, acl)),
    run(other, remove(`${ROOT}/${name}/ready`)),
    run(other, remove(foreign)),
  ])
  const party = await entered
  await party.leave()
  expect(await run(backend, getChildren(`${ROOT}/${name}`))).toEqual([])
})

it('Who leaves as the lowest stays until the others are gone, and the others go at once, as the recipe has it', async () => {
  const [backend, other] = [opened(), opened()]
  for (const [foreign, isLowest] of [
    ['f'.repeat(32), true],
    ['0'.repeat(32), false],
  ] as const) {
    const name = randomUUID()
    const { entered } = await waiting(backend, name, 2)
    const path = `${ROOT}/${name}/${foreign}`
    await made(other, path)
    await made(other, `${ROOT}/${name}/ready`, MODE.persistent)
    const party = await entered
    const left = new Promise<Promise<void>[]>(resolve => {
      const leaving: Promise<void>[] = []
      leaving.push(party.leave({ waiting: () => resolve(leaving) }))
    })
    const [leaving] = await left
    const members = (await run(other, getChildren(`${ROOT}/${name}`))).filter(child => child !== 'ready')
    expect(members.length).toBe(isLowest ? 2 : 1)
    await run(other, remove(path))
    await leaving
    expect(await run(other, getChildren(`${ROOT}/${name}`))).toEqual([])
  }
})

it('`ready` that stands alone is a leftover: nobody goes in by it', async () => {
  const [backend, other, name] = [opened(), opened(), randomUUID()]
  const first = await barriersOf(other).enter({ barrier: name, parties: 1, meta: '{}' })
  await first.leave()
  await made(other, `${ROOT}/${name}/ready`, MODE.persistent)
  const { entered } = await waiting(backend, name, 2)
  await expect(run(other, exists(`${ROOT}/${name}/ready`))).rejects.toThrow('NO_NODE')
  const second = await barriersOf(other).enter({ barrier: name, parties: 2, meta: '{}' })
  await Promise.all([(await entered).leave(), second.leave()])
})

it('A party whose node somebody deleted makes another, and is in with the others', async () => {
  const [backend, other, name] = [opened(), opened(), randomUUID()]
  const { entered } = await waiting(backend, name, 2)
  const path = `${ROOT}/${name}`
  for (const child of await run(other, getChildren(path))) await run(other, remove(`${path}/${child}`))
  const second = await barriersOf(other).enter({ barrier: name, parties: 1, meta: '{}' })
  const party = await entered
  expect((await run(other, getChildren(path))).length).toBe(3)
  await Promise.all([party.leave(), second.leave()])
  expect(await run(other, getChildren(path))).toEqual([])
})

it('Who leaves while nobody can be reached waits on, however long that is, and has left once the others have', async () => {
  const [[backend, proxy], other, name] = [await openedBehindProxy({ operationTimeoutMs: 200 }), opened(), randomUUID()]
  const [first, second] = await inside([backend, other], name)
  proxy.refuse()
  proxy.dropConnections()
  let outcome = 'waits'
  const leaving = first?.leave().then(
    () => (outcome = 'left'),
    (error: unknown) => (outcome = String(error)),
  )
  await sleep(1_000)
  expect(outcome).toBe('waits')
  proxy.heal()
  await sleep(500)
  expect(outcome).toBe('waits')
  await second?.leave()
  await leaving
  expect(outcome).toBe('left')
})

it('A party whose session has ended has left, and does not count before it enters again', async () => {
  const [backend, proxy] = await openedBehindProxy({ sessionTimeoutMs: 3_000 })
  const [other, name] = [opened(), randomUUID()]
  const [first, second] = await inside([backend, other], name)
  proxy.refuse()
  proxy.dropConnections()
  await second?.leave()
  proxy.heal()
  await backend.ready({ timeoutMs: 60_000 })
  const { entered } = await waiting(other, name, 2)
  expect((await run(other, getChildren(`${ROOT}/${name}`))).length).toBe(1)
  // Nobody is in for whom it would have to wait: the other is coming, and waits for it.
  await first?.leave()
  const again = barriersOf(backend).enter({ barrier: name, parties: 2, meta: '{}' })
  await Promise.all([entered, again])
  await Promise.all([(await entered).leave(), (await again).leave()])
  expect(await run(other, getChildren(`${ROOT}/${name}`))).toEqual([])
})

it('Parties of one process ask and are told so much for each who comes and goes, however many they are', async () => {
  const [backend, proxy] = await openedBehindProxy({ sessionTimeoutMs: 20_000 })
  await backend.ready()
  const perParty: { requests: number; bytes: number }[] = []
  for (const parties of [10, 100]) {
    const name = randomUUID()
    proxy.resetCounts()
    const entering: Promise<Membership>[] = []
    for (let count = 0; count < parties; count += 1) {
      entering.push(barriersOf(backend).enter({ barrier: name, parties, meta: '{}' }))
      await sleep(1)
    }
    const inside = await Promise.all(entering)
    const bytes = proxy.bytesToClient / parties
    await Promise.all(inside.map(party => party.leave()))
    perParty.push({ requests: proxy.requests / parties, bytes })
  }
  for (const { requests, bytes } of perParty) {
    expect(requests).toBeLessThan(22)
    expect(bytes).toBeLessThan(1_500)
  }
})
