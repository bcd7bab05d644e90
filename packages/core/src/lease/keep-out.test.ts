import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { LeaseLostError, UnavailableError } from '../errors.ts'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import type { LeaseRequest, Renewal } from '../ports/leases.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease, tryAcquireLease } from './acquire.ts'
import { ClockDeadline, driftMs, momentOf } from './deadline.ts'
import type { Lease } from './lease.ts'
import type { AcquireOptions } from './options.ts'

const TTL_MS = 10_000
// 1 % and 2 ms sooner than a store that were asked for the TTL alone.
const LENGTH_MS = 9_898

let clock: SimulatedClock
let store: ScriptedLeaseStore
let scripted: Backend
let requests: LeaseRequest[]
let renewed: number[]

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  scripted = scriptedBackend(store)
  requests = []
  renewed = []
  store.answers.grant = async request => {
    requests.push(request)
    return store.grantOf(request)
  }
  store.answers.renew = async renewals => {
    renewed.push(...renewals.map(({ ttlMs }) => ttlMs))
    return renewals.map(renewal => store.renewedFor(renewal))
  }
})

function acquired(options: AcquireOptions): Promise<Lease> {
  return acquireLease(scripted, 'r', { ttlMs: TTL_MS, ...options })
}

/** The same store, as one that serves no longer TTL. */
function limited(ttlMsMax: number): Backend {
  return scriptedBackend(Object.assign(store, { ttlMsMax }))
}

/** Two processes on one store. */
function pair(): { readonly holder: Backend; readonly other: Backend } {
  const world = new MemoryWorld(clock)
  return { holder: memoryBackend({ world }), other: memoryBackend({ world }) }
}

function isFree(backend: Backend): Promise<boolean> {
  return tryAcquireLease(backend, 'r', { waitMs: 0 }).then(async lease => {
    await lease?.release()
    return lease !== undefined
  })
}

