import type { Backend, Lease } from '@holdfast/core'
import { LeaseLostError, acquireLease, requestRevocation } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { NestedLease, outermost, scopeOf } from './scope.ts'

const TTL_MS = 10_000

let clock: SimulatedClock
let backend: Backend
let outer: Lease

beforeEach(async () => {
  clock = new SimulatedClock()
  backend = memoryBackend({ clock })
  outer = await acquireLease(backend, 'r', { ttlMs: TTL_MS, renew: false })
})

function refusedBecause(act: () => unknown): unknown {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof LeaseLostError ? error.reason : error
  }
}

describe('A lease that is nested in another', () => {
  it('has the resource, token, time, length and guarantee of the outer one', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    await clock.advance(1_000)
    expect(nested.token).toBe(outer.token)
    expect([nested.resource, nested.ttlMs, nested.guarantee]).toEqual(['r', TTL_MS, 'lease'])
    expect(nested.remainingMs()).toBe(outer.remainingMs())
    nested.assertHeld()
  })

  it('leaves the outer one held when it is released, and cannot be used any more', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    const { token } = outer
    expect(await nested.release()).toBe('released')
    outer.assertHeld()
    expect(nested.remainingMs()).toBe(0)
    expect(refusedBecause(() => nested.assertHeld())).toBe('released')
    // As of every released lease: for logs.
    expect(nested.token).toBe(token)
  })

  it('hears that somebody asks for the outer one, while it is nested', async () => {
    const scope = scopeOf(outer)
    const over = await scope.nest(undefined)
    const heard: string[] = []
    over.onRevoke(() => heard.push('over'))
    await over.release()
    over.onRevoke(() => heard.push('too late'))
    const nested = await scope.nest(undefined)
    nested.onRevoke(() => heard.push('nested'))
    nested.onRevoke(() => heard.push('stopped'))()
    expect(await requestRevocation(backend, 'r')).toBe(1)
    await clock.advance(100)
    expect(heard).toEqual(['nested'])
    nested.assertHeld()
  })

  it('is released once, however often it is told to', async () => {
    const scope = scopeOf(outer)
    const first = await scope.nest(undefined)
    expect(await Promise.all([first.release(), first.release()])).toEqual(['released', 'released'])
    const second = scope.tryNest()
    await first.release()
    expect([second === undefined, scope.tryNest()]).toEqual([false, undefined])
  })

  it('is given back by `await using`', async () => {
    const scope = scopeOf(outer)
    {
      await using nested = await scope.nest(undefined)
      nested.assertHeld()
      expect(scope.tryNest()).toBeUndefined()
    }
    expect(scope.tryNest()).toBeInstanceOf(NestedLease)
  })

  it('says lost when the outer one had ended before it was given back', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    await clock.advance(TTL_MS)
    expect(await nested.release()).toBe('lost')
  })

  it('extends the outer one', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    expect(await nested.extend(20_000)).toBe(20_000 - 202)
    expect([outer.remainingMs(), outer.ttlMs]).toEqual([20_000 - 202, 20_000])
  })

  it('cannot extend the outer one once it was given back', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    await nested.release()
    await expect(nested.extend(20_000)).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'released' })
    expect(outer.ttlMs).toBe(TTL_MS)
  })
})

