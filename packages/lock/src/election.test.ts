import type { Backend, Lease } from '@holdfast/core'
import { ClosedError, UnavailableError, UnsupportedError, unsupportedRecords } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type { Election, ElectionOptions, Leader } from './index.ts'
import { createLocks, leaseHandle } from './index.ts'

const TTL_MS = 3_000

let clock: SimulatedClock
let world: MemoryWorld

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
})

function candidate(id: string, options: ElectionOptions = {}, backend: Backend = memoryBackend({ world })): Election {
  return createLocks({ backend, ttlMs: TTL_MS }).election('crew', { id, ...options })
}

/** The ids of those who were seen to lead, in order; `-` = nobody. */
function watched(election: Election): string[] {
  const seen: string[] = []
  election.leader.subscribe(leader => seen.push(leader?.id ?? '-'))
  return seen
}

describe('A campaign', () => {
  it('gives the lease of the name, and the next candidate leads when it resigns, with a greater token', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    const first = await a.campaign()
    const waiting = b.campaign()
    await clock.advance(10)
    expect([first.resource, a.isLeader, b.isLeader]).toEqual(['crew', true, false])
    await a.resign()
    const second = await waiting
    expect([a.isLeader, b.isLeader, second.token > first.token]).toEqual([false, true, true])
    expect([a.leadership.current, b.leadership.current]).toEqual([undefined, second])
    await b.close()
  })

  it('gives the lease back where no term can be told, for it has no token', async () => {
    const backend = memoryBackend({ world })
    const { leases } = backend
    const unfenced = new Proxy(leases, {
      get: (store, key) => {
        if (key === 'grant')
          return async (...args: Parameters<typeof store.grant>) => ({
            ...(await store.grant(...args)),
            isUnfenced: true,
          })
        const value: unknown = Reflect.get(store, key)
        return typeof value === 'function' ? (value.bind(store) as unknown) : value
      },
    })
    const a = candidate('a', {}, { ...backend, leases: unfenced })
    expect(await failureOf(a.campaign())).toMatchObject({ code: 'HF_UNSUPPORTED' })
    expect([a.isLeader, (await a.inspect()).holders]).toEqual([false, []])
    await backend.close()
  })

  it('raises a guard for who leads already, and fails when that has seen a newer token', async () => {
    const a = candidate('a')
    const lease = await a.campaign()
    const raised: bigint[] = []
    expect(await a.campaign({ guard: { raise: async ({ token }) => void raised.push(token.value) } })).toBe(lease)
    expect(raised).toEqual([lease.token.value])
    const refusing = { raise: () => Promise.reject(new Error('newer')) }
    await expect(a.campaign({ guard: refusing })).rejects.toThrow('newer')
    expect(a.isLeader).toBe(true)
    await a.close()
  })

  it('may try only, or wait for a time', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.campaign()
    expect(await failureOf(b.campaign({ waitMs: 0 }))).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 0 })
    const failed = failureOf(b.campaign({ waitMs: 500 }))
    await clock.advance(500)
    expect(await failed).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 500 })
    await a.close()
  })

  it('inside of the term of another candidate of this process says so, and what to do', async () => {
    const backend = memoryBackend({ world })
    const locks = createLocks({ backend })
    await locks.election('crew').campaign()
    const message =
      '"crew" is held by this process itself, and the caller did not want to wait. Another candidate of it leads, or its mutex was ' +
      'taken: keep one `election` and campaign by that, which answers the term that it has.'
    expect(await failureOf(locks.election('crew').campaign({ waitMs: 0 }))).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      resource: 'crew',
      message,
    })
    await backend.close()
  })

  it('of who leads already answers with the lease that it has', async () => {
    const a = candidate('a')
    const lease = await a.campaign()
    expect([await a.campaign(), await a.campaign({ waitMs: 0 })]).toEqual([lease, lease])
    await a.close()
  })

  it('waits for another one of the same candidate, and then shares its lease', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    await b.campaign()
    const both = [a.campaign(), a.campaign({ waitMs: 1_000 })]
    const none = failureOf(a.campaign({ waitMs: 0 }))
    const late = failureOf(a.campaign({ waitMs: 20 }))
    await clock.advance(50)
    const inTurn = 'campaigned for by another call to the same candidate'
    expect(await none).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      waitMs: 0,
      message: `"crew" is ${inTurn}, and the caller did not want to wait.`,
    })
    expect(await late).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      waitMs: 20,
      message: `"crew" was still ${inTurn} after waiting 20 ms.`,
    })
    await b.resign()
    const [first, second] = await Promise.all(both)
    expect(first).toBe(second)
    await a.close()
  })

  it('ends with its signal, and leaves nothing', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.campaign()
    const abort = new AbortController()
    const failed = failureOf(b.campaign({ signal: abort.signal }))
    await clock.advance(10)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await failed).toBe(reason)
    await a.resign()
    expect(world.resources()).toEqual([])
  })

  it('and the mutex of the name keep each other out', async () => {
    const backend = memoryBackend({ world })
    const locks = createLocks({ backend })
    const a = candidate('a', { meta: { host: 'h' } })
    await a.campaign()
    expect(await locks.tryAcquire('crew')).toBeUndefined()
    expect((await a.inspect()).holder?.meta).toEqual({ host: 'h' })
    await a.close()
    await using _lock = await locks.acquire('crew')
    expect(await failureOf(candidate('b').campaign({ waitMs: 0 }))).toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
  })

  it('takes another lease after the one before was released by hand', async () => {
    const a = candidate('a')
    const first = await a.campaign()
    await first.release()
    expect([a.isLeader, a.leadership.current]).toEqual([false, undefined])
    const second = await a.campaign()
    expect(second.token > first.token).toBe(true)
    await a.close()
  })

  it.each([
    [{ ttlMs: 5 }, 'ttlMs'],
    [{ value: 'x'.repeat(8_193) }, 'value'],
    [{ value: 5 }, 'value'],
    [{ resume: 5 }, 'resume'],
    [{ within: 5 }, 'within'],
    [{ meta: { a: 1 } }, 'meta.a'],
  ])('refuses %o', async (options, argument) => {
    const failure = await failureOf(candidate('a').campaign(options as never))
    expect(failure).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument })
  })

  it.each([
    ['crew', { id: '' }, 'id'],
    ['crew', { ttl: 5 }, 'ttl'],
    ['x'.repeat(181), {}, 'name'],
    ['', {}, 'name'],
    ['crew', { value: 7 }, 'value'],
  ])('of an election %s %o is refused when that is made', (name, options, argument) => {
    const locks = createLocks({ backend: memoryBackend({ world }) })
    expect(() => locks.election(name, options as never)).toThrow(
      expect.objectContaining({ code: 'HF_INVALID_ARGUMENT', argument }),
    )
  })
})

