import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rejected, TimeoutError } from '../errors.ts'
import type { RejectedError, RejectionReason } from '../errors.ts'
import { pipeline, policyOf } from '../pipeline.ts'
import type { Gate } from '../stage.ts'
import type { AdaptiveLimit } from './adaptive-limit.ts'
import { adaptiveLimit } from './adaptive-limit.ts'
import type { AdaptiveLimitOptions } from './adaptive-options.ts'

function setUp(options: AdaptiveLimitOptions = {}): { readonly clock: SimulatedClock; readonly limit: AdaptiveLimit } {
  const clock = new SimulatedClock()
  return { clock, limit: adaptiveLimit({ ...options, clock }) }
}

/** Calls that end together, after `ms`, as `end` says. */
async function together(
  { clock, limit }: { readonly clock: SimulatedClock; readonly limit: AdaptiveLimit },
  count: number,
  ms: number,
  end: () => unknown = () => 'done',
): Promise<PromiseSettledResult<unknown>[]> {
  const calls = Array.from({ length: count }, () =>
    limit.execute(async () => {
      await new Promise<void>(resolve => void clock.setTimer(resolve, ms))
      return end()
    }),
  )
  const settled = Promise.allSettled(calls)
  await clock.advance(ms)
  return settled
}

function refusal(reason: RejectionReason): RejectedError {
  return rejected({ policy: 'inner', rule: 'inner', ruleVersion: 1, reason })
}

function throwing(error: unknown): () => never {
  return () => {
    throw error
  }
}

