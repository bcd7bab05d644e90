import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease } from './acquire.ts'
import { keeperOf } from './keeper.ts'
import type { LeaseLostError } from '../errors.ts'

let clock: SimulatedClock
let store: ScriptedLeaseStore
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  backend = scriptedBackend(store)
})

describe('keeperOf', () => {
  it('is one for a backend, whoever asks', () => {
    expect(keeperOf(backend)).toBe(keeperOf(backend))
    expect(keeperOf(scriptedBackend(store))).not.toBe(keeperOf(backend))
  })
})

describe('The keeper', () => {
  it('renews what is due at the same time in one batch, with one timer', async () => {
    for (let index = 0; index < 50; index += 1) await acquireLease(backend, `r${index}`, { ttlMs: 9_000 })
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(3_000)
    const renewals = store.asked.filter(one => one.startsWith('renew'))
    expect(renewals.length).toBe(1)
    expect(renewals[0]?.split(' ').length).toBe(51)
  })

  it('renews together what is due soon after', async () => {
    await acquireLease(backend, 'a', { ttlMs: 9_000 })
    await clock.advance(300)
    await acquireLease(backend, 'b', { ttlMs: 9_000 })
    await clock.advance(2_700)
    expect(store.asked).toContain('renew a b')
  })

  it('gives each lease its own outcome of a batch', async () => {
    const leases = []
    for (const name of ['a', 'b', 'c']) leases.push(await acquireLease(backend, name, { ttlMs: 9_000 }))
    store.answers.renew = async renewals =>
      renewals.map(renewal =>
        renewal.grant.request.resource === 'b' ? { kind: 'lost', reason: 'revoked' } : store.renewedFor(renewal),
      )
    await clock.advance(3_000)
    expect(leases.map(lease => lease.remainingMs() > 0)).toEqual([true, false, true])
  })

  it('gives back what is granted as its backend closes (seen: a lease that was held after close, for its TTL)', async () => {
    const acquired = acquireLease(backend, 'r', { ttlMs: 9_000 })
    const closed = backend.close()
    await expect(acquired).rejects.toMatchObject({ code: 'HF_CLOSED', message: 'The scripted backend is closed.' })
    await closed
    expect([store.asked, clock.pendingTimers]).toEqual([['grant r', 'release r'], 0])
  })

  it('does not let a lease with a long TTL keep it from seeing the end of a short one', async () => {
    await acquireLease(backend, 'long', { ttlMs: 86_400_000 })
    const short = await acquireLease(backend, 'short', { ttlMs: 200, renew: false })
    const { signal } = short
    await clock.advance(196)
    expect(signal.aborted).toBe(true)
  })

  it('has one timer in the background, and none a second after nothing is held any more', async () => {
    const lease = await acquireLease(backend, 'r', {})
    expect([clock.pendingTimers, clock.holdingTimers]).toEqual([1, 0])
    await lease.release()
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('tells what happens to leases', async () => {
    const seen: string[] = []
    const { events } = keeperOf(backend)
    events.on('granted', ({ resource, token }) => seen.push(`granted ${resource} ${token.value}`))
    events.on('released', ({ resource, token }) => seen.push(`released ${resource} ${token.value}`))
    events.on('lost', ({ resource, token, reason }) => seen.push(`lost ${resource} ${token.value} ${reason}`))
    const lease = await acquireLease(backend, 'a', {})
    await lease.release()
    await acquireLease(backend, 'b', { ttlMs: 1_000, renew: false })
    await clock.advance(1_000)
    expect(seen).toEqual(['granted a 1', 'released a 1', 'granted b 2', 'lost b 2 expired'])
  })

  it('ends everything that is held when its backend closes, and gives it back before that is done', async () => {
    const leases = [await acquireLease(backend, 'a', {}), await acquireLease(backend, 'b', {})]
    const signals = leases.map(lease => lease.signal)
    let given = 0
    store.answers.release = async () => {
      for (let hop = 0; hop < 20; hop += 1) await Promise.resolve()
      given += 1
      return 'released'
    }
    await backend.close()
    expect(given).toBe(2)
    expect(signals.map(signal => (signal.reason as LeaseLostError).reason)).toEqual(['closed', 'closed'])
    expect(await Promise.all(leases.map(lease => lease.release()))).toEqual(['lost', 'lost'])
  })

  it('waits at close for a release that is under way, and lets it say what became of it', async () => {
    const lease = await acquireLease(backend, 'a', {})
    let answer: (outcome: 'released') => void = () => {}
    store.answers.release = () => new Promise(resolve => (answer = resolve))
    const released = lease.release()
    let isClosed = false
    const closed = backend.close().then(() => (isClosed = true))
    await clock.advance(100)
    expect(isClosed).toBe(false)
    answer('released')
    await closed
    expect(await released).toBe('released')
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not wait for ever at close for a store that does not answer', async () => {
    await acquireLease(backend, 'a', {})
    store.answers.release = () => new Promise(() => {})
    const closed = backend.close()
    await clock.advance(2_000)
    await closed
    expect(clock.pendingTimers).toBe(0)
  })
})