describe('lockDelayMs', () => {
  it('makes the store keep the lease for longer, while its holder goes by the TTL', async () => {
    const lease = await acquired({ lockDelayMs: 5_000, renew: false })
    expect(requests[0]).toMatchObject({ ttlMs: 15_000, allowProvisional: false })
    expect([lease.ttlMs, lease.remainingMs()]).toEqual([TTL_MS, LENGTH_MS])
    const { signal } = lease
    await clock.advance(LENGTH_MS - 1)
    lease.assertHeld()
    await clock.advance(1)
    expect((signal.reason as LeaseLostError).reason).toBe('expired')
  })

  it('leaves a holder all of his time, however long the delay', async () => {
    const lease = await acquired({ ttlMs: 100, lockDelayMs: 3_600_000, renew: false })
    expect(lease.remainingMs()).toBe(97)
  })

  it('goes with the TTL that is meant when none is given', async () => {
    const lease = await acquireLease(scripted, 'r', { lockDelayMs: 5_000 })
    expect([requests[0]?.ttlMs, lease.ttlMs]).toEqual([35_000, 30_000])
  })

  it('leaves less for the TTL that is meant where the store serves no longer one', async () => {
    const lease = await acquireLease(limited(20_000), 'r', { lockDelayMs: 5_000 })
    expect([requests[0]?.ttlMs, lease.ttlMs]).toEqual([20_000, 15_000])
    const short = await acquireLease(limited(40_000), 'r', { lockDelayMs: 5_000 })
    expect(short.ttlMs).toBe(30_000)
  })

  it('is refused in the words of the caller where the store serves no TTL that long', async () => {
    const refused = acquireLease(limited(20_000), 'r', { ttlMs: 15_001, lockDelayMs: 5_000 })
    await expect(refused).rejects.toThrow('`lockDelayMs` to be at most 4999 beside a `ttlMs` of 15001, got 5000')
    await expect(acquireLease(limited(20_000), 'r', { lockDelayMs: 19_901 })).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      argument: 'lockDelayMs',
    })
    await expect(acquireLease(limited(20_000), 'r', { lockAtLeastForMs: 20_001 })).rejects.toThrow(
      "`lockAtLeastForMs` to be at most the store's longest TTL of 20000 ms, got 20001",
    )
    expect(requests).toEqual([])
  })

  it('is kept by renewals and by extensions', async () => {
    const renewing = await acquired({ lockDelayMs: 5_000 })
    await clock.advance(4_000)
    expect([renewed, renewing.ttlMs]).toEqual([[15_000], TTL_MS])
    const fixed = await acquired({ lockDelayMs: 5_000, renew: false })
    expect(await fixed.extend(20_000)).toBe(19_798)
    expect([renewed, fixed.ttlMs]).toEqual([[15_000, 25_000], 20_000])
  })

  it('keeps others out when the holder dies, and for no longer', async () => {
    const { holder, other } = pair()
    const lease = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockDelayMs: 5_000, renew: false })
    clock.stall(TTL_MS + 4_999)
    expect(await isFree(other)).toBe(false)
    clock.stall(1)
    expect(await isFree(other)).toBe(true)
    expect(lease.remainingMs()).toBe(0)
  })

  it('keeps others out after the holder was found to have stalled', async () => {
    const { holder, other } = pair()
    await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockDelayMs: 5_000, renew: false })
    await clock.advance(LENGTH_MS + 4_999)
    expect(await isFree(other)).toBe(false)
    await clock.advance(1)
    expect(await isFree(other)).toBe(true)
  })

  it('keeps nobody out after a release', async () => {
    const { holder, other } = pair()
    const lease = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockDelayMs: 5_000 })
    expect(await lease.release()).toBe('released')
    expect(await isFree(other)).toBe(true)
  })

  it('is not shortened by a release that comes after the end', async () => {
    const { holder, other } = pair()
    const lease = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockDelayMs: 5_000, renew: false })
    await clock.advance(LENGTH_MS)
    expect(await lease.release()).toBe('lost')
    expect(await isFree(other)).toBe(false)
  })

  it('keeps nobody out when a holder gives back at the signal of holdMsMax, and does when he does not', async () => {
    const { holder, other } = pair()
    const options = { ttlMs: TTL_MS, lockDelayMs: 5_000, holdMsMax: 1_000 }
    const obeying = await acquireLease(holder, 'r', options)
    await clock.advance(1_000)
    expect(await obeying.release()).toBe('lost')
    expect(await isFree(other)).toBe(true)
    await acquireLease(holder, 'r', options)
    await clock.advance(LENGTH_MS + 4_900)
    expect(await isFree(other)).toBe(false)
    await clock.advance(200)
    expect(await isFree(other)).toBe(true)
  })

  it('counts from the close of a backend by which a lease was still held', async () => {
    const { holder, other } = pair()
    await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockDelayMs: 5_000 })
    await holder.close()
    await clock.advance(4_999)
    expect(await isFree(other)).toBe(false)
    await clock.advance(1)
    expect(await isFree(other)).toBe(true)
  })

  it('does not count for a lease that its caller never had', async () => {
    const { holder, other } = pair()
    const guard = { raise: () => Promise.reject(new Error('guard is away')) }
    const wish = { ttlMs: TTL_MS, lockDelayMs: 5_000, lockAtLeastForMs: 60_000, guard }
    await expect(acquireLease(holder, 'r', wish)).rejects.toThrow('guard is away')
    expect(await isFree(other)).toBe(true)
  })

  it('renews a grant that leaves its holder too little, before it is handed out', async () => {
    store.answers.grant = async request =>
      store.grantOf(request, { deadline: new ClockDeadline(clock, momentOf(clock), 8_000) })
    const lease = await acquired({ lockDelayMs: 5_000 })
    expect([renewed, lease.remainingMs()]).toEqual([[15_000], LENGTH_MS])
  })

  it('refuses such a grant when it cannot be renewed, and gives it back', async () => {
    store.answers.grant = async request =>
      store.grantOf(request, { deadline: new ClockDeadline(clock, momentOf(clock), 8_000) })
    store.answers.renew = async () => [{ kind: 'lost', reason: 'expired' }]
    await expect(acquired({ lockDelayMs: 5_000 })).rejects.toBeInstanceOf(UnavailableError)
    expect(store.asked).toEqual(['grant r', 'renew r', 'release r'])
  })

  it('is refused where leases end with a session, with the reason', async () => {
    store.renewal = 'session'
    await expect(acquired({ lockDelayMs: 5_000 })).rejects.toMatchObject({
      code: 'HF_UNSUPPORTED',
      message: expect.stringContaining('The scripted backend has no `lockDelayMs` (5000)') as string,
    })
    await expect(acquired({ lockDelayMs: 0 })).resolves.toBeDefined()
  })
})

