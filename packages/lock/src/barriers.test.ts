import type { Backend, BackendHealth, RecordStore } from '@holdfast/core'
import { ConflictError, LiveValue, UnknownOutcomeError } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend
let locks: Locks

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
  locks = createLocks({ backend })
})

function altered(changes: (store: RecordStore) => Partial<RecordStore>): Backend {
  const fresh = memoryBackend({ world })
  const changed = changes(fresh.records) as Readonly<Record<string | symbol, unknown>>
  const records = new Proxy(fresh.records, {
    get(store, name) {
      const value: unknown = changed[name] ?? Reflect.get(store, name)
      return typeof value === 'function' ? (value.bind(store) as unknown) : value
    },
  })
  return { ...fresh, records }
}

describe('A barrier', () => {
  it('stops who comes while it is shut, and lets everybody on once it is opened', async () => {
    const gate = locks.barrier('gate')
    await gate.shut()
    const waiting = Promise.all([
      gate.wait(),
      createLocks({ backend: memoryBackend({ world }) })
        .barrier('gate')
        .wait(),
    ])
    await clock.advance(1_000)
    expect(await gate.isShut()).toBe(true)
    await gate.open()
    await clock.advance(0)
    await waiting
    await gate.wait({ waitMs: 0 })
  })

  it('says so when it was shut for all of `waitMs`', async () => {
    const gate = locks.barrier('gate')
    await gate.shut()
    const failed = failureOf(gate.wait({ waitMs: 500 }))
    await clock.advance(500)
    expect(await failed).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      resource: 'gate',
      waitMs: 500,
      message: 'The barrier "gate" was still shut after waiting 500 ms.',
    })
    expect(await failureOf(gate.wait({ waitMs: 0 }))).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 0 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('says so when the store never answered, and why, where the backend knows', async () => {
    const silent = altered(() => ({ read: () => new Promise(() => {}) }))
    const cause = new Error('connect ECONNREFUSED 127.0.0.1:6379')
    const health = new LiveValue<BackendHealth>({ kind: 'suspended', cause })
    const gate = createLocks({ backend: { ...silent, health } }).barrier('gate')
    const failed = failureOf(gate.wait({ waitMs: 300 }))
    await clock.advance(300)
    expect(await failed).toMatchObject({
      cause,
      message:
        'The memory backend did not answer for "gate" within the 300 ms of `waitMs`: connect ECONNREFUSED 127.0.0.1:6379.',
    })
  })

  it('says so when the store never answered, which is another thing', async () => {
    const gate = createLocks({ backend: altered(() => ({ read: () => new Promise(() => {}) })) }).barrier('gate')
    for (const waitMs of [0, 500]) {
      const failed = failureOf(gate.wait({ waitMs }))
      await clock.advance(5_000)
      expect(await failed).toMatchObject({ code: 'HF_UNAVAILABLE' })
    }
  })

  it('rejects a wait with the reason of its signal', async () => {
    const gate = locks.barrier('gate')
    await gate.shut()
    const abort = new AbortController()
    const failed = [
      failureOf(gate.wait({ signal: abort.signal })),
      failureOf(gate.wait({ signal: abort.signal, waitMs: 9_000 })),
    ]
    await clock.advance(10)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await Promise.all(failed)).toEqual([reason, reason])
  })

  it('refuses bad input at once', async () => {
    expect(() => locks.barrier('x'.repeat(181))).toThrow(expect.objectContaining({ argument: 'name' }))
    const gate = locks.barrier('gate')
    expect(await failureOf(gate.wait({ waitMs: -1 }))).toMatchObject({ argument: 'waitMs' })
    expect(await failureOf(gate.wait({ timeoutMs: 1 } as never))).toMatchObject({ argument: 'timeoutMs' })
    expect(await failureOf(gate.shut({ signal: 1 as never }))).toMatchObject({ argument: 'signal' })
    expect(await failureOf(gate.open({ waitMs: 1 } as never))).toMatchObject({ argument: 'waitMs' })
    expect(await failureOf(gate.isShut({ waitMs: 1 } as never))).toMatchObject({ argument: 'waitMs' })
  })
})

