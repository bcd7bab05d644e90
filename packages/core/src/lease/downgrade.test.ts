import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../backend.ts'
import { LeaseLostError, StaleTokenError, UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import type { LeaseMode } from '../ports/leases.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease, tryAcquireLease } from './acquire.ts'
import { downgradeLease } from './downgrade.ts'
import { keeperOf } from './keeper.ts'
import type { Lease } from './lease.ts'
import { wishOf } from './wish.ts'

const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }

let clock: SimulatedClock
let store: ScriptedLeaseStore
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  backend = scriptedBackend(store)
})

function writing(): Promise<Lease> {
  return acquireLease(backend, 'r', { ttlMs: 10_000 }, WRITE)
}

describe('downgradeLease', () => {
  it('makes the lease one to read, with the same token and TTL, and asks the store one thing', async () => {
    const written = await writing()
    const { token } = written
    const reading = await downgradeLease(backend, written)
    expect([reading.resource, reading.token.value, reading.ttlMs]).toEqual(['r', token.value, 10_000])
    expect(wishOf(reading)?.mode).toEqual(READ)
    expect(store.asked).toEqual(['grant r', 'downgrade r'])
  })

  it('ends the old lease as released, with no signal and no word to the store', async () => {
    const written = await writing()
    const { signal } = written
    await downgradeLease(backend, written)
    expect([signal.aborted, written.remainingMs()]).toEqual([false, 0])
    expect(() => written.assertHeld()).toThrow(LeaseLostError)
    expect(await written.release()).toBe('released')
    await clock.advance(20_000)
    expect(signal.aborted).toBe(false)
    expect(store.asked).not.toContain('release r')
  })

  it('refuses a lease of another backend, and a promise of one, and says so', async () => {
    const memory = await acquireLease(memoryBackend({ clock }), 'r', {}, WRITE)
    const twin = await acquireLease(scriptedBackend(new ScriptedLeaseStore(clock)), 'r', {}, WRITE)
    const wrong = [
      [memory, 'one to write, on "r" of the memory backend'],
      [twin, 'one to write, on "r" of another scripted backend'],
      [Promise.resolve(twin), 'a promise (did you forget await?)'],
    ] as const
    for (const [lease, shown] of wrong) {
      await expect(downgradeLease(backend, lease as Lease)).rejects.toThrow(`not nested in another, got ${shown}.`)
    }
    expect(store.asked).toEqual([])
  })

  it('keeps the new lease: it is renewed, and released like any other', async () => {
    const renewed: string[] = []
    store.answers.renew = async renewals => {
      for (const { grant } of renewals) renewed.push(grant.request.requestId)
      return renewals.map(renewal => store.renewedFor(renewal))
    }
    const reading = await downgradeLease(backend, await writing())
    await clock.advance(30_000)
    reading.assertHeld()
    expect([...new Set(renewed)]).toEqual(['request-2'])
    expect(await reading.release()).toBe('released')
    expect(store.asked.at(-1)).toBe('release r')
  })

  it('tells of the release of the one and the grant of the other', async () => {
    const written = await writing()
    const told: string[] = []
    for (const name of ['granted', 'released', 'lost'] as const) {
      keeperOf(backend).events.on(name, ({ resource }) => void told.push(`${name} ${resource}`))
    }
    await downgradeLease(backend, written)
    expect(told).toEqual(['released r', 'granted r'])
  })

  it('raises the guard to the token, and gives back what the guard refuses', async () => {
    const raised: bigint[] = []
    const guard = { raise: async ({ token }: { readonly token: FencingToken }) => void raised.push(token.value) }
    const reading = await downgradeLease(backend, await writing(), { guard })
    expect([raised, reading.guarantee]).toEqual([[1n], 'fenced'])
    const stale = new StaleTokenError('r', new FencingToken(2n), new FencingToken(3n))
    const refusing = { raise: () => Promise.reject(stale) }
    await expect(downgradeLease(backend, await writing(), { guard: refusing })).rejects.toBe(stale)
    expect(store.asked.at(-1)).toBe('release r')
  })

  it('refuses a lease that is over, and asks the store nothing', async () => {
    const released = await writing()
    await released.release()
    const lost = await writing()
    clock.stall(10_000)
    store.asked.length = 0
    for (const lease of [released, lost]) {
      await expect(downgradeLease(backend, lease)).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    }
    expect(store.asked.filter(asked => asked.startsWith('downgrade'))).toEqual([])
  })

  it('says that the lease is lost when the store no longer has it', async () => {
    const written = await writing()
    vi.spyOn(store, 'downgrade').mockImplementation(async () => undefined as never)
    await expect(downgradeLease(backend, written)).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'revoked' })
    expect(await written.release()).toBe('lost')
  })

  it('repeats the same step while the store does not answer', async () => {
    const written = await writing()
    const ids: string[] = []
    vi.spyOn(store, 'downgrade').mockImplementation(async (from, to) => {
      ids.push(to.requestId)
      if (ids.length < 4) throw new UnavailableError('no answer')
      return store.grantOf(to, { token: from.token })
    })
    const asked = downgradeLease(backend, written)
    await clock.advance(1_000)
    expect((await asked).token.value).toBe(1n)
    expect([ids.length, new Set(ids).size]).toEqual([4, 1])
  })

  it('gives up at the deadline of the lease, and takes back whichever of the two the store may have', async () => {
    const written = await writing()
    const released: string[] = []
    store.answers.release = async ({ request }) => {
      released.push(request.requestId)
      return 'lost'
    }
    vi.spyOn(store, 'downgrade').mockImplementation(() => Promise.reject(new UnavailableError('no answer')))
    const asked = downgradeLease(backend, written).catch((error: unknown) => error)
    await clock.advance(10_000)
    expect(await asked).toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(new Set(released)).toEqual(new Set(['request-1', 'request-2']))
    expect(clock.holdingTimers).toBe(0)
  })

  it.each([
    ['one to read', READ],
    ['one that is held alone', undefined],
    ['a permit', { kind: 'permit', limit: 2 } as const],
  ])('refuses %s', async (_what, mode) => {
    const lease = await acquireLease(backend, 'r', {}, mode)
    await expect(downgradeLease(backend, lease)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
    lease.assertHeld()
  })

  it('refuses a lease of another backend, what is no lease, and options that it does not have', async () => {
    const lease = await writing()
    const foreign = scriptedBackend(store)
    const refused = { code: 'HF_INVALID_ARGUMENT' }
    await expect(downgradeLease(foreign, lease)).rejects.toMatchObject(refused)
    await expect(downgradeLease(backend, {} as Lease)).rejects.toMatchObject(refused)
    for (const options of [{ waitMs: 5 }, { signal: new AbortController().signal }, { ttlMs: 1 }]) {
      await expect(downgradeLease(backend, lease, options)).rejects.toMatchObject(refused)
    }
    lease.assertHeld()
  })

  it('lets no writer in between, and those who wait to read at once', async () => {
    const world = new MemoryWorld(clock)
    const [one, other] = [memoryBackend({ world }), memoryBackend({ world })]
    const written = await acquireLease(one, 'r', {}, WRITE)
    const reader = acquireLease(other, 'r', {}, READ)
    const writer = acquireLease(other, 'r', {}, WRITE)
    const reading = await downgradeLease(one, written)
    const beside = await reader
    expect(await tryAcquireLease(other, 'r', { waitMs: 0 }, WRITE)).toBeUndefined()
    await Promise.all([reading.release(), beside.release()])
    const next = await writer
    expect(next.token > reading.token).toBe(true)
    await next.release()
    expect(world.resources()).toEqual([])
  })
})

describe('acquireLease with a guard and a permit', () => {
  it('is refused where permits have no slots, and the permit is given back', async () => {
    const guard = { raise: async () => {} }
    const mode = { kind: 'permit', limit: 2 } as const
    await expect(acquireLease(backend, 'pool', { guard }, mode)).rejects.toMatchObject({
      code: 'HF_UNSUPPORTED',
      message: expect.stringMatching(/ Leave `guard` out\.$/) as string,
    })
    expect(store.asked).toEqual(['grant pool', 'release pool'])
  })

  it('raises the guard for the slot, which is what the token of the permit fences', async () => {
    store.answers.grant = async request => store.grantOf(request, { slot: 1 })
    const raised: string[] = []
    const guard = { raise: async ({ resource }: { readonly resource: string }) => void raised.push(resource) }
    const lease = await acquireLease(backend, 'pool', { guard }, { kind: 'permit', limit: 2 })
    expect([raised, lease.resource]).toEqual([['pool#1'], 'pool#1'])
  })
})
