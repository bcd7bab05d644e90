import type { LeaseStore } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { expect, test } from 'vitest'
import { FleetLimit } from './fleet-limit.ts'

const scope = { app: 'shop', env: 'test' }
const { signal } = new AbortController()

/** The store of somebody who was killed: what he holds is not renewed any more. */
function withoutRenewal(store: LeaseStore): LeaseStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'renew') return () => new Promise(() => {})
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

test('A holder that was killed in his turn keeps the others waiting for 10 s, not for the 30 s of other leases.', async () => {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const [killed, other] = [memoryBackend({ world }), memoryBackend({ world })]
  const backend = { ...killed, leases: withoutRenewal(killed.leases) }
  await new FleetLimit({ backend, scope, slot: 'a', limit: 1 }).enter(signal)
  let isIn = false
  const entering = new FleetLimit({ backend: other, scope, slot: 'b', limit: 1 }).enter(signal).then(lease => {
    isIn = true
    return lease
  })
  await clock.advance(9_000)
  expect(isIn).toBe(false)
  await clock.advance(2_000)
  expect(isIn).toBe(true)
  // The turn of somebody who lives is renewed.
  await clock.advance(60_000)
  const lease = await entering
  expect(lease.signal.aborted).toBe(false)
  await lease.release()
})

test('On a store whose leases last as long as its session no time is asked for, which it could refuse.', async () => {
  const backend = memoryBackend({ clock: new SimulatedClock() })
  const asked: unknown[] = []
  const leases = new Proxy(backend.leases, {
    get: (target, name) => {
      if (name === 'renewal') return 'session'
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'tryGrant') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return (request: Parameters<LeaseStore['tryGrant']>[0]) => {
        asked.push(request.ttlMs)
        return target.tryGrant(request)
      }
    },
  })
  const lease = await new FleetLimit({ backend: { ...backend, leases }, scope, slot: 'a', limit: 1 }).enter(signal)
  await lease.release()
  expect(asked).toEqual([undefined])
})