describe('adaptiveLimit', () => {
  it('lets in as many as its limit, and refuses the next at once, with the limit and the calls in flight', async () => {
    const { clock, limit } = setUp({ limitStart: 3, name: 'prices' })
    const results = await together({ clock, limit }, 4, 10)
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    const refused = results[3] as { readonly reason: RejectedError }
    expect(refused.reason.rejection).toEqual({
      policy: 'adaptiveLimit',
      rule: 'prices',
      ruleVersion: 1,
      reason: 'concurrency-limit',
      limit: 3,
      inFlight: 3,
    })
    expect(limit.inFlight).toBe(0)
  })

  it('stays where it is while there are too few calls to tell', async () => {
    const world = setUp({ limitStart: 10 })
    for (let count = 0; count < 9; count++) await together(world, 1, 100, throwing(new TimeoutError(100, 'timeout')))
    expect(world.limit.limit).toBe(10)
    expect(world.limit.describe().state).toEqual({ limit: 10, inFlight: 0, baseMs: undefined, lastWindow: undefined })
  })

  it('refuses none of the first calls after a rest, however long an overload was before', async () => {
    const world = setUp({ limitStart: 20, limitMax: 20 })
    // A fifth is refused for two seconds, and the last window is under way when calls stop.
    for (let round = 0; round < 200; round++) await together(world, 25, 10)
    await world.clock.advance(3_600_000)
    await together(world, 1, 10)
    expect(world.limit.limit).toBe(20)
    const results = await together(world, 20, 10)
    expect(results.map(({ status }) => status)).not.toContain('rejected')
  })

  it('ends a probe that a rest has come into', async () => {
    const world = setUp({ limitStart: 20, limitMax: 20 })
    for (let round = 0; round < 400 && world.limit.limit === 20; round++) await together(world, 25, 10)
    expect(world.limit.limit).toBe(12)
    await world.clock.advance(1_000)
    expect(world.limit.limit).toBe(12)
    await world.clock.advance(1)
    await together(world, 1, 10)
    expect(world.limit.limit).toBe(20)
  })

  it('keeps a probe through a rest that is short', async () => {
    const world = setUp({ limitStart: 20, limitMax: 20 })
    for (let round = 0; round < 400 && world.limit.limit === 20; round++) await together(world, 25, 10)
    await world.clock.advance(1_000)
    await together(world, 1, 10)
    expect(world.limit.limit).toBe(12)
  })

  it('goes down when calls time out, and never below its minimum', async () => {
    const world = setUp({ limitStart: 40, limitMin: 5 })
    await together(world, 40, 500, throwing(new TimeoutError(500, 'timeout')))
    await together(world, 10, 500, throwing(new TimeoutError(500, 'timeout')))
    expect(world.limit.limit).toBe(32)
    for (let count = 0; count < 60; count++) await together(world, 32, 500, throwing(new TimeoutError(500, 'timeout')))
    expect(world.limit.limit).toBe(5)
  })

  it.each([
    ['a refusal for overload further in', refusal('shed'), true],
    ['a quota further in', refusal('rate-limited'), false],
    ['an open circuit further in', refusal('circuit-open'), false],
    ['what AbortSignal.timeout throws', new DOMException('late', 'TimeoutError'), true],
    ['an error of its own', new Error('no such row'), false],
  ])('takes %s for a sign of overload: %#', async (_, error, isDrop) => {
    const world = setUp({ limitStart: 60 })
    await together(world, 60, 200, throwing(error))
    expect(world.limit.limit).toBe(isDrop ? 48 : 60)
  })

  it('asks `handle` what is a sign of overload, of results too', async () => {
    const world = setUp({ limitStart: 60, handle: error => error instanceof RangeError })
    await together(world, 60, 200, throwing(new TimeoutError(200, 'timeout')))
    expect(world.limit.limit).toBe(60)
    await together(world, 60, 200, throwing(new RangeError('503')))
    expect(world.limit.limit).toBe(48)
  })

  it('learns nothing from calls that their caller gave up', async () => {
    const { clock, limit } = setUp({ limitStart: 60 })
    const caller = new AbortController()
    const calls = Array.from({ length: 60 }, () =>
      limit.execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
        caller.signal,
      ),
    )
    const settled = Promise.allSettled(calls)
    await clock.advance(200)
    caller.abort(new Error('gone'))
    await settled
    expect(limit.inFlight).toBe(0)
    expect(limit.limit).toBe(60)
    expect(limit.describe().state['lastWindow']).toBeUndefined()
  })

  it('gives back the place of a call that a gate behind it refuses', async () => {
    const { clock, limit } = setUp()
    const refusing: Gate = {
      kind: 'gate',
      policy: 'refusing',
      clock,
      rule: undefined,
      describe: () => ({}),
      enter: () => refusal('rate-limited'),
      leave: () => {},
      undo: () => {},
    }
    const both = pipeline(limit, policyOf(refusing, {}))
    await expect(both.execute(() => 1)).rejects.toMatchObject({ code: 'HF_REJECTED' })
    expect(limit.inFlight).toBe(0)
  })

  it('tells of its limit as a Live', async () => {
    const world = setUp({ limitStart: 60 })
    const seen: number[] = []
    world.limit.limits.subscribe(next => void seen.push(next), { initial: true })
    await together(world, 60, 200, throwing(new TimeoutError(200, 'timeout')))
    expect(seen).toEqual([60, 48])
    expect(world.limit.limits.current).toBe(world.limit.limit)
  })

  it('comes into new bounds at once, loses no call by it, and refuses bounds that cross', async () => {
    const clock = new SimulatedClock()
    const limitMax = new LiveValue(100)
    const limit = adaptiveLimit({ limitMin: 4, limitMax, clock })
    const calls = together({ clock, limit }, 50, 10)
    limitMax.set(10)
    expect([limit.limit, limit.inFlight]).toEqual([10, 50])
    limitMax.set(3)
    expect(limit.limit).toBe(10)
    expect(limit.describe().ruleRefusal).toMatch(/limitMin/)
    await calls
    expect(limit.inFlight).toBe(0)
  })

  it('refuses nothing in shadow', async () => {
    const world = setUp({ limitStart: 2, mode: 'shadow' })
    const results = await together(world, 5, 10)
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(world.limit.describe()).toMatchObject({ admitted: 2, refused: 0, wouldRefuse: 3 })
    expect(world.limit.inFlight).toBe(0)
  })

  it.each<[AdaptiveLimitOptions, string]>([
    [{ limitMin: 0 }, 'Expected `limitMin` to be an integer from 1 to 1000000, got 0.'],
    [{ limitMin: 5, limitMax: 4 }, 'Expected `limitMin` to be at most `limitMax`, which is 4, got 5.'],
    [{ limitMax: 10, limitStart: 11 }, 'Expected `limitStart` to be an integer from 2 to 10, got 11.'],
    [{ headroom: -1 }, 'Expected `headroom` to be an integer from 0 to 10000, got -1.'],
    [{ maxHealthyMs: 0 }, '`maxHealthyMs`'],
    [{ limit: 5 } as AdaptiveLimitOptions, 'Unknown option `limit` of adaptiveLimit'],
  ])('refuses %j', (options, message) => {
    expect(() => adaptiveLimit(options)).toThrow(message)
  })

  it('counts calls in flight right, and never beyond the limit, however they end', async () => {
    const ends: readonly (() => unknown)[] = [
      () => 1,
      throwing(new Error('no')),
      throwing(new TimeoutError(1, 'timeout')),
    ]
    const batch = fc.record({
      count: fc.integer({ min: 1, max: 60 }),
      ms: fc.integer({ min: 1, max: 300 }),
      end: fc.integer({ min: 0, max: 2 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 12 }), async batches => {
        const world = setUp({ limitMin: 3, limitMax: 50, limitStart: 20 })
        for (const { count, ms, end } of batches) {
          const before = world.limit.limit
          const results = await together(world, count, ms, ends[end] as () => unknown)
          const refused = results.filter(
            result => result.status === 'rejected' && 'rejection' in (result.reason as object),
          )
          expect(count - refused.length).toBe(Math.min(count, before))
          expect(world.limit.inFlight).toBe(0)
          expect(world.limit.limit).toBeGreaterThanOrEqual(3)
          expect(world.limit.limit).toBeLessThanOrEqual(50)
        }
      }),
      { numRuns: 30 },
    )
  })
})
