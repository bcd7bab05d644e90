import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Backend, BackendHealth } from '../backend.ts'
import { LeaseLostError, StaleTokenError, UnavailableError, WaitTimeoutError } from '../errors.ts'
import type { Fenced, Guard } from '../fencing/guard.ts'
import { FencingToken } from '../fencing/token.ts'
import { LiveValue } from '../live.ts'
import type { Grant } from '../ports/leases.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease, tryAcquireLease } from './acquire.ts'
import { ClockDeadline, momentOf } from './deadline.ts'

let clock: SimulatedClock
let store: ScriptedLeaseStore
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  backend = scriptedBackend(store)
})

/** Waits for ever; rejects when the signal aborts, as stores do. */
function neverGranted(signal: AbortSignal | undefined): Promise<Grant> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function guardThat(raise: (fenced: Fenced) => Promise<void>): Guard {
  return { raise }
}

describe('acquireLease', () => {
  it('hands out what the store granted, with the guarantee of the store', async () => {
    store.guarantee = 'advisory'
    const lease = await acquireLease(backend, 'r', { ttlMs: 10_000 })
    expect([lease.resource, lease.token.value, lease.ttlMs, lease.guarantee]).toEqual(['r', 1n, 10_000, 'advisory'])
    expect(lease.remainingMs()).toBe(10_000 - 102)
    expect(lease.signal.aborted).toBe(false)
    lease.assertHeld()
  })

  it('only tries when the caller does not want to wait', async () => {
    await acquireLease(backend, 'r', { waitMs: 0 })
    expect(store.asked).toEqual(['tryGrant r'])
  })

  it('refuses at once when the resource is held and the caller does not want to wait', async () => {
    store.answers.tryGrant = async () => ({ kind: 'held' })
    const error = await acquireLease(backend, 'r', { waitMs: 0 }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(WaitTimeoutError)
    expect(error).toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'r', waitMs: 0 })
    expect(await tryAcquireLease(backend, 'r', { waitMs: 0 })).toBeUndefined()
  })

  it('gives up after `waitMs`, not before, and tells the store', async () => {
    let signal: AbortSignal | undefined
    store.answers.grant = (_request, given) => neverGranted((signal = given))
    let error: unknown
    const asked = acquireLease(backend, 'r', { waitMs: 500 }).catch((reason: unknown) => (error = reason))
    await clock.advance(499)
    expect([signal?.aborted, error]).toEqual([false, undefined])
    await clock.advance(1)
    await asked
    expect(error).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 500 })
    expect(signal?.aborted).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('holds the process while somebody waits, and leaves no such timer once it is granted', async () => {
    let give: (grant: Grant) => void = () => {}
    store.answers.grant = request => new Promise(resolve => (give = () => resolve(store.grantOf(request))))
    const asked = acquireLease(backend, 'r', { waitMs: 500 })
    await clock.advance(0)
    expect(clock.holdingTimers).toBe(1)
    give({} as Grant)
    await asked
    expect(clock.holdingTimers).toBe(0)
  })

  it('asks for nothing when the signal has aborted already', async () => {
    const reason = new Error('too late')
    await expect(acquireLease(backend, 'r', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(store.asked).toEqual([])
  })

  it('rejects with the reason of the signal, with and without a limit on the waiting', async () => {
    store.answers.grant = (_request, signal) => neverGranted(signal)
    for (const limit of [{}, { waitMs: 1_000 }]) {
      const abort = new AbortController()
      const asked = acquireLease(backend, 'r', { ...limit, signal: abort.signal })
      const reason = new Error('changed my mind')
      abort.abort(reason)
      await expect(asked).rejects.toBe(reason)
    }
    expect(clock.pendingTimers).toBe(0)
  })

  it('gives back what is granted although the signal has aborted', async () => {
    const abort = new AbortController()
    const reason = new Error('changed my mind')
    store.answers.grant = async request => {
      abort.abort(reason)
      return store.grantOf(request)
    }
    await expect(acquireLease(backend, 'r', { signal: abort.signal })).rejects.toBe(reason)
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('never hands out a lease with nothing left of it', async () => {
    const deadline = new ClockDeadline(clock, momentOf(clock), 0)
    store.answers.grant = async request => store.grantOf(request, { deadline })
    await expect(acquireLease(backend, 'r', {})).rejects.toBeInstanceOf(UnavailableError)
    expect(store.asked).toContain('release r')
  })

  it('lets a grant be provisional only for a lease that will be renewed', async () => {
    const allowed: boolean[] = []
    store.answers.grant = async request => {
      allowed.push(request.allowProvisional)
      return store.grantOf(request)
    }
    await acquireLease(backend, 'r', {})
    await acquireLease(backend, 'r', { renew: false })
    expect(allowed).toEqual([true, false])
  })

  it('says in its meta which process on which host holds, unless the caller says something else', async () => {
    const metas: unknown[] = []
    store.answers.grant = async request => {
      metas.push(JSON.parse(request.meta))
      return store.grantOf(request)
    }
    await acquireLease(backend, 'r', {})
    await acquireLease(backend, 'r', { meta: { purpose: 'test' } })
    expect(metas).toEqual([{ host: expect.any(String) as string, pid: String(process.pid) }, { purpose: 'test' }])
  })

  it('passes on what the store says when it fails', async () => {
    const error = new UnavailableError('no answer')
    store.answers.grant = () => Promise.reject(error)
    await expect(acquireLease(backend, 'r', {})).rejects.toBe(error)
  })

  it('refuses with `HF_CLOSED` when the backend is closed', async () => {
    await backend.close()
    await expect(acquireLease(backend, 'r', {})).rejects.toMatchObject({ code: 'HF_CLOSED' })
  })
})

describe('acquireLease with `waitMs`', () => {
  it('is no timeout but unavailable when the store never said that others hold it', async () => {
    store.isSilent = true
    store.answers.grant = (_request, signal) => neverGranted(signal)
    const asked = [acquireLease(backend, 'r', { waitMs: 500 }), tryAcquireLease(backend, 'r', { waitMs: 500 })]
    const errors = Promise.allSettled(asked)
    await clock.advance(500)
    for (const outcome of await errors) expect(outcome).toMatchObject({ reason: { code: 'HF_UNAVAILABLE' } })
  })

  it('says why the store did not answer, where the backend knows', async () => {
    store.isSilent = true
    store.answers.grant = (_request, signal) => neverGranted(signal)
    const why = [
      [new Error('connect ECONNREFUSED 127.0.0.1:6379'), ': connect ECONNREFUSED 127.0.0.1:6379.'],
      [new Error('Redis at h:1 did not answer within 50 ms.'), ': Redis at h:1 did not answer within 50 ms.'],
      [new AggregateError([]), '.'],
      [undefined, '.'],
    ] as const
    for (const [cause, shown] of why) {
      const health = new LiveValue<BackendHealth>({ kind: 'suspended', cause })
      const failed = acquireLease({ ...backend, health }, 'r', { waitMs: 300 }).catch((error: unknown) => error)
      await clock.advance(300)
      const message = `The scripted backend did not answer for "r" within the 300 ms of \`waitMs\`${shown}`
      expect(await failed).toMatchObject({ cause, message })
    }
  })

  it.each([
    [0, '"r" is held by this process itself, and the caller did not want to wait.'],
    [500, '"r" was still held by this process itself after waiting 500 ms.'],
  ])('of %i ms says of a lock that this process holds that it is its own', async (waitMs, said) => {
    await acquireLease(backend, 'r', {})
    await acquireLease(backend, 'other', {})
    store.answers.grant = (_request, signal) => neverGranted(signal)
    store.answers.tryGrant = async () => ({ kind: 'held' })
    const errors = ['r', 'free'].map(name => acquireLease(backend, name, { waitMs }).catch((error: unknown) => error))
    await clock.advance(waitMs)
    const hint = 'If it is the caller who holds it, see `reentrant` and `within`.'
    expect(await errors[0]).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs, message: `${said} ${hint}` })
    expect(((await errors[1]) as Error).message).toContain('held by another')
  })
})

describe('acquireLease with a guard', () => {
  it('raises the guard to the token before it hands out the lease, which is then fenced', async () => {
    const raised: Fenced[] = []
    const guard = guardThat(async fenced => void raised.push(fenced))
    const lease = await acquireLease(backend, 'r', { guard })
    expect(raised.map(({ resource, token }) => [resource, token.value])).toEqual([['r', lease.token.value]])
    expect(lease.guarantee).toBe('fenced')
  })

  it('takes a guard that answers at once, without a promise', async () => {
    const guard = { raise: () => undefined } as unknown as Guard
    const lease = await acquireLease(backend, 'r', { guard })
    expect(lease.guarantee).toBe('fenced')
  })

  it('leaves nothing at a signal that lives on (seen: 40 bytes a lease, by `AbortSignal.any`)', async () => {
    const any = vi.spyOn(AbortSignal, 'any')
    const { signal } = new AbortController()
    await acquireLease(backend, 'r', { guard: guardThat(async () => {}), signal })
    expect(any).not.toHaveBeenCalled()
    any.mockRestore()
  })

  it('gives the lease back when the guard has seen a newer token', async () => {
    const error = new StaleTokenError('r', new FencingToken(1n), new FencingToken(2n))
    const guard = guardThat(() => Promise.reject(error))
    await expect(acquireLease(backend, 'r', { guard })).rejects.toBe(error)
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('does not hand out a lease that lapsed while the guard was raised', async () => {
    const guard = guardThat(async () => clock.stall(20_000))
    const asked = acquireLease(backend, 'r', { guard, ttlMs: 10_000 })
    await expect(asked).rejects.toBeInstanceOf(LeaseLostError)
  })

  it('ends with the lease when the guard never answers', async () => {
    const asked = acquireLease(backend, 'r', {
      guard: guardThat(() => new Promise(() => {})),
      ttlMs: 10_000,
      renew: false,
    })
    const refused = asked.catch((error: unknown) => error)
    await clock.advance(10_000)
    expect(await refused).toBeInstanceOf(LeaseLostError)
  })

  it('stops waiting for the guard when the caller aborts, and gives the lease back', async () => {
    const stop = new AbortController()
    const guard = guardThat(async () => stop.abort(new Error('enough')))
    await expect(acquireLease(backend, 'r', { guard, signal: stop.signal })).rejects.toThrow('enough')
    expect(store.asked).toEqual(['grant r', 'release r'])
  })
})
