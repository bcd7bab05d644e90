import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperEnsemble } from '@holdfast/scripts/servers'
import { startZooKeeperEnsemble } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease-contract.ts'
import { UnavailableError } from '../errors.ts'
import { downgradeLease } from '../lease/downgrade.ts'
import type { LeaseMode } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import { leaseConformance } from '../testing/index.ts'
import type { ZooKeeperBackend } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { zooKeeperHarness } from './lease-harness.fixture.ts'
import { RawClient } from './raw-client.fixture.ts'

const ROOT = '/hf-ensemble'
const SESSION_MS = 4_000
const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }
const PERMIT: LeaseMode = { kind: 'permit', limit: 2 }

interface Wish {
  readonly resource: string
  readonly mode?: LeaseMode | undefined
}

let ensemble: ZooKeeperEnsemble
let raw: RawClient

const harness = zooKeeperHarness(() => {
  const { connectString } = ensemble
  return { connectString, root: ROOT, naming: 'curator', sessionMs: SESSION_MS, ttlMs: SESSION_MS, raw }
})

beforeAll(async () => {
  ensemble = await startZooKeeperEnsemble()
  raw = await RawClient.connect(ensemble.connectString, { sessionTimeout: 30_000, retries: 3 })
  await raw.mkdirp(ROOT)
})

afterAll(async () => {
  raw.close()
  await ensemble.stop()
})

function open(sessionTimeoutMs: number, operationTimeoutMs = 15_000): ZooKeeperBackend {
  const { connectString } = ensemble
  const backend = zookeeperBackend({ connect: connectString, root: ROOT, sessionTimeoutMs, operationTimeoutMs })
  onTestFinished(() => backend.close())
  return backend
}

/** Ends once another leads. Answers how to start the one that led again. */
async function killLeader(): Promise<() => Promise<void>> {
  const leader = await ensemble.leader()
  if (leader === undefined) throw new Error('No server leads.')
  await leader.kill()
  while ((await ensemble.leader()) === undefined) await sleep(100)
  return async () => {
    await leader.restart()
    await ensemble.ready()
  }
}

/** Asks, and returns once the servers list so many who wait. */
async function queueUp(backend: ZooKeeperBackend, wish: Wish, waiters: number): Promise<{ turn: Promise<Lease> }> {
  const turn = acquireLease(backend, wish.resource, { waitMs: 150_000 }, wish.mode)
  turn.catch(() => {})
  const { leases } = backend
  while ((await leases.inspect(wish.resource, kindOf(wish.mode))).waiters.length < waiters) await sleep(20)
  return { turn }
}

/** Who is inside of what; each who comes in looks for others who must not be there, and are so by their own deadlines. */
class Rooms {
  readonly #inside = new Map<Lease, Wish>()
  visits = 0
  conflicts = 0

