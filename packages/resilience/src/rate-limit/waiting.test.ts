import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { CallOptions } from '../call.ts'
import type { RateLimit } from './rate-limit.ts'
import { rateLimit } from './rate-limit.ts'
import { scriptedBackend } from './scripted-rates.fixture.ts'

let clock: SimulatedClock
let log: string[]

beforeEach(() => {
  clock = new SimulatedClock()
  log = []
})

/** Runs a call that notes when it was let in, or why not. */
function call(policy: RateLimit, name: string, options: CallOptions = {}): Promise<void> {
  return policy
    .execute(() => name, options)
    .then(
      () => void log.push(`${name} in at ${clock.monotonicMs() - 1_000}`),
      (error: unknown) => void log.push(`${name}: ${(error as Error).message} at ${clock.monotonicMs() - 1_000}`),
    )
}

const REFUSED = 'Refused by rateLimit "rateLimit": its quota is used up.'

describe('a rate limit that lets calls wait', () => {
  it('serves them in their order, each at its time, and refuses at once whose turn would come too late', async () => {
    const policy = rateLimit({ limit: 10, burst: 1, waitMs: 250, clock })
    await call(policy, 'a')
    for (const name of ['b', 'c', 'd']) void call(policy, name)
    await clock.advance(0)
    expect(log).toEqual(['a in at 0', `d: ${REFUSED} at 0`])
    expect(policy.describe().state['waiting']).toBe(2)
    await clock.advance(1_000)
    expect(log.slice(2)).toEqual(['b in at 100', 'c in at 200'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('lets nobody overtake who waits, though what he wants is there', async () => {
    const policy = rateLimit({ limit: 10, burst: 4, waitMs: 1_000, clock })
    void call(policy, 'a', { cost: 3 })
    void call(policy, 'big', { cost: 4 })
    void call(policy, 'small', { cost: 1 })
    await clock.advance(1_000)
    expect(log).toEqual(['a in at 0', 'big in at 300', 'small in at 400'])
  })

  it('ends the wait of a call that is aborted, and those behind it move up', async () => {
    const policy = rateLimit({ limit: 10, burst: 5, waitMs: 1_000, clock })
    const controller = new AbortController()
    void call(policy, 'a', { cost: 5 })
    void call(policy, 'b', { cost: 5, signal: controller.signal })
    void call(policy, 'c')
    await clock.advance(50)
    controller.abort(new Error('gone'))
    await clock.advance(1_000)
    expect(log).toEqual(['a in at 0', 'b: gone at 50', 'c in at 100'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('refuses at once a call whose deadline is before its turn', async () => {
    const policy = rateLimit({ limit: 10, burst: 1, waitMs: 1_000, clock })
    await call(policy, 'a')
    void call(policy, 'b', { timeoutMs: 99 })
    void call(policy, 'c', { timeoutMs: 100 })
    await clock.advance(200)
    expect(log).toEqual(['a in at 0', `b: ${REFUSED} at 0`, 'c in at 100'])
  })

  it('keeps lines of keys apart, and has no more waiters than it may', async () => {
    const policy = rateLimit({ limit: 10, burst: 1, perKey: true, waitMs: 1_000, waitersMax: 2, clock })
    for (const key of ['x', 'y']) await call(policy, `${key}1`, { key })
    for (const key of ['x', 'y', 'x']) void call(policy, `${key}2`, { key })
    await clock.advance(150)
    expect(log).toEqual(['x1 in at 0', 'y1 in at 0', `x2: ${REFUSED} at 0`, 'x2 in at 100', 'y2 in at 100'])
  })

  it('lets those who wait in sooner when the limit is raised', async () => {
    const limit = new LiveValue(1)
    const policy = rateLimit({ limit, burst: 1, waitMs: 2_000, clock })
    void call(policy, 'a')
    void call(policy, 'b')
    await clock.advance(500)
    limit.set(10)
    await clock.advance(2_000)
    expect(log).toEqual(['a in at 0', 'b in at 550'])
  })

  it('waits for permits of a store as well', async () => {
    const { backend, rates } = scriptedBackend(clock)
    const policy = rateLimit({ name: 'rateLimit', limit: 10, burst: 1, waitMs: 500, backend, instances: 1, clock })
    rates.weather = { kind: 'fair', delayMs: 10 }
    void call(policy, 'a')
    await clock.advance(10)
    void call(policy, 'b')
    void call(policy, 'c')
    await clock.advance(500)
    expect(log).toEqual([
      'a in at 10',
      expect.stringMatching(/^b in at 1[12]\d$/),
      expect.stringMatching(/^c in at 2[23]\d$/),
    ])
  })

  it('gives back a permit of the store that comes for a call that is gone', async () => {
    const { backend, rates } = scriptedBackend(clock)
    const policy = rateLimit({ name: 'rateLimit', limit: 10, burst: 1, waitMs: 500, backend, instances: 1, clock })
    await call(policy, 'a')
    const controller = new AbortController()
    void call(policy, 'b', { signal: controller.signal })
    await clock.advance(0)
    rates.weather = { kind: 'fair', delayMs: 10 }
    await clock.advance(105)
    controller.abort(new Error('gone'))
    await clock.advance(100)
    expect(log).toEqual(['a in at 0', 'b: gone at 105'])
    expect(rates.givenBack).toEqual([{ key: 'rateLimit', count: 1 }])
    expect(clock.holdingTimers).toBe(0)
  })

  it('lets no call wait that is gone when the store has refused it', async () => {
    const { backend, rates } = scriptedBackend(clock)
    const policy = rateLimit({ name: 'rateLimit', limit: 10, burst: 1, waitMs: 500, backend, instances: 1, clock })
    await call(policy, 'a')
    rates.weather = { kind: 'fair', delayMs: 10 }
    const controller = new AbortController()
    void call(policy, 'b', { signal: controller.signal })
    await clock.advance(5)
    controller.abort(new Error('gone'))
    await clock.advance(5)
    expect(log).toEqual(['a in at 0', 'b: gone at 5'])
    expect(policy.describe().state['waiting']).toBe(0)
  })

  it('takes a call into a line whose last one has gone while the store was asked for him', async () => {
    const { backend, rates } = scriptedBackend(clock)
    const policy = rateLimit({ name: 'rateLimit', limit: 10, burst: 1, waitMs: 500, backend, instances: 1, clock })
    await call(policy, 'a')
    const controller = new AbortController()
    void call(policy, 'b', { signal: controller.signal })
    await clock.advance(0)
    rates.weather = { kind: 'fair', delayMs: 10 }
    await clock.advance(105)
    controller.abort(new Error('gone'))
    void call(policy, 'c')
    await clock.advance(500)
    expect(log).toEqual(['a in at 0', 'b: gone at 105', 'c in at 120'])
    expect(policy.describe().state['waiting']).toBe(0)
  })
})