describe('Observers', () => {
  it('see who leads, with token, meta and value, also without being a candidate', async () => {
    const observer = candidate('observer')
    const seen = watched(observer)
    const a = candidate('a', { meta: { host: 'h' }, value: 'http://a' })
    const lease = await a.campaign()
    await clock.advance(10)
    const leader = observer.leader.current as Leader
    expect([leader.id, leader.token.value, leader.meta, leader.value]).toEqual([
      'a',
      lease.token.value,
      { host: 'h' },
      'http://a',
    ])
    await a.resign()
    await clock.advance(10)
    const b = candidate('b')
    await b.campaign()
    await clock.advance(10)
    expect(seen).toEqual(['a', '-', 'b'])
    await b.close()
    await observer.close()
    await clock.advance(1_000)
    expect([world.directories.leftovers('election:crew'), clock.pendingTimers]).toEqual([[], 0])
  })

  it('hear what the leader proclaims, and so does who asks', async () => {
    const [a, observer] = [candidate('a', { value: 'one' }), candidate('observer')]
    await a.campaign()
    const seen: (string | undefined)[] = []
    observer.leader.subscribe(leader => seen.push(leader?.value), { initial: true })
    await clock.advance(10)
    a.proclaim('two')
    await clock.advance(10)
    expect((await observer.findLeader())?.value).toBe('two')
    await a.resign()
    await a.campaign()
    await clock.advance(10)
    expect((await observer.findLeader())?.value).toBe('two')
    expect(seen).toEqual([undefined, 'one', 'two', undefined, 'two'])
    await a.close()
    await observer.close()
  })

  it('go by the greatest token while a former leader is still announced', async () => {
    const observer = candidate('observer')
    const seen = watched(observer)
    const former = memoryBackend({ world })
    await former.records.join({
      directory: 'election:crew',
      id: 'old',
      owner: 'old',
      value: new TextEncoder().encode(JSON.stringify({ id: 'old', token: '0', meta: {} })),
      ttlMs: TTL_MS,
    })
    await clock.advance(10)
    const b = candidate('b')
    await b.campaign()
    await clock.advance(TTL_MS * 2)
    expect(seen).toEqual(['old', 'b'])
    await b.close()
    await observer.close()
  })

  it('read the leader of now and then each change, until they stop', async () => {
    const observer = candidate('observer')
    const seen: string[] = []
    const stop = new AbortController()
    const reading = (async () => {
      for await (const leader of observer.observe(stop.signal)) seen.push(leader?.id ?? '-')
    })()
    await clock.advance(10)
    const a = candidate('a')
    await a.campaign()
    await clock.advance(10)
    await a.resign()
    await clock.advance(10)
    expect(seen).toEqual(['-', 'a', '-'])
    stop.abort()
    await reading
    await observer.close()
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('stop reading when the election, or its backend, is closed', async () => {
    for (const close of [(e: Election) => e.close(), (_: Election, backend: Backend) => backend.close()]) {
      const backend = memoryBackend({ world })
      const observer = candidate('observer', {}, backend)
      const reading = (async () => {
        let count = 0
        for await (const _leader of observer.observe()) count += 1
        return count
      })()
      await clock.advance(10)
      await close(observer, backend)
      expect(await reading).toBe(1)
    }
    expect(clock.pendingTimers).toBe(0)
  })

  it('take what is no record of a leader for nothing', async () => {
    const backend = memoryBackend({ world })
    const record = { directory: 'election:crew', owner: 'x', ttlMs: TTL_MS }
    await backend.records.join({ ...record, id: 'a', value: new TextEncoder().encode('{') })
    await backend.records.join({ ...record, id: 'b', value: new TextEncoder().encode('{"id":"b","token":"x"}') })
    expect(await candidate('observer').findLeader()).toBeUndefined()
    await clock.advance(TTL_MS)
  })

  it('are refused where a backend has no records, and candidates are not', async () => {
    const backend = { ...memoryBackend({ world }), records: unsupportedRecords('quorum') }
    const a = candidate('a', {}, backend)
    await a.campaign()
    expect(a.isLeader).toBe(true)
    expect(() => a.leader).toThrow(UnsupportedError)
    await a.close()
  })
})

describe('Leadership that is lost', () => {
  it('is told by the lease at its deadline, and the candidate stops being announced', async () => {
    const store = new ScriptedLeaseStore(clock)
    store.answers.renew = () => Promise.reject(new UnavailableError('no answer'))
    const backend = scriptedBackend(store)
    const a = createLocks({ backend, ttlMs: TTL_MS }).election('crew')
    const lease = await a.campaign()
    const terms: (Lease | undefined)[] = []
    a.leadership.subscribe(term => terms.push(term))
    await clock.advance(TTL_MS)
    expect([lease.signal.aborted, a.isLeader, terms]).toEqual([true, false, [undefined]])
    await a.close()
  })
})

describe('run', () => {
  it('settles as its work does, and has given the leadership back by then', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    expect(await a.run(lease => lease.resource)).toBe('crew')
    expect(await failureOf(a.run(() => Promise.reject(new Error('broken'))))).toMatchObject({ message: 'broken' })
    expect((await b.campaign({ waitMs: 0 })).remainingMs()).toBeGreaterThan(0)
    await b.close()
  })

  it('campaigns again when the leadership was lost, and the work ended by that', async () => {
    const store = new ScriptedLeaseStore(clock)
    const a = createLocks({ backend: scriptedBackend(store), ttlMs: TTL_MS }).election('crew')
    const tokens: bigint[] = []
    const running = a.run(async (lease, signal) => {
      tokens.push(lease.token.value)
      if (tokens.length === 3) return 'done'
      if (tokens.length === 1) store.answers.renew = () => Promise.reject(new UnavailableError('no answer'))
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      return 'never'
    })
    await clock.advance(TTL_MS * 2 + 1_000)
    expect(await running).toBe('done')
    expect(tokens).toHaveLength(3)
  })

  it('does not hide what the work throws of its own after the loss', async () => {
    const store = new ScriptedLeaseStore(clock)
    store.answers.renew = () => Promise.reject(new UnavailableError('no answer'))
    const a = createLocks({ backend: scriptedBackend(store), ttlMs: TTL_MS }).election('crew')
    const failed = failureOf(
      a.run(async (_lease, signal) => {
        await new Promise(resolve => signal.addEventListener('abort', resolve))
        throw new Error('a defect')
      }),
    )
    await clock.advance(TTL_MS)
    expect(await failed).toMatchObject({ message: 'a defect' })
  })

  it('campaigns again while the store does not answer, ever less often', async () => {
    const store = new ScriptedLeaseStore(clock)
    const { grant } = store.answers
    store.answers.grant = () => Promise.reject(new UnavailableError('no answer'))
    const a = createLocks({ backend: scriptedBackend(store) }).election('crew')
    const running = a.run(() => 'done')
    await clock.advance(60_000)
    const asked = store.asked.length
    expect(asked).toBeGreaterThan(8)
    expect(asked).toBeLessThan(60)
    store.answers.grant = grant
    await clock.advance(10_000)
    expect(await running).toBe('done')
  })

  it('passes on what no other try can mend', async () => {
    const a = candidate('a')
    await a.close()
    expect(await failureOf(a.run(() => 1))).toBeInstanceOf(ClosedError)
    expect(await failureOf(candidate('b').run('work' as never))).toMatchObject({ argument: 'work' })
    expect(await failureOf(candidate('b').run(() => 1, { requeue: 'yes' as never }))).toMatchObject({
      argument: 'requeue',
    })
  })

  it('with `requeue` lets the others lead in between, until its signal aborts', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    const order: string[] = []
    const stop = new AbortController()
    const run = (election: Election): Promise<unknown> =>
      failureOf(
        election.run(
          async () => {
            order.push(election.id)
            await new Promise<void>(resolve => void clock.setTimer(resolve, 10))
          },
          { requeue: true, signal: stop.signal },
        ),
      )
    const both = Promise.all([run(a), run(b)])
    await clock.advance(45)
    stop.abort(new Error('shutdown'))
    await clock.advance(10)
    expect(await both).toEqual([new Error('shutdown'), new Error('shutdown')])
    expect(order.slice(0, 4)).toEqual(['a', 'b', 'a', 'b'])
    expect(world.resources()).toEqual([])
  })

  it('with `requeue` lets the process do all else, though its work does nothing', async () => {
    const stop = new AbortController()
    setImmediate(() => stop.abort(new Error('shutdown')))
    let terms = 0
    const work = (): void => {
      terms += 1
      if (terms > 10_000) throw new Error('Nothing else ran.')
    }
    const running = candidate('a', {}, memoryBackend()).run(work, { requeue: true, signal: stop.signal })
    await expect(running).rejects.toThrow('shutdown')
  })

  it.each(['resign', 'close'] as const)(
    'tells work of a %s under it, so that it does not work beside the next',
    async how => {
      const [a, b] = [candidate('a'), candidate('b')]
      const reasons: unknown[] = []
      const running = a.run(async (_lease, signal) => {
        if (reasons.length > 0) return 'again'
        await new Promise(resolve => signal.addEventListener('abort', resolve))
        reasons.push(signal.reason)
        return 'stopped'
      })
      const ended = running.catch((error: unknown) => error)
      await clock.advance(10)
      const next = b.campaign()
      await a[how]()
      expect(reasons).toMatchObject([{ code: 'HF_LEASE_LOST', reason: 'released' }])
      await (await next).release()
      await clock.advance(1_000)
      const outcome = await ended
      expect(how === 'resign' ? outcome === 'again' : outcome instanceof ClosedError).toBe(true)
    },
  )

  it('says of work that comes after the options that it comes before them', async () => {
    const swapped = { requeue: true } as unknown as () => void
    const failure = await failureOf(candidate('a').run(swapped, (() => {}) as never))
    expect(failure).toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: 'Expected `work` to be a function, got an object: it comes before the options.',
    })
  })

  it('does not abort the signal of work that has ended by itself', async () => {
    const a = candidate('a')
    expect((await a.run((_lease, signal) => signal)).aborted).toBe(false)
  })

  it('tells work that its caller wants it to end, and keeps the leadership until it has', async () => {
    const a = candidate('a')
    const stop = new AbortController()
    const running = a.run(
      async (lease, signal) => {
        await new Promise(resolve => signal.addEventListener('abort', resolve))
        return { reason: signal.reason as unknown, isHeld: lease.remainingMs() > 0 }
      },
      { signal: stop.signal },
    )
    await clock.advance(10)
    stop.abort('shutdown')
    expect(await running).toEqual({ reason: 'shutdown', isHeld: true })
    expect(a.isLeader).toBe(false)
  })
})

