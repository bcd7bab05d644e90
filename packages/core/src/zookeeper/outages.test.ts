// Those who wait for a lease while ZooKeeper does not answer for longer than an operation may take.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import type { LeaseMode } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import { OperationError } from './errors.ts'
import { LeaseWorld, READ, WRITE, permitOf } from './lease-world.fixture.ts'
import type { ZooKeeperBackend } from './index.ts'

const OPERATION_MS = 1_000
const OUTAGE_MS = 2 * OPERATION_MS

const world = await LeaseWorld.open()

afterAll(() => world[Symbol.asyncDispose]())

interface Scene {
  readonly holder: ZooKeeperBackend
  readonly held: Lease
  readonly waiter: ZooKeeperBackend
  readonly proxy: FaultProxy
  /** Rejected or granted. */
  readonly turn: Promise<Lease>
  readonly outcomes: readonly string[]
}

/** One holds a lock, another waits for it behind a proxy. */
async function queued(mode: LeaseMode | undefined, waitMs?: number): Promise<Scene> {
  const name = world.name()
  const holder = world.backend()
  const [waiter, proxy] = await world.backendBehindProxy({ operationTimeoutMs: OPERATION_MS, sessionTimeoutMs: 20_000 })
  const held = await acquireLease(holder, name, {}, mode?.kind === 'read' ? WRITE : mode)
  const turn = acquireLease(waiter, name, waitMs === undefined ? {} : { waitMs }, mode)
  const outcomes: string[] = []
  turn.then(
    () => outcomes.push('granted'),
    (error: unknown) => outcomes.push(String((error as { readonly code?: string }).code)),
  )
  const waiters = async () => (await holder.leases.inspect(name, kindOf(mode))).waiters
  await vi.waitFor(async () => expect(await waiters()).toHaveLength(1))
  return { holder, held, waiter, proxy, turn, outcomes }
}

describe.each([
  ['for a mutex', undefined],
  ['to read', READ],
  ['to write', WRITE],
  ['for a permit', permitOf(1)],
] as const)('Who waits %s', (_, mode) => {
  it('keeps the place while nobody can be reached, and is served before those who came later', async () => {
    const { holder, held, waiter, proxy, turn, outcomes } = await queued(mode)
    const { id } = internalsOf(waiter).sessions.current
    proxy.refuse()
    proxy.dropConnections()
    const later = acquireLease(holder, held.resource, {}, mode?.kind === 'read' ? WRITE : mode)
    let isLaterServed = false
    void later.then(() => (isLaterServed = true))
    await held.release()
    await sleep(OUTAGE_MS)
    expect(outcomes).toEqual([])
    proxy.heal()
    const lease = await turn
    lease.assertHeld()
    expect(isLaterServed).toBe(false)
    expect(internalsOf(waiter).sessions.current.id).toBe(id)
    expect(lease.token >= held.token).toBe(true)
    expect(await lease.release()).toBe('released')
    await (await later).release()
  })

  it('keeps the place while the link is silent', async () => {
    const { held, proxy, turn, outcomes } = await queued(mode)
    proxy.hold()
    await held.release()
    await sleep(OUTAGE_MS)
    expect(outcomes).toEqual([])
    proxy.heal()
    expect(await (await turn).release()).toBe('released')
  })

  it('gets it whichever of the last answers are lost', async () => {
    const lostAfterMs = [0, 1, 2, 4, 8]
    const turns = lostAfterMs.map(async afterMs => {
      const { held, proxy, turn } = await queued(mode)
      await held.release()
      await sleep(afterMs)
      // What it asks arrives, and what it is told does not.
      proxy.hold({ direction: 'to-client' })
      await sleep(2 * OPERATION_MS)
      proxy.dropConnections()
      proxy.heal()
      const lease = await turn
      lease.assertHeld()
      return await lease.release()
    })
    expect(await Promise.all(turns)).toEqual(lostAfterMs.map(() => 'released'))
  })

  it('is told by `waitMs` that it was waited in vain, and leaves nothing', async () => {
    const { holder, held, proxy, turn, outcomes } = await queued(mode, 2 * OUTAGE_MS)
    proxy.refuse()
    proxy.dropConnections()
    await sleep(OUTAGE_MS)
    expect(outcomes).toEqual([])
    await expect(turn).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    proxy.heal()
    const waiters = async () => (await holder.leases.inspect(held.resource, kindOf(mode))).waiters
    await vi.waitFor(async () => expect(await waiters()).toEqual([]))
    await held.release()
  })
})

describe.each([
  ['to write', WRITE],
  ['for a permit', permitOf(1)],
] as const)('Who waits %s', (_, mode) => {
  it('keeps the place when the last step was done and its answer never came', async () => {
    const { holder, held, waiter, turn } = await queued(mode)
    const later = acquireLease(holder, held.resource, {}, mode)
    let isLaterServed = false
    void later.then(() => (isLaterServed = true))
    const session = internalsOf(waiter).sessions.current
    const run = session.run.bind(session)
    let lost = 0
    const spy = vi.spyOn(session, 'run').mockImplementation(async operation => {
      const answer = await run(operation)
      // The first write after the wait is the one that counts.
      if (operation.isWrite !== true || lost > 0) return answer
      lost += 1
      throw new OperationError({ kind: 'timed-out' })
    })
    onTestFinished(() => spy.mockRestore())
    await held.release()
    const lease = await turn
    expect([lost, isLaterServed]).toEqual([1, false])
    expect(await lease.release()).toBe('released')
    await (await later).release()
  })
})

describe('Who waits while nobody can be reached', () => {
  it('is told at once that the backend closes', async () => {
    const { waiter, proxy, turn } = await queued(undefined)
    proxy.refuse()
    proxy.dropConnections()
    await sleep(2 * OPERATION_MS)
    await Promise.all([expect(turn).rejects.toMatchObject({ code: 'HF_CLOSED' }), waiter.close()])
  })

  it('can be told to stop waiting, and then leaves nothing', async () => {
    const name = world.name()
    const holder = world.backend()
    const [waiter, proxy] = await world.backendBehindProxy({ operationTimeoutMs: OPERATION_MS })
    const held = await acquireLease(holder, name, {})
    onTestFinished(async () => void (await held.release()))
    const abort = new AbortController()
    const turn = acquireLease(waiter, name, { signal: abort.signal })
    turn.catch(() => undefined)
    await vi.waitFor(async () => expect((await holder.leases.inspect(name)).waiters).toHaveLength(1))
    proxy.refuse()
    proxy.dropConnections()
    await sleep(2 * OPERATION_MS)
    abort.abort(new Error('enough'))
    await expect(turn).rejects.toThrow('enough')
    proxy.heal()
    await vi.waitFor(async () => expect((await holder.leases.inspect(name)).waiters).toEqual([]))
  })
})

describe('Who asks for the first time while nobody can be reached', () => {
  it('is told so when the time of an operation is over', async () => {
    const [backend, proxy] = await world.backendBehindProxy({ operationTimeoutMs: OPERATION_MS })
    proxy.refuse()
    proxy.dropConnections()
    await expect(acquireLease(backend, world.name(), { waitMs: 60_000 })).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
    })
  })
})