  async visit(lease: Lease, wish: Wish): Promise<void> {
    const others = [...this.#inside].filter(([other, { resource }]) => resource === wish.resource && isHeld(other))
    const mayStay =
      wish.mode?.kind === 'permit'
        ? others.length < wish.mode.limit
        : others.every(([, { mode }]) => bothRead(mode, wish.mode))
    if (isHeld(lease) && !mayStay) this.conflicts += 1
    this.visits += 1
    this.#inside.set(lease, wish)
    await sleep(3)
    this.#inside.delete(lease)
  }
}

function isHeld(lease: Lease): boolean {
  return lease.remainingMs() > 0
}

function bothRead(one: LeaseMode | undefined, other: LeaseMode | undefined): boolean {
  return one?.kind === 'read' && other?.kind === 'read'
}

const CROWD: readonly Wish[] = [
  { resource: 'busy-mutex' },
  { resource: 'busy-mutex' },
  { resource: 'busy-shared', mode: READ },
  { resource: 'busy-shared', mode: READ },
  { resource: 'busy-shared', mode: WRITE },
  { resource: 'busy-permits', mode: PERMIT },
  { resource: 'busy-permits', mode: PERMIT },
  { resource: 'busy-permits', mode: PERMIT },
]

/** Everybody comes and goes until told to stop. `asked` says what is asked for by one who wants that. */
function startCrowd(rooms: Rooms, asked: (wish: Wish, index: number) => Wish): () => Promise<void> {
  const stop = new AbortController()
  const backends = [open(SESSION_MS), open(SESSION_MS), open(SESSION_MS)]
  const contenders = CROWD.map(async (wish, index) => {
    const { resource, mode } = asked(wish, index)
    const backend = backends[index % backends.length] as ZooKeeperBackend
    while (!stop.signal.aborted) {
      try {
        await using lease = await acquireLease(backend, resource, { waitMs: 60_000 }, mode)
        await rooms.visit(lease, wish)
      } catch (error) {
        // For a while nobody leads.
        if (!(error instanceof UnavailableError)) throw error
      }
    }
  })
  return async () => {
    stop.abort()
    await Promise.all(contenders)
  }
}

describe('When the leader is killed', () => {
  it('what is held stays held, and who waits gets it in turn', async () => {
    const [one, other] = [open(60_000), open(60_000)]
    const mutex = await acquireLease(one, 'mutex', {})
    const writer = await acquireLease(one, 'written', {}, WRITE)
    const both = [one, other]
    const readers = await Promise.all(both.map(backend => acquireLease(backend, 'shared', {}, READ)))
    const permits = await Promise.all(both.map(backend => acquireLease(backend, 'permits', {}, PERMIT)))
    const nextMutex = await queueUp(other, { resource: 'mutex' }, 1)
    const nextPermit = await queueUp(other, { resource: 'permits', mode: PERMIT }, 1)
    const beside = await queueUp(other, { resource: 'written', mode: READ }, 1)
    const nextWriter = await queueUp(other, { resource: 'shared', mode: WRITE }, 1)
    const behind = await queueUp(one, { resource: 'shared', mode: READ }, 2)
    const served: string[] = []
    void nextWriter.turn.then(() => served.push('writer'))
    void behind.turn.then(() => served.push('reader'))

    const restart = await killLeader()
    for (const lease of [mutex, writer, ...readers, ...permits]) lease.assertHeld()
    await expect(acquireLease(other, 'mutex', { waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    await downgradeLease(one, writer)
    expect((await beside.turn).token.value).toBe(writer.token.value)
    for (const lease of [mutex, ...readers, ...permits]) expect(await lease.release()).toBe('released')
    expect((await nextMutex.turn).token.value).toBeGreaterThan(mutex.token.value)
    for (const permit of permits) expect((await nextPermit.turn).token.value).toBeGreaterThan(permit.token.value)
    const written = await nextWriter.turn
    expect(await written.release()).toBe('released')
    expect((await behind.turn).token.value).toBe(written.token.value)
    expect(served).toEqual(['writer', 'reader'])
    await restart()
  })

  it('a crowd never meets inside who must not, and goes on', async () => {
    const rooms = new Rooms()
    const stop = startCrowd(rooms, wish => wish)
    for (let kill = 0; kill < 2; kill += 1) {
      await sleep(500)
      const restart = await killLeader()
      const { visits } = rooms
      await vi.waitFor(() => expect(rooms.visits).toBeGreaterThan(visits + CROWD.length), 120_000)
      await restart()
    }
    await stop()
    expect(rooms.conflicts).toBe(0)
    for (const resource of new Set(CROWD.map(wish => wish.resource)))
      expect(await harness.leftovers(resource)).toEqual([])
  })

  it('(control) a crowd that locks something else each is seen to meet', async () => {
    const rooms = new Rooms()
    const stop = startCrowd(rooms, ({ mode }, index) => ({ resource: `own-${index}`, mode }))
    await vi.waitFor(() => expect(rooms.conflicts).toBeGreaterThan(0), 120_000)
    await stop()
  })
})

describe('When nobody leads for longer than an operation may take', () => {
  it('who waits keeps its place, and who asks for the first time is told so', async () => {
    const operationMs = 2_000
    const [one, other, third] = [open(60_000), open(60_000, operationMs), open(60_000, operationMs)]
    const wishes: readonly Wish[] = [
      { resource: 'led-mutex' },
      { resource: 'led-written', mode: WRITE },
      { resource: 'led-permits', mode: { kind: 'permit', limit: 1 } },
    ]
    const held = await Promise.all(wishes.map(({ resource, mode }) => acquireLease(one, resource, {}, mode)))
    const turns: Promise<Lease>[] = []
    for (const wish of wishes) turns.push((await queueUp(other, wish, 1)).turn)
    const served: string[] = []
    for (const turn of turns) void turn.then(({ resource }) => served.push(resource))

    const [, ...two] = ensemble.servers
    for (const server of two) await server.kill()
    await expect(acquireLease(third, 'led-mutex', {})).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    await sleep(2 * operationMs)
    expect(served).toEqual([])
    for (const server of two) await server.restart()
    await ensemble.ready()

    // It is still in the queue, before those who come now and are still there when the backend closes.
    await other.ready({ timeoutMs: 120_000 })
    for (const wish of wishes) {
      const { turn } = await queueUp(one, wish, 2)
      turn.then(
        ({ resource }) => served.push(`late ${resource}`),
        () => undefined,
      )
    }
    for (const lease of held) await lease.release()
    for (const lease of await Promise.all(turns)) await lease.release()
    expect(served.slice(0, wishes.length).sort()).toEqual(wishes.map(({ resource }) => resource).sort())
  })
})

describe('Leases in an ensemble of three, each client at one of them', () => {
  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