describe('A leadership that is resumed after a restart', () => {
  it('is the same, with the same token, and does not wait for its own TTL', async () => {
    const before = candidate('a')
    const lease = await before.campaign()
    const handle = leaseHandle(lease)
    const [waiting, after] = [candidate('b'), candidate('a')]
    const next = waiting.campaign()
    await clock.advance(TTL_MS / 2)
    const resumed = await after.campaign({ resume: handle, waitMs: 0 })
    expect([resumed.token.value, after.isLeader]).toEqual([lease.token.value, true])
    expect(resumed.remainingMs()).toBeGreaterThan(TTL_MS * 0.9)
    await clock.advance(10)
    expect((await waiting.findLeader())?.token.value).toBe(lease.token.value)
    await after.resign()
    expect((await next).token > lease.token).toBe(true)
    await waiting.close()
  })

  it('is campaigned for anew when another leads by now', async () => {
    const before = candidate('a')
    const handle = leaseHandle(await before.campaign())
    await before.resign()
    const [other, after] = [candidate('b'), candidate('a')]
    await other.campaign()
    expect(await failureOf(after.campaign({ resume: handle, waitMs: 0 }))).toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    await other.resign()
    expect((await after.campaign({ resume: handle })).remainingMs()).toBeGreaterThan(0)
    await after.close()
  })

  it('of another election is refused', async () => {
    const lease = await createLocks({ backend: memoryBackend({ world }) })
      .election('others')
      .campaign()
    const failure = await failureOf(candidate('a').campaign({ resume: leaseHandle(lease) }))
    expect(failure).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'handle' })
    await lease.release()
  })
})

describe('An election that is closed', () => {
  it('resigns, ends its campaigns, and can be used no more', async () => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.campaign()
    const waiting = failureOf(b.campaign())
    await clock.advance(10)
    await b.close()
    expect(await waiting).toBeInstanceOf(ClosedError)
    await a.close()
    await a.close()
    expect(world.resources()).toEqual([])
    expect(await failureOf(a.campaign())).toBeInstanceOf(ClosedError)
    expect(() => a.leader).toThrow(ClosedError)
  })

  it('gives back what is granted while it is being closed, at whatever step', async () => {
    for (let steps = 0; steps < 30; steps += 1) {
      const holder = await createLocks({ backend: memoryBackend({ world }) }).acquire('crew')
      const a = candidate('a')
      const waiting = a.campaign().catch((error: unknown) => error)
      await clock.advance(1)
      void holder.release()
      for (let step = 0; step < steps; step += 1) await Promise.resolve()
      await a.close()
      await waiting
      expect([steps, a.isLeader, world.resources()]).toEqual([steps, false, []])
    }
  })

  it('is what leaving its scope does', async () => {
    {
      await using a = candidate('a')
      await a.campaign()
    }
    expect(world.resources()).toEqual([])
  })
})