describe('lockAtLeastForMs', () => {
  it('keeps the lock after a release, which is answered at once, for the rest of the time', async () => {
    const { holder, other } = pair()
    const lease = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockAtLeastForMs: 60_000 })
    await clock.advance(1_000)
    expect(await lease.release()).toBe('released')
    expect([lease.remainingMs(), lease.signal.aborted]).toEqual([0, false])
    await clock.advance(58_999)
    expect(await isFree(other)).toBe(false)
    await clock.advance(1)
    expect(await isFree(other)).toBe(true)
    expect(lease.signal.aborted).toBe(false)
  })

  it('asks the store for that time at the grant, so that a process which ends at once leaves it too', async () => {
    await acquired({ lockAtLeastForMs: 60_000 })
    expect(requests[0]).toMatchObject({ ttlMs: 60_000, allowProvisional: false })
    await clock.advance(4_000)
    // What is left of it, and never less than the TTL.
    expect(renewed).toEqual([expect.closeTo(56_700, -3)])
    await clock.advance(60_000)
    expect(renewed.at(-1)).toBe(TTL_MS)
  })

  it('costs one renewal, and no release until the time is over', async () => {
    const lease = await acquired({ lockAtLeastForMs: 60_000 })
    await clock.advance(1_000)
    await lease.release()
    expect([store.asked, renewed]).toEqual([['grant r', 'renew r'], [59_000]])
    await clock.advance(59_000)
    expect(store.asked.at(-1)).toBe('release r')
    expect(clock.pendingTimers).toBe(0)
  })

  it('is a plain release once the time is over', async () => {
    const lease = await acquired({ lockAtLeastForMs: 1_000 })
    await clock.advance(1_000)
    await lease.release()
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('gives the lock to one who waits when the time is over, and not sooner', async () => {
    const { holder, other } = pair()
    const lease = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockAtLeastForMs: 5_000 })
    let isGranted = false
    void acquireLease(other, 'r', {}).then(() => (isGranted = true))
    await lease.release()
    await clock.advance(4_999)
    expect(isGranted).toBe(false)
    await clock.advance(100)
    expect(isGranted).toBe(true)
  })

  it('is kept by the close of the backend, of what is held and of what was released', async () => {
    const { holder, other } = pair()
    const released = await acquireLease(holder, 'r', { ttlMs: TTL_MS, lockAtLeastForMs: 5_000 })
    const held = await acquireLease(holder, 'held', { ttlMs: TTL_MS, lockAtLeastForMs: 5_000 })
    await released.release()
    await holder.close()
    expect(held.signal.aborted).toBe(true)
    await clock.advance(4_999)
    expect(await isFree(other)).toBe(false)
    expect(await tryAcquireLease(other, 'held', { waitMs: 0 })).toBeUndefined()
    await clock.advance(1)
    expect(await isFree(other)).toBe(true)
    expect(await tryAcquireLease(other, 'held', { waitMs: 0 })).toBeDefined()
  })

  it('says lost when the store had no lease of ours any more, and tries again while it does not answer', async () => {
    const lease = await acquired({ lockAtLeastForMs: 60_000 })
    store.answers.renew = async () => [{ kind: 'lost', reason: 'expired' }]
    expect(await lease.release()).toBe('lost')
    const other = await acquired({ lockAtLeastForMs: 60_000 })
    let tries = 0
    store.answers.renew = async (renewals: readonly Renewal[]) => {
      tries += 1
      if (tries === 1) throw new UnavailableError('no answer')
      return renewals.map(renewal => store.renewedFor(renewal))
    }
    const released = other.release()
    await clock.advance(50)
    expect([await released, tries]).toEqual(['released', 2])
  })

  it('is refused where leases end with a session', async () => {
    store.renewal = 'session'
    await expect(acquired({ lockAtLeastForMs: 5_000 })).rejects.toMatchObject({
      code: 'HF_UNSUPPORTED',
      message: expect.stringContaining('`lockAtLeastForMs` (5000)') as string,
    })
  })
})

describe('A lease of which nothing is to stay', () => {
  it('has the very deadline of its grant', async () => {
    const lease = await acquired({ lockDelayMs: 0, lockAtLeastForMs: 0 })
    expect([requests[0]?.ttlMs, lease.remainingMs()]).toEqual([TTL_MS, TTL_MS - driftMs(TTL_MS)])
  })
})
