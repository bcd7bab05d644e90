import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { FencingToken } from '../fencing/token.ts'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import type { LeaseStore } from '../ports/leases.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease } from './acquire.ts'
import { leaseHandle, resumeLease } from './resume.ts'

const TTL_MS = 5_000

let clock: SimulatedClock
let world: MemoryWorld

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
})

function altered({ leases }: Backend, changes: Partial<LeaseStore>): LeaseStore {
  return new Proxy(leases, {
    get(store, name) {
      const value: unknown = (changes as Readonly<Record<string | symbol, unknown>>)[name] ?? Reflect.get(store, name)
      return typeof value === 'function' ? (value.bind(store) as unknown) : value
    },
  })
}

/** A lease of a process that dies: it gives nothing back. */
async function held(resource = 'r') {
  const backend = memoryBackend({ world })
  const dying = { ...backend, leases: altered(backend, { release: () => new Promise(() => {}) }) }
  const lease = await acquireLease(dying, resource, { ttlMs: TTL_MS, renew: false })
  return { lease, handle: leaseHandle(lease) }
}

describe('resumeLease', () => {
  it('makes the same lease of another process go on, with all of its time', async () => {
    const { lease, handle } = await held()
    await clock.advance(TTL_MS - 500)
    const resumed = await resumeLease(memoryBackend({ world }), { resource: 'r', handle }, { renew: false })
    expect([resumed?.token.value, resumed?.ttlMs]).toEqual([lease.token.value, TTL_MS])
    expect(resumed?.remainingMs()).toBeGreaterThan(TTL_MS - 100)
    expect(await resumed?.release()).toBe('released')
    expect(world.resources()).toEqual([])
  })

  it('renews it from then on', async () => {
    const { handle } = await held()
    const resumed = await resumeLease(memoryBackend({ world }), { resource: 'r', handle }, {})
    await clock.advance(3 * TTL_MS)
    expect(resumed?.remainingMs()).toBeGreaterThan(0)
    await resumed?.release()
  })

  it('answers undefined when it has ended, or is held by another', async () => {
    const { handle } = await held()
    await clock.advance(TTL_MS)
    const wish = { resource: 'r', handle }
    expect(await resumeLease(memoryBackend({ world }), wish, {})).toBeUndefined()
    const other = await acquireLease(memoryBackend({ world }), 'r', {})
    expect(await resumeLease(memoryBackend({ world }), wish, {})).toBeUndefined()
    expect(await other.release()).toBe('released')
  })

  it('raises the guard, and gives the lease back when that refuses', async () => {
    const { lease, handle } = await held()
    const raised: bigint[] = []
    const guard = {
      raise: async ({ token }: { readonly token: FencingToken }) => {
        raised.push(token.value)
        if (raised.length > 1) throw new Error('stale')
      },
    }
    const wish = { resource: 'r', handle }
    const resumed = await resumeLease(memoryBackend({ world }), wish, { guard })
    expect([resumed?.guarantee, raised]).toEqual(['fenced', [lease.token.value]])
    await expect(resumeLease(memoryBackend({ world }), wish, { guard })).rejects.toThrow('stale')
  })

  it('refuses a handle of another resource before it asks anybody', async () => {
    const { handle } = await held('other')
    const store = new ScriptedLeaseStore(clock)
    const failed = resumeLease(scriptedBackend(store), { resource: 'r', handle }, {})
    await expect(failed).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: 'Expected `handle` to be that of a lease on "r", got one on "other".',
    })
    expect(store.asked).toEqual([])
  })

  it('refuses a handle whose token is not the one that the store has', async () => {
    const { lease, handle } = await held()
    const forged = handle.replace(lease.token.toString(), new FencingToken(999n).toString())
    expect(forged).not.toBe(handle)
    const failed = resumeLease(memoryBackend({ world }), { resource: 'r', handle: forged }, {})
    await expect(failed).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'handle' })
  })

  it.each(['', 'x', 'holdfast-lease-1:', 'holdfast-lease-1:%', 'holdfast-lease-1:[]', 5, undefined, null])(
    'refuses %o, which is no handle',
    async handle => {
      const failed = resumeLease(memoryBackend({ world }), { resource: 'r', handle: handle as string }, {})
      await expect(failed).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'handle' })
    },
  )

  it('is refused where leases end with a session', async () => {
    const { handle } = await held()
    const backend = memoryBackend({ world })
    const sessions = { ...backend, kind: 'zookeeper', leases: altered(backend, { renewal: 'session' }) }
    const failed = resumeLease(sessions, { resource: 'r', handle }, {})
    await expect(failed).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
  })
})

describe('leaseHandle', () => {
  it('refuses what is no lease that somebody holds alone', async () => {
    expect(() => leaseHandle({} as never)).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
    const reader = await acquireLease(memoryBackend({ world }), 'r', {}, { kind: 'read' })
    expect(() => leaseHandle(reader)).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
    await reader.release()
  })

  it('refuses a lease that is lost', async () => {
    const { lease } = await held()
    await clock.advance(TTL_MS)
    expect(() => leaseHandle(lease)).toThrow(expect.objectContaining({ code: 'HF_LEASE_LOST' }))
  })
})
