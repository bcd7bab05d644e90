import { inspect } from 'node:util'
import type { Backend } from '@holdfast/core'
import { memoryBackend, MemoryWorld } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

const TOKEN = '00000000000000000001'

let clock: SimulatedClock
let backend: Backend
let locks: Locks

beforeEach(() => {
  clock = new SimulatedClock()
  backend = memoryBackend({ world: new MemoryWorld(clock) })
  locks = createLocks({ backend, ttlMs: 10_000, meta: { password: 'hunter2' } })
})

/** What `console.log` prints, in one line. */
function shown(value: unknown): string {
  return inspect(value, { breakLength: Infinity })
}

describe('A lease', () => {
  it('is shown with what it is of, its token, and what is left of it', async () => {
    const lease = await locks.acquire('stock:42')
    await clock.advance(1_000)
    expect(shown(lease)).toBe(
      `Lease { resource: 'stock:42', mode: 'exclusive', token: '${TOKEN}', state: 'held', remainingMs: ${Math.floor(lease.remainingMs())}, guarantee: 'lease' }`,
    )
  })

  it('is shown as released, with the token that it had', async () => {
    const lease = await locks.readWrite('doc').read.acquire()
    await lease.release()
    expect(shown(lease)).toMatch(
      /^Lease \{ resource: 'doc', mode: 'read', token: '\d{20}', state: 'released', remainingMs: 0,/,
    )
  })

  it('is shown as lost, and why, once it was told; before that its time is over, and to look tells nobody', async () => {
    const lease = await locks.acquire('r', { renew: false })
    const lost: string[] = []
    locks.events.on('lost', ({ reason }) => void lost.push(reason))
    clock.stall(20_000)
    expect(shown(lease)).toContain("state: 'lost', remainingMs: 0,")
    expect(lost).toEqual([])
    await clock.advance(1)
    expect(shown(lease)).toContain("state: 'lost', reason: 'expired', remainingMs: 0,")
    expect(lost).toEqual(['expired'])
  })

  it('of a permit is shown with its slot', async () => {
    const lease = await locks.semaphore('pool', { limit: 2 }).acquire()
    expect(shown(lease)).toContain("resource: 'pool#0', mode: 'permit',")
  })

  it('that is nested is shown as that, with the one around it', async () => {
    const outer = await locks.acquire('r')
    const nested = await locks.acquire('r', { within: outer })
    expect(shown(nested)).toMatch(
      /^Lease \(nested\) \{ resource: 'r', state: 'held', remainingMs: \d+, guarantee: 'lease', within: Lease \{ .* \} \}$/,
    )
    await nested.release()
    expect(shown(nested)).toContain("state: 'released', remainingMs: 0,")
  })

  it('that is nested and whose outer one was released is shown as lost', async () => {
    const outer = await locks.acquire('r')
    const nested = await locks.acquire('r', { within: outer })
    await outer.release()
    expect(shown(nested)).toContain("state: 'lost', reason: 'released', remainingMs: 0,")
  })

  it('over many names is shown with each of them', async () => {
    const lease = await locks.all(['a', 'b']).acquire()
    expect(shown(lease)).toMatch(
      /^MultiLease \{ remainingMs: \d+, guarantee: 'lease', leases: \[ Lease \{ resource: 'a'.* Lease \{ resource: 'b'.* \] \}$/,
    )
  })

  it('is never shown with the id of its request, nor with its metadata', async () => {
    const lease = await locks.acquire('r')
    const { holders } = await locks.inspect('r')
    expect(holders[0]?.requestId).toMatch(/./)
    expect(shown(lease)).not.toContain(holders[0]?.requestId)
    for (const value of [lease, locks, locks.mutex('r')]) expect(shown(value)).not.toContain('hunter2')
  })
})

describe('A lock', () => {
  it('is shown by its name, how it is held, and where it is kept', () => {
    expect(shown(locks)).toBe("Locks { backend: 'memory', ttlMs: 10000 }")
    expect(shown(locks.mutex('r'))).toBe("Lock { name: 'r', mode: 'exclusive', backend: 'memory' }")
    expect(shown(locks.semaphore('r', { limit: 3 }))).toBe(
      "Lock { name: 'r', mode: 'permit', limit: 3, backend: 'memory' }",
    )
    expect(shown(locks.readWrite('r'))).toBe("ReadWriteLock { name: 'r', backend: 'memory' }")
    expect(shown(locks.readWrite('r').write)).toBe("Lock { name: 'r', mode: 'write', backend: 'memory' }")
    expect(shown(locks.all(['b', 'a']))).toBe("MultiLock { names: [ 'a', 'b' ], backend: 'memory' }")
  })
})

describe('An election', () => {
  it('is shown with the leadership that this candidate has', async () => {
    const election = locks.election('leader', { id: 'one' })
    expect(shown(election)).toBe("Election { name: 'leader', id: 'one', isLeader: false, backend: 'memory' }")
    await election.campaign()
    expect(shown(election)).toMatch(
      /^Election \{ name: 'leader', id: 'one', isLeader: true, leadership: Lease \{ resource: 'leader', .* \}, backend: 'memory' \}$/,
    )
    await election.close()
  })
})