describe('A double barrier', () => {
  it('lets all parties in together, and out together', async () => {
    const [a, b] = [locks.doubleBarrier('job', { parties: 2 }), locks.doubleBarrier('job', { parties: 2 })]
    const order: string[] = []
    const first = a.enter().then(() => order.push('a in'))
    await clock.advance(10)
    order.push('b comes')
    await Promise.all([first, b.enter()])
    const left = a.leave().then(() => order.push('a out'))
    await clock.advance(10)
    order.push('b goes')
    await Promise.all([left, b.leave()])
    expect(order).toEqual(['b comes', 'a in', 'b goes', 'a out'])
    await clock.advance(10)
    expect(clock.pendingTimers).toBe(0)
  })

  it('is left within `waitMs`, also when the store has ceased to answer', async () => {
    let isSilent = false
    const silent = altered(store => ({
      read: (what, signal) => {
        if (!isSilent) return store.read(what, signal)
        return new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error)),
        )
      },
      leave: (...args) => (isSilent ? new Promise(() => {}) : store.leave(...args)),
    }))
    for (const how of ['waitMs', 'signal'] as const) {
      isSilent = false
      // One each: whoever comes again waits until the store has heard that the one before left.
      const party = createLocks({ backend: silent }).doubleBarrier(how, { parties: 1 })
      await party.enter()
      isSilent = true
      const abort = new AbortController()
      const failed = failureOf(party.leave(how === 'waitMs' ? { waitMs: 500 } : { signal: abort.signal }))
      await clock.advance(500)
      abort.abort(new Error('enough'))
      expect(await failed).toMatchObject(how === 'waitMs' ? { code: 'HF_UNAVAILABLE' } : { message: 'enough' })
    }
  })

  it('says so when too few came, and whoever gave up may come again', async () => {
    const [a, b] = [locks.doubleBarrier('job', { parties: 2 }), locks.doubleBarrier('job', { parties: 2 })]
    const failed = failureOf(a.enter({ waitMs: 500 }))
    await clock.advance(500)
    expect(await failed).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      message: 'Fewer than 2 parties were still in the double barrier "job" after waiting 500 ms.',
    })
    expect(await failureOf(b.enter({ waitMs: 0 }))).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 0 })
    await Promise.all([a.enter(), b.enter()])
    expect(await failureOf(a.leave({ waitMs: 0 }))).toMatchObject({
      message: 'Other parties were still in the double barrier "job" after waiting 0 ms.',
    })
    await b.leave({ waitMs: 0 })
  })

  it('refuses a party that is in already, or is not', async () => {
    const a = locks.doubleBarrier('job', { parties: 1 })
    expect(await failureOf(a.leave())).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'leave' })
    const entered = a.enter()
    expect(await failureOf(a.enter())).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'enter' })
    await entered
    expect(await failureOf(a.enter())).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'enter' })
    await a.leave()
    await a.enter()
    await a.leave()
  })

  it('no longer counts a party whose process died inside', async () => {
    const dying = memoryBackend({ world })
    const a = createLocks({ backend: dying }).doubleBarrier('job', { parties: 2, ttlMs: 3_000 })
    const b = locks.doubleBarrier('job', { parties: 2, ttlMs: 3_000 })
    await Promise.all([a.enter(), b.enter()])
    // Its beats reach nobody any more.
    Object.assign(dying.records, { beat: () => new Promise(() => {}) })
    const left = b.leave({ waitMs: 10_000 })
    await clock.advance(6_100)
    await expect(left).resolves.toBeUndefined()
  })

  it.each([
    [{}, 'parties'],
    [{ parties: 0 }, 'parties'],
    [{ parties: 1_001 }, 'parties'],
    [{ parties: 1.5 }, 'parties'],
    [{ parties: 2, ttlMs: 5 }, 'ttlMs'],
    [{ parties: 2, count: 5 }, 'count'],
    [undefined, 'options'],
  ])('with %o is refused', (options, argument) => {
    expect(() => locks.doubleBarrier('job', options as never)).toThrow(
      expect.objectContaining({ code: 'HF_INVALID_ARGUMENT', argument }),
    )
  })
})

