import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../backend.ts'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { acquireLease } from './acquire.ts'
import { requestRevocation } from './revocation.ts'

let clock: SimulatedClock
let world: MemoryWorld
let holder: Backend
let asker: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  holder = memoryBackend({ world })
  asker = memoryBackend({ world })
})

function wishes(): Promise<readonly string[]> {
  return asker.records
    .read({ directory: 'lock/revocations', ephemerals: true })
    .then(read => (read.kind === 'present' ? [...read.ephemerals.keys()] : []))
}

async function settled(): Promise<void> {
  await clock.advance(100)
}

describe('requestRevocation', () => {
  it('asks the holder, who goes on holding until he releases', async () => {
    const lease = await acquireLease(holder, 'r', {})
    const heard = vi.fn<() => void>()
    lease.onRevoke(heard)
    await settled()
    expect(heard).not.toHaveBeenCalled()
    expect(await requestRevocation(asker, 'r')).toBe(1)
    await settled()
    expect(heard).toHaveBeenCalledOnce()
    lease.assertHeld()
    expect(await lease.release()).toBe('released')
  })

  it('answers 0 when nobody holds it, and leaves nothing', async () => {
    expect(await requestRevocation(asker, 'r')).toBe(0)
    expect(await wishes()).toEqual([])
  })

  it('asks holders of other names nothing', async () => {
    const heard = vi.fn<() => void>()
    const lease = await acquireLease(holder, 'other', {})
    lease.onRevoke(heard)
    await acquireLease(holder, 'r', {})
    await requestRevocation(asker, 'r')
    await settled()
    expect(heard).not.toHaveBeenCalled()
  })

  it('does not reach the next holder', async () => {
    const lease = await acquireLease(holder, 'r', {})
    await requestRevocation(asker, 'r')
    await lease.release()
    const heard = vi.fn<() => void>()
    const next = await acquireLease(holder, 'r', {})
    next.onRevoke(heard)
    await settled()
    expect(heard).not.toHaveBeenCalled()
  })

  it('is refused where there are no records to ask by, and so is listening', async () => {
    const quorum = scriptedBackend(new ScriptedLeaseStore(clock))
    await expect(requestRevocation(quorum, 'r')).rejects.toMatchObject({
      code: 'HF_UNSUPPORTED',
      message: 'The scripted backend cannot ask holders to give up a lock, for it has no records to ask by.',
    })
    const lease = await acquireLease(quorum, 'r', {})
    expect(() => lease.onRevoke(() => {})).toThrow('cannot ask holders to give up a lock')
  })

  it('goes the own way of a store that has one', async () => {
    const store = new ScriptedLeaseStore(clock)
    let ask: () => void = () => {}
    const native = {
      request: async () => 7,
      listen: (_grant: unknown, listener: () => void) => {
        ask = listener
        return () => {}
      },
    }
    const backend = { ...scriptedBackend(store), leases: Object.assign(store, { revocation: native }) }
    expect(await requestRevocation(backend, 'r', 'permits')).toBe(7)
    const heard = vi.fn<() => void>()
    const lease = await acquireLease(backend, 'r', {})
    lease.onRevoke(heard)
    ask()
    expect(heard).toHaveBeenCalledOnce()
  })
})

describe('onRevoke', () => {
  it('tells one who listens later as well, after the call returned', async () => {
    const lease = await acquireLease(holder, 'r', {})
    await requestRevocation(asker, 'r')
    const heard = vi.fn<() => void>()
    lease.onRevoke(heard)
    expect(heard).not.toHaveBeenCalled()
    await settled()
    expect(heard).toHaveBeenCalledOnce()
    const late = vi.fn<() => void>()
    lease.onRevoke(late)
    expect(late).not.toHaveBeenCalled()
    await settled()
    expect([heard.mock.calls.length, late.mock.calls.length]).toEqual([1, 1])
  })

  it('tells every listener once, however often it is asked and whatever another throws', async () => {
    const lease = await acquireLease(holder, 'r', {})
    const heard = vi.fn<() => void>()
    lease.onRevoke(() => {
      throw new Error('a listener')
    })
    lease.onRevoke(() => Promise.reject(new Error('a listener that is async')) as unknown as undefined)
    lease.onRevoke(heard)
    lease.onRevoke(heard)
    await requestRevocation(asker, 'r')
    await settled()
    await requestRevocation(asker, 'r')
    await settled()
    expect(heard).toHaveBeenCalledTimes(2)
  })

  it('tells nobody who stopped listening, and nothing of a lease that is over', async () => {
    const lease = await acquireLease(holder, 'r', {})
    const [stopped, released] = [vi.fn<() => void>(), vi.fn<() => void>()]
    lease.onRevoke(stopped)()
    lease.onRevoke(released)
    await settled()
    const asked = requestRevocation(asker, 'r')
    await lease.release()
    await asked
    await settled()
    expect([stopped.mock.calls.length, released.mock.calls.length]).toEqual([0, 0])
    const after = vi.fn<() => void>()
    lease.onRevoke(after)()
    expect(after).not.toHaveBeenCalled()
  })

  it('takes the wish away with the lease, and a wish that nobody heard of ends by itself', async () => {
    const lease = await acquireLease(holder, 'r', {})
    const deaf = await acquireLease(holder, 'deaf', {})
    lease.onRevoke(() => void lease.release())
    await requestRevocation(asker, 'r')
    await requestRevocation(asker, 'deaf')
    await settled()
    expect((await wishes()).length).toBe(1)
    await clock.advance(610_000)
    expect(await wishes()).toEqual([])
    deaf.assertHeld()
  })

  it('has one watch for all leases, and none when none is left', async () => {
    const listen = vi.spyOn(holder.records, 'listen')
    const leases = [await acquireLease(holder, 'a', {}), await acquireLease(holder, 'b', {})]
    for (const lease of leases) lease.onRevoke(() => {})
    expect(listen).toHaveBeenCalledOnce()
    await settled()
    const timers = clock.pendingTimers
    for (const lease of leases) await lease.release()
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBeLessThan(timers)
    expect(clock.pendingTimers).toBe(0)
  })

  it('refuses what is no function', async () => {
    const lease = await acquireLease(holder, 'r', {})
    expect(() => lease.onRevoke(undefined as unknown as () => void)).toThrow('Expected `listener` to be a function')
  })
})
