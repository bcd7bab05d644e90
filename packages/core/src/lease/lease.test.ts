import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { LeaseLostError, UnavailableError } from '../errors.ts'
import type { Grant } from '../ports/leases.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease } from './acquire.ts'
import type { Lease } from './lease.ts'
import { onLeaseEnd } from './lease.ts'
import type { AcquireOptions } from './options.ts'

const TTL_MS = 10_000
// 1 % and 2 ms sooner than the store.
const LENGTH_MS = 9_898

let clock: SimulatedClock
let store: ScriptedLeaseStore
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  backend = scriptedBackend(store)
})

function acquired(options: AcquireOptions = {}): Promise<Lease> {
  return acquireLease(backend, 'r', { ttlMs: TTL_MS, ...options })
}

function lostBecause(lease: Lease): unknown {
  return lease.signal.aborted ? (lease.signal.reason as LeaseLostError).reason : undefined
}

const unavailable = (): Promise<never> => Promise.reject(new UnavailableError('no answer'))
const never = (): Promise<never> => new Promise(() => {})

describe('A lease that is not renewed', () => {
  it('is held until its deadline, and its signal fires at that instant', async () => {
    const lease = await acquired({ renew: false })
    const { signal } = lease
    await clock.advance(LENGTH_MS - 1)
    expect([lease.remainingMs(), signal.aborted]).toEqual([1, false])
    await clock.advance(1)
    expect([lease.remainingMs(), signal.aborted]).toEqual([0, true])
    expect(signal.reason).toBeInstanceOf(LeaseLostError)
    expect(signal.reason).toMatchObject({ code: 'HF_LEASE_LOST', resource: 'r', reason: 'expired' })
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
    expect(() => lease.token).toThrow(LeaseLostError)
    expect(await lease.release()).toBe('lost')
  })

  it('is given back to the store when it lapses, in case the store counts longer', async () => {
    await acquired({ renew: false })
    await clock.advance(LENGTH_MS)
    expect(store.asked).toEqual(['grant r', 'release r'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('says the truth after a stall before any timer runs', async () => {
    const lease = await acquired({ renew: false })
    const { signal } = lease
    clock.stall(LENGTH_MS)
    expect(lease.remainingMs()).toBe(0)
    expect(signal.aborted).toBe(false)
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
    expect(signal.aborted).toBe(true)
  })

  it('has a signal that has aborted when it is first asked for after a stall', async () => {
    const lease = await acquired({ renew: false })
    clock.stall(LENGTH_MS)
    expect(lostBecause(lease)).toBe('expired')
  })

  it('ends when the machine slept past its deadline, and the signal says so within a second', async () => {
    const lease = await acquired({ renew: false })
    const { signal } = lease
    await clock.advance(100)
    clock.sleepMachine(LENGTH_MS)
    expect(lease.remainingMs()).toBe(0)
    await clock.advance(1_000)
    expect(signal.aborted).toBe(true)
  })

  it('does not last longer when the wall clock is set back', async () => {
    const lease = await acquired({ renew: false })
    clock.jumpWall(-3_600_000)
    await clock.advance(LENGTH_MS)
    expect(lostBecause(lease)).toBe('expired')
  })

  it('can be extended, and then ends by the new length', async () => {
    const lease = await acquired({ renew: false })
    await clock.advance(9_000)
    expect(await lease.extend(20_000)).toBe(20_000 - 202)
    expect(lease.ttlMs).toBe(20_000)
    await clock.advance(19_797)
    lease.assertHeld()
    await clock.advance(1)
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
  })

  it('keeps its old deadline when the store does not answer an extension', async () => {
    const lease = await acquired({ renew: false })
    store.answers.renew = unavailable
    await expect(lease.extend(20_000)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(lease.remainingMs()).toBe(LENGTH_MS)
  })

  it('ends by the shorter time that it was told, also when the store does not answer that (seen: two holders)', async () => {
    const lease = await acquired({ renew: false })
    store.answers.renew = unavailable
    await expect(lease.extend(200)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(lease.remainingMs()).toBe(196)
    await clock.advance(196)
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
  })

  it('fires its signal at the instant when it ends by a shorter time (seen: up to a second later)', async () => {
    const lease = await acquired({ renew: false })
    const { signal } = lease
    expect(await lease.extend(200)).toBe(196)
    await clock.advance(195)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.aborted).toBe(true)
  })

  it.each([
    ['while that to the shorter one is awaited', [0]],
    ['after that to the shorter one', [1, 0]],
  ])(
    'ends by the shorter extension when it is asked for last and the answer to a longer one comes %s',
    async (_what, order) => {
      const lease = await acquired({ renew: false })
      const answers: (() => void)[] = []
      store.answers.renew = renewals => {
        const outcomes = renewals.map(renewal => store.renewedFor(renewal))
        return new Promise(resolve => answers.push(() => resolve(outcomes)))
      }
      const longer = lease.extend(20_000)
      lease.extend(200).catch(() => undefined)
      for (const index of order) answers[index]?.()
      expect(await longer).toBe(196)
      await clock.advance(196)
      expect(lostBecause(lease)).toBe('expired')
    },
  )

  it('cannot be extended once it has lapsed, also when the store would say yes', async () => {
    const lease = await acquired({ renew: false })
    await clock.advance(LENGTH_MS)
    await expect(lease.extend(20_000)).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'expired' })
    expect(store.asked).not.toContain('renew r')
  })

  it('is not brought back by an extension that is answered after its deadline', async () => {
    const lease = await acquired({ renew: false })
    store.answers.renew = async renewals => {
      clock.stall(LENGTH_MS)
      return renewals.map(renewal => store.renewedFor(renewal))
    }
    await expect(lease.extend(20_000)).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    expect(store.asked.at(-1)).toBe('release r')
  })

  it('refuses an extension by a bad TTL, and of a lease that renews itself', async () => {
    const [fixed, renewing] = [await acquired({ renew: false }), await acquired()]
    await expect(fixed.extend(5)).rejects.toThrow('Expected `ttlMs` to be an integer from 100 to 86400000')
    await expect(renewing.extend(20_000)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})

describe('A lease that is renewed', () => {
  it('is renewed between a quarter and a third of its TTL, and lives on', async () => {
    const lease = await acquired()
    await clock.advance(2_466)
    expect(store.asked).toEqual(['grant r'])
    await clock.advance(834)
    expect(store.asked).toEqual(['grant r', 'renew r'])
    expect(lease.remainingMs()).toBeGreaterThan(LENGTH_MS - 834)
    await clock.advance(100_000)
    lease.assertHeld()
  })

  it('is renewed early after a provisional grant, also when the grant was short', async () => {
    store.answers.grant = async request => {
      const short = store.grantOf({ ...request, ttlMs: 3_000 })
      return { ...short, request, ttlMs: TTL_MS, isProvisional: true }
    }
    const lease = await acquired()
    expect(lease.remainingMs()).toBe(2_968)
    await clock.advance(1_000)
    expect(store.asked).toEqual(['grant r', 'renew r'])
    expect(lease.remainingMs()).toBeGreaterThan(9_000)
  })

  it('tries again when the store does not answer, and ends by its deadline all the same', async () => {
    const failed: unknown[] = []
    const { keeperOf } = await import('./keeper.ts')
    keeperOf(backend).events.on('renewFailed', event => failed.push(event.leases))
    store.answers.renew = unavailable
    const lease = await acquired()
    await clock.advance(LENGTH_MS - 1)
    lease.assertHeld()
    expect(failed.length).toBeGreaterThanOrEqual(5)
    expect(failed.length).toBeLessThanOrEqual(10)
    await clock.advance(1)
    expect(lostBecause(lease)).toBe('expired')
    expect(clock.pendingTimers).toBe(0)
  })

  it('lives on when a renewal works after some that failed', async () => {
    const lease = await acquired()
    store.answers.renew = unavailable
    await clock.advance(8_000)
    store.answers.renew = async renewals => renewals.map(renewal => store.renewedFor(renewal))
    await clock.advance(8_000)
    expect(lease.remainingMs()).toBeGreaterThan(0)
  })

  it('ends by its deadline when the store never answers', async () => {
    store.answers.renew = never
    const lease = await acquired()
    await clock.advance(LENGTH_MS)
    expect(lostBecause(lease)).toBe('expired')
  })

  it('is lost at once when the store says that it is another', async () => {
    store.answers.renew = async renewals => renewals.map(() => ({ kind: 'lost', reason: 'revoked' }))
    const lease = await acquired()
    await clock.advance(3_300)
    expect(lostBecause(lease)).toBe('revoked')
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('is not brought back by a renewal that is answered after its deadline, and is given back', async () => {
    let answer: () => void = () => {}
    store.answers.renew = renewals =>
      new Promise(resolve => (answer = () => resolve(renewals.map(renewal => store.renewedFor(renewal)))))
    const lease = await acquired()
    await clock.advance(LENGTH_MS)
    store.asked.length = 0
    answer()
    await clock.advance(0)
    expect(store.asked).toEqual(['release r'])
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
  })

  it('is lost when the store says so of its own accord', async () => {
    const lease = await acquired()
    store.lose('request-1', 'session-lost')
    expect(lostBecause(lease)).toBe('session-lost')
    expect(await lease.release()).toBe('lost')
  })

  it('ends after `holdMsMax`, however well it is renewed', async () => {
    const lease = await acquired({ holdMsMax: 25_000 })
    await clock.advance(24_999)
    lease.assertHeld()
    expect(lease.remainingMs()).toBe(1)
    await clock.advance(1)
    expect(lostBecause(lease)).toBe('hold-limit')
    // Every third of its TTL, also when less than that is left.
    expect(store.asked.filter(one => one === 'renew r').length).toBeLessThanOrEqual(11)
    const asked = store.asked.length
    await clock.advance(60_000)
    expect(store.asked.slice(asked)).not.toContain('renew r')
  })
})

describe('A lease of a store with sessions', () => {
  beforeEach(() => {
    store.renewal = 'session'
    store.answers.grant = async request => ({ ...store.grantOf(request), deadline: { remainingMs: () => 9_000 } })
  })

  it('is not renewed one by one: the session keeps it', async () => {
    const lease = await acquired()
    await clock.advance(100_000)
    lease.assertHeld()
    expect(store.asked).toEqual(['grant r'])
  })

  it('is given back a TTL after `holdMsMax`, although the session lives and its holder never releases', async () => {
    const lease = await acquired({ holdMsMax: 500 })
    await clock.advance(500)
    expect(lostBecause(lease)).toBe('hold-limit')
    expect(store.asked).toEqual(['grant r'])
    await clock.advance(TTL_MS)
    expect(store.asked).toEqual(['grant r', 'release r'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends after its TTL when it is not to be renewed, although the session lives', async () => {
    const lease = await acquired({ renew: false })
    await clock.advance(TTL_MS)
    expect(lostBecause(lease)).toBe('expired')
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('is extended past its TTL by a proof that the session lives', async () => {
    store.answers.renew = async renewals =>
      renewals.map(({ ttlMs }) => ({ kind: 'renewed', deadline: { remainingMs: () => 9_000 }, ttlMs }))
    const lease = await acquired({ renew: false })
    await clock.advance(9_999)
    await lease.extend(20_000)
    await clock.advance(19_999)
    expect(lease.remainingMs()).toBe(1)
  })
})

describe('Releasing a lease', () => {
  it('asks the store once, however often it is called', async () => {
    const lease = await acquired()
    expect(await Promise.all([lease.release(), lease.release()])).toEqual(['released', 'released'])
    expect(await lease.release()).toBe('released')
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('ends it at once for its holder, who can still read the token', async () => {
    const lease = await acquired()
    store.answers.release = never
    void lease.release()
    expect(lease.remainingMs()).toBe(0)
    expect(() => lease.assertHeld()).toThrow('it was already released')
    expect(lease.token.value).toBe(1n)
  })

  it('never fires the signal, whatever becomes of the store', async () => {
    const lease = await acquired()
    const { signal } = lease
    store.answers.release = never
    void lease.release()
    store.lose('request-1', 'revoked')
    await clock.advance(100_000)
    expect(signal.aborted).toBe(false)
  })

  it('says what the store says', async () => {
    const lease = await acquired()
    store.answers.release = async () => 'lost'
    expect(await lease.release()).toBe('lost')
  })

  it('tries again while the store does not answer, until the deadline', async () => {
    const lease = await acquired()
    store.answers.release = unavailable
    const released = lease.release()
    await clock.advance(1_000)
    expect(store.asked.filter(one => one === 'release r').length).toBeGreaterThan(10)
    store.answers.release = async () => 'released'
    await clock.advance(100)
    expect(await released).toBe('released')
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('settles as lost by the deadline when the store never answers, and stops trying', async () => {
    const lease = await acquired()
    store.answers.release = unavailable
    let outcome: unknown
    void lease.release().then(said => (outcome = said))
    await clock.advance(LENGTH_MS - 1)
    expect(outcome).toBeUndefined()
    await clock.advance(1)
    expect(outcome).toBe('lost')
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('is what disposal does', async () => {
    const work = async (): Promise<void> => {
      await using lease = await acquired()
      lease.assertHeld()
    }
    await work()
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('takes no renewal along: one that was under way changes nothing', async () => {
    let answer: () => void = () => {}
    store.answers.renew = renewals =>
      new Promise(resolve => (answer = () => resolve(renewals.map(renewal => store.renewedFor(renewal)))))
    const lease = await acquired()
    await clock.advance(4_000)
    expect(await lease.release()).toBe('released')
    answer()
    await clock.advance(100_000)
    expect(store.asked).toEqual(['grant r', 'renew r', 'release r'])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('A deadline that moves', () => {
  it('is followed when the store moves it, as a session does', async () => {
    store.renewal = 'session'
    let endsAtMs = clock.monotonicMs() + 5_000
    const deadline: Grant['deadline'] = { remainingMs: () => endsAtMs - clock.monotonicMs() }
    store.answers.grant = async request => store.grantOf(request, { deadline })
    const lease = await acquired()
    await clock.advance(4_000)
    endsAtMs += 5_000
    await clock.advance(5_999)
    lease.assertHeld()
    await clock.advance(1)
    expect(lostBecause(lease)).toBe('expired')
  })
})

describe('onLeaseEnd', () => {
  function reasonsOf(lease: Lease): readonly string[] {
    const reasons: string[] = []
    onLeaseEnd(lease, ({ reason }) => reasons.push(reason))
    return reasons
  }

  it('tells at once of a lease that is being given back, before the store has answered', async () => {
    store.answers.release = never
    const lease = await acquired()
    const reasons = reasonsOf(lease)
    void lease.release()
    void lease.release()
    expect(reasons).toEqual(['released'])
  })

  it('tells of a lease that is lost, once', async () => {
    const lease = await acquired({ renew: false })
    const reasons = reasonsOf(lease)
    clock.stall(LENGTH_MS)
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
    await clock.advance(LENGTH_MS)
    expect(reasons).toEqual(['expired'])
  })

  it('lets its listener release the lease again', async () => {
    const lease = await acquired()
    let again: unknown
    onLeaseEnd(lease, () => void lease.release().then(outcome => (again = outcome)))
    expect(await lease.release()).toBe('released')
    await clock.advance(0)
    expect([again, store.asked]).toEqual(['released', ['grant r', 'release r']])
  })
})