describe('A latch', () => {
  it('counts down to zero and no further, and then lets everybody on', async () => {
    const latch = locks.latch('parts', { count: 3 })
    const waiting = createLocks({ backend: memoryBackend({ world }) })
      .latch('parts', { count: 3 })
      .wait()
    expect([await latch.countDown(), await latch.countDown()]).toEqual([2, 1])
    await clock.advance(10)
    expect(await failureOf(latch.wait({ waitMs: 0 }))).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      message: 'The latch "parts" was still not at zero after waiting 0 ms.',
    })
    expect([await latch.countDown(), await latch.countDown()]).toEqual([0, 0])
    await clock.advance(0)
    await waiting
    await latch.wait()
    expect(clock.pendingTimers).toBe(0)
  })

  it('counts each id once', async () => {
    const latch = locks.latch('parts', { count: 2 })
    expect([await latch.countDown({ id: 'a' }), await latch.countDown({ id: 'a' })]).toEqual([1, 1])
    expect(await latch.inspect()).toEqual({ count: 2, remaining: 1, counted: ['a'] })
    expect(await latch.countDown({ id: 'b' })).toBe(0)
  })

  it('counts a step once whose answer was lost', async () => {
    let isLost = true
    const lossy = altered(store => ({
      commit: async commit => {
        const outcome = await store.commit(commit)
        if (!isLost) return outcome
        isLost = false
        throw new UnknownOutcomeError('The answer was lost.')
      },
    }))
    const latch = createLocks({ backend: lossy }).latch('parts', { count: 2 })
    const counted = latch.countDown()
    await clock.advance(100)
    expect(await counted).toBe(1)
  })

  it('lets who waits on although it is reset at once, and starts again', async () => {
    const latch = locks.latch('parts', { count: 1 })
    const waiting = latch.wait()
    await clock.advance(10)
    await latch.countDown().then(() => latch.reset())
    await clock.advance(10)
    await waiting
    expect(await latch.inspect()).toEqual({ count: 1, remaining: 1, counted: [] })
    const next = latch.wait()
    await latch.countDown()
    await clock.advance(10)
    await next
  })

  it('of another count is refused, and a reset can change it', async () => {
    await locks.latch('parts', { count: 2 }).countDown()
    const other = locks.latch('parts', { count: 3 })
    const refusal = {
      code: 'HF_INVALID_ARGUMENT',
      argument: 'count',
      message: 'Expected `count` to be 2, which the latch "parts" has, got 3.',
    }
    expect(await failureOf(other.countDown())).toMatchObject(refusal)
    expect(await failureOf(other.wait())).toMatchObject(refusal)
    await other.reset()
    expect(await other.countDown()).toBe(2)
  })

  it('waits on when the store lost it, and counts from the start', async () => {
    const latch = locks.latch('parts', { count: 1 })
    await latch.countDown()
    await latch.reset()
    const waiting = latch.wait()
    await clock.advance(10)
    world.directories.lose('latch:parts')
    await clock.advance(6_000)
    expect(await latch.countDown()).toBe(0)
    await clock.advance(10)
    await expect(waiting).resolves.toBeUndefined()
  })

  it.each([
    [{}, 'count'],
    [{ count: 0 }, 'count'],
    [{ count: 1_001 }, 'count'],
    [{ count: 2, parties: 1 }, 'parties'],
  ])('with %o is refused', (options, argument) => {
    expect(() => locks.latch('parts', options as never)).toThrow(
      expect.objectContaining({ code: 'HF_INVALID_ARGUMENT', argument }),
    )
  })

  it('and a double barrier say what they have to be given, where nothing was', () => {
    const latch = locks.latch as (name: string, options?: unknown) => unknown
    const doubleBarrier = locks.doubleBarrier as (name: string, options?: unknown) => unknown
    expect(() => latch('parts')).toThrow('Expected latch to be given `{ count }`, got undefined.')
    expect(() => latch('parts', 5)).toThrow('Expected latch to be given `{ count }`, got 5.')
    expect(() => doubleBarrier('job')).toThrow('Expected doubleBarrier to be given `{ parties }`, got undefined.')
    expect(() => doubleBarrier('job', null)).toThrow('Expected doubleBarrier to be given `{ parties }`, got null.')
  })

  it('refuses bad steps at once, and a record that is none of its own', async () => {
    const latch = locks.latch('parts', { count: 2 })
    expect(await failureOf(latch.countDown({ id: '' }))).toMatchObject({ argument: 'id' })
    expect(await failureOf(latch.countDown({ by: 2 } as never))).toMatchObject({ argument: 'by' })
    for (const text of ['{', 'null', '7', '[]', '{}', '{"count":2,"remaining":1,"openings":0,"counted":"a"}']) {
      const change = { kind: 'put', id: 'state', value: new TextEncoder().encode(text) } as const
      await backend.records.commit({ directory: 'latch:parts', commitId: text, changes: [change] })
      const failure = await failureOf(latch.countDown())
      expect(failure).toMatchObject({ code: 'HF_REFUSED' })
      expect(failure).not.toBeInstanceOf(ConflictError)
    }
  })
})