describe('The signal of a nested lease', () => {
  it('aborts when the outer one lapses, with its reason', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    const { signal } = nested
    await clock.advance(9_897)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.reason).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'expired' })
    expect(signal.reason).toBe(outer.signal.reason)
  })

  it('aborts at once when the outer one is released', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    const { signal } = nested
    void outer.release()
    expect(signal.reason).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'released' })
    expect(refusedBecause(() => nested.token)).toBe('released')
  })

  it('aborts when the scope ends', async () => {
    const scope = scopeOf(outer)
    const nested = await scope.nest(undefined)
    const { signal } = nested
    scope.end()
    expect(signal.reason).toMatchObject({ reason: 'scope-ended' })
    expect(nested.remainingMs()).toBe(0)
    expect(refusedBecause(() => nested.assertHeld())).toBe('scope-ended')
  })

  it('has aborted when it is first asked for after a stall', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    clock.stall(TTL_MS)
    expect(nested.signal.reason).toMatchObject({ reason: 'expired' })
  })

  it('has aborted when it is first asked for after the scope ended', async () => {
    const scope = scopeOf(outer)
    const nested = await scope.nest(undefined)
    scope.end()
    expect(nested.signal.reason).toMatchObject({ reason: 'scope-ended' })
  })

  it('never fires after its release, whatever becomes of the outer one', async () => {
    const nested = await scopeOf(outer).nest(undefined)
    const { signal } = nested
    await nested.release()
    await clock.advance(TTL_MS)
    expect(signal.aborted).toBe(false)
    const late = scopeOf(await acquireLease(memoryBackend({ clock }), 'r', {})).tryNest()
    await late?.release()
    expect(late?.signal.aborted).toBe(false)
  })

  it('reaches all who are nested deeper', async () => {
    const one = await scopeOf(outer).nest(undefined)
    const two = await scopeOf(one).nest(undefined)
    const three = await scopeOf(two).nest(undefined)
    const { signal } = three
    void one.release()
    expect(signal.reason).toMatchObject({ reason: 'released' })
    expect([two.remainingMs(), three.remainingMs()]).toEqual([0, 0])
    outer.assertHeld()
  })

  it('may release its own lease again without letting two in', async () => {
    const scope = scopeOf(outer)
    const one = await scope.nest(undefined)
    const deeper = await scopeOf(one).nest(undefined)
    deeper.signal.addEventListener('abort', () => void one.release())
    const waiting = [scope.nest(undefined), scope.nest(undefined)]
    await one.release()
    await waiting[0]
    expect(await Promise.race([waiting[1], clock.advance(10).then(() => 'still waiting')])).toBe('still waiting')
  })
})

describe('A scope', () => {
  it('admits one at a time, in order', async () => {
    const scope = scopeOf(outer)
    const first = await scope.nest(undefined)
    expect(scope.tryNest()).toBeUndefined()
    const order: string[] = []
    const second = scope.nest(undefined).then(lease => (order.push('second'), lease))
    const third = scope.nest(undefined).then(lease => (order.push('third'), lease))
    await first.release()
    await (await second).release()
    await third
    expect(order).toEqual(['second', 'third'])
  })

  it('refuses whoever comes after its end', async () => {
    const scope = scopeOf(outer)
    scope.end()
    await expect(scope.nest(undefined)).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'scope-ended' })
    expect(refusedBecause(() => scope.tryNest())).toBe('scope-ended')
  })

  it('refuses whoever comes when its lease has lapsed', async () => {
    const scope = scopeOf(outer)
    clock.stall(TTL_MS)
    await expect(scope.nest(undefined)).rejects.toMatchObject({ reason: 'expired' })
  })

  it.each([
    ['it ends', 'scope-ended', async () => scopeOf(outer).end()],
    ['its lease is released', 'released', async () => void outer.release()],
    ['its lease lapses', 'expired', () => clock.advance(TTL_MS)],
  ])('refuses at once all who wait when %s', async (_when, reason, end) => {
    const scope = scopeOf(outer)
    await scope.nest(undefined)
    const waiting = scope.nest(undefined).catch((error: unknown) => error)
    await end()
    expect(await waiting).toMatchObject({ code: 'HF_LEASE_LOST', reason })
  })

  it('refuses one who was let in at the very moment of its end, and keeps no place for him', async () => {
    const scope = scopeOf(outer)
    const first = await scope.nest(undefined)
    const second = scope.nest(undefined)
    void first.release()
    scope.end()
    await expect(second).rejects.toMatchObject({ reason: 'scope-ended' })
  })

  it('is one for each lease, whoever asks', () => {
    expect(scopeOf(outer)).toBe(scopeOf(outer))
  })
})

describe('outermost', () => {
  it('finds the lease that the store granted', async () => {
    const one = await scopeOf(outer).nest(undefined)
    const two = await scopeOf(one).nest(undefined)
    expect([outermost(two), outermost(one), outermost(outer)]).toEqual([outer, outer, outer])
  })
})
