import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { handleResultType, handleType } from 'cockatiel'
import { expect, test } from 'vitest'
import type { RejectedError, Rejection } from '../errors.ts'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { pipeline } from '../pipeline.ts'
import type { CircuitBreakerPolicy } from './circuit-breaker.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { CircuitBreakerOptions } from './options.ts'
import type { CircuitBreak } from './state.ts'

const clock = (): SimulatedClock => new SimulatedClock()
/** Opens for exactly `openMs`, after two failed calls of two. */
const PLAIN: CircuitBreakerOptions = { minCalls: 2, openMs: 1_000, openJitter: 0, halfOpenCalls: 1 }

async function fail(policy: CircuitBreakerPolicy, error: unknown = new Error('down')): Promise<unknown> {
  return await policy.execute(() => Promise.reject(error as Error)).catch((thrown: unknown) => thrown)
}

async function failTimes(policy: CircuitBreakerPolicy, times: number): Promise<void> {
  for (let count = 0; count < times; count++) await fail(policy)
}

async function refusalOf(policy: CircuitBreakerPolicy): Promise<Rejection> {
  const error = await policy.execute(() => 'in').catch((thrown: unknown) => thrown as RejectedError)
  return (error as RejectedError).rejection
}

/** A call that is under way until it is told how to end. */
function underWay(policy: CircuitBreakerPolicy, signal?: AbortSignal) {
  let finish = (_value: unknown): void => {}
  let fails = (_error: Error): void => {}
  const until = new Promise((resolve, reject) => {
    finish = resolve
    fails = reject
  })
  const result = policy.execute(() => until, signal === undefined ? undefined : { signal })
  result.catch(() => undefined)
  return { result, finish: (value?: unknown) => finish(value), fail: () => fails(new Error('down')) }
}

test('It opens when enough calls failed, refuses with the time until it tries again, and closes after a trial that went well.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, clock: time, name: 'stock' })
  await fail(policy)
  expect(policy.state.kind).toBe('closed')
  await fail(policy)
  expect(policy.state).toMatchObject({ kind: 'open', cause: 'failures', openings: 1 })
  await time.advance(400)
  expect(await refusalOf(policy)).toEqual({
    policy: 'circuitBreaker',
    rule: 'stock',
    ruleVersion: 1,
    reason: 'circuit-open',
    retryAfterMs: 600,
  })
  await time.advance(600)
  expect(await policy.execute(() => 'in')).toBe('in')
  expect(policy.state.kind).toBe('closed')
  // What was before is forgotten.
  await fail(policy)
  expect(policy.state.kind).toBe('closed')
})

test('Half the calls of the window have to fail; those that went well before are counted against.', async () => {
  const policy = circuitBreaker({ ...PLAIN, window: { kind: 'count', size: 10 }, minCalls: 4 })
  for (let count = 0; count < 4; count++) await policy.execute(() => 'fine')
  await failTimes(policy, 3)
  expect(policy.state.kind).toBe('closed')
  await fail(policy)
  expect(policy.state.kind).toBe('open')
})

test('Slow calls open it too, whether they fail or not.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, clock: time, slowMs: 100, slowRatio: 0.5, minCalls: 4 })
  const breaks: CircuitBreak[] = []
  policy.onBreak(broke => breaks.push(broke))
  const calls = [underWay(policy), underWay(policy), underWay(policy), underWay(policy)]
  await time.advance(100)
  calls[0]?.finish('in time')
  calls[1]?.finish('in time')
  await calls[1]?.result
  await time.advance(1)
  calls[2]?.finish('late')
  await calls[2]?.result
  expect(policy.state.kind).toBe('closed')
  calls[3]?.finish('late')
  await calls[3]?.result
  expect(policy.state).toMatchObject({ kind: 'open', cause: 'slow-calls' })
  expect(breaks).toEqual([{ cause: 'slow-calls', openMs: 1_000, value: 'late' }])
})

test('Half-open it lets exactly so many calls through, and refuses the others at once.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, halfOpenCalls: 3, halfOpenMsMax: 800, clock: time })
  await failTimes(policy, 2)
  await time.advance(1_000)
  const trials = [underWay(policy), underWay(policy), underWay(policy)]
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-half-open', limit: 3, retryAfterMs: 800 })
  expect(policy.describe().state).toMatchObject({ circuit: 'half-open', trialsInFlight: 3 })
  trials[0]?.finish()
  await trials[0]?.result
  // A trial call that has ended makes no room for another.
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-half-open' })
  trials[1]?.finish()
  await trials[1]?.result
  // One more cannot change it.
  expect(policy.state.kind).toBe('closed')
})

test('It opens again as soon as trial calls have failed, for twice as long each time, up to the longest.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, openMsMax: 3_000, clock: time })
  const openMs: (number | undefined)[] = []
  policy.onBreak(broke => openMs.push(broke.openMs))
  await failTimes(policy, 2)
  for (const ms of [1_000, 2_000, 3_000, 3_000]) {
    await time.advance(ms - 1)
    expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-open', retryAfterMs: 1 })
    await time.advance(1)
    await fail(policy)
  }
  expect(openMs).toEqual([1_000, 2_000, 3_000, 3_000, 3_000])
  await time.advance(3_000)
  await policy.execute(() => 'fine')
  // Once it has closed it begins from the start.
  await failTimes(policy, 2)
  expect(openMs.slice(5)).toEqual([1_000])
})

test('How long it stays open is drawn from all of the open time.', async () => {
  const draws = [0.25, 0.9999]
  const random = { next: () => draws.shift() ?? 0, bytes: (count: number) => new Uint8Array(count) }
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, openJitter: 1, clock: time, random })
  await failTimes(policy, 2)
  expect(await refusalOf(policy)).toMatchObject({ retryAfterMs: 750 })
  await time.advance(750)
  await fail(policy)
  expect((await refusalOf(policy)).retryAfterMs).toBeCloseTo(0.2)
})

test('Trial calls that hang do not keep it half-open: it is open again in time, and tries anew.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, halfOpenMsMax: 500, clock: time })
  await failTimes(policy, 2)
  await time.advance(1_000)
  const hanging = underWay(policy)
  await time.advance(500)
  expect(policy.state).toMatchObject({ kind: 'open', cause: 'trial-timeout', openings: 2 })
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-open', retryAfterMs: 2_000 })
  // It has been open since then, also when nobody looks.
  await time.advance(2_000)
  const next = underWay(policy)
  hanging.fail()
  await hanging.result.catch(() => undefined)
  expect(policy.state.kind).toBe('half-open')
  next.finish()
  await next.result
  expect(policy.state.kind).toBe('closed')
})

test('A trial call that is given up, refused further in, or fails with what does not count gives its place back.', async () => {
  const time = clock()
  const breaker = circuitBreaker({ ...PLAIN, clock: time, handle: handleType(RangeError) })
  const inner = bulkhead({ limit: 1, clock: time })
  const policy = pipeline(breaker, inner)
  await fail(breaker, new RangeError())
  await fail(breaker, new RangeError())
  await time.advance(1_000)
  const controller = new AbortController()
  const given = underWay(breaker, controller.signal)
  expect(await refusalOf(breaker)).toMatchObject({ reason: 'circuit-half-open' })
  controller.abort(new Error('gone'))
  given.fail()
  await given.result.catch(() => undefined)
  expect(await fail(breaker, new TypeError('not found'))).toMatchObject({ message: 'not found' })
  // Refused by a gate beside it, and by a policy further in.
  const blocking = inner.execute(() => new Promise<void>(resolve => void setImmediate(resolve)))
  await expect(policy.execute(() => 'in')).rejects.toThrow('all slots')
  await expect(breaker.execute(() => inner.execute(() => 'in'))).rejects.toThrow('all slots')
  await blocking
  expect(breaker.state.kind).toBe('half-open')
  expect(await breaker.execute(() => 'in')).toBe('in')
  expect(breaker.state.kind).toBe('closed')
})

test('What a call that began before does is not counted in the state of now.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, clock: time })
  const [early, earlier] = [underWay(policy), underWay(policy)]
  await failTimes(policy, 2)
  await time.advance(1_000)
  const trial = underWay(policy)
  early.fail()
  await early.result.catch(() => undefined)
  expect(policy.state.kind).toBe('half-open')
  trial.finish()
  await trial.result
  expect(policy.state.kind).toBe('closed')
  earlier.fail()
  await earlier.result.catch(() => undefined)
  expect(policy.describe().state).toEqual({ circuit: 'closed', calls: 0, failures: 0, slow: 0 })
})

test('Calls that their caller gave up, errors that do not count, and refusals further in are not in the window.', async () => {
  const policy = circuitBreaker({ ...PLAIN, handle: error => !(error instanceof TypeError) })
  const controller = new AbortController()
  const calls = [underWay(policy, controller.signal), underWay(policy, controller.signal)]
  controller.abort()
  for (const call of calls) call.fail()
  await Promise.allSettled(calls.map(({ result }) => result))
  await fail(policy, new TypeError())
  await fail(policy, Object.assign(new Error(), { isBrokenCircuitError: true }))
  expect(policy.describe().state).toMatchObject({ circuit: 'closed', calls: 0 })
})

test('Values that a filter of cockatiel takes for failures count as such.', async () => {
  class Unavailable {
    readonly status = 503
  }
  const policy = circuitBreaker({ ...PLAIN, handle: handleResultType(Unavailable) })
  await policy.execute(() => new Unavailable())
  await policy.execute(() => new Unavailable())
  expect(policy.state.kind).toBe('open')
})

test('Isolated by hand it refuses all, until everybody has let go.', async () => {
  const policy = circuitBreaker({ ...PLAIN })
  const told: unknown[] = []
  policy.onBreak(broke => told.push(broke))
  policy.onReset(() => told.push('reset'))
  {
    using first = policy.isolate()
    const second = policy.isolate()
    expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-isolated' })
    first.dispose()
    first.dispose()
    expect(policy.state.kind).toBe('isolated')
    second.dispose()
  }
  expect(policy.state.kind).toBe('closed')
  expect(await policy.execute(() => 'in')).toBe('in')
  expect(told).toEqual([{ cause: 'isolated', openMs: undefined, isolated: true }, 'reset'])
})

test('Whoever hears of a change finds the state changed, and may change it.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, clock: time })
  const kinds: string[] = []
  policy.onStateChange(({ kind }) => kinds.push(`${kind} ${policy.state.kind}`))
  const listening = policy.onHalfOpen(() => policy.isolate())
  await failTimes(policy, 2)
  await time.advance(1_000)
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-isolated' })
  listening.dispose()
  expect(kinds).toEqual(['open open', 'half-open half-open', 'isolated isolated'])
})

test('Tools hear of each change, with what it was decided on.', async () => {
  const told: unknown[] = []
  const hear = (message: unknown): void => void told.push(message)
  subscribe('holdfast:resilience.event', hear)
  try {
    const time = clock()
    const policy = circuitBreaker({ ...PLAIN, clock: time, name: 'stock' })
    await failTimes(policy, 2)
    await time.advance(1_000)
    await policy.execute(() => 'fine')
    policy.isolate().dispose()
    const who = { policy: 'circuitBreaker', rule: 'stock' }
    const failed = { calls: 2, failures: 2, slow: 0 }
    const none = { calls: 0, failures: 0, slow: 0 }
    expect(told).toEqual([
      { ...who, event: 'opened', cause: 'failures', openings: 1, openMs: 1_000, ...failed },
      { ...who, event: 'halfOpened', ...failed },
      { ...who, event: 'closed', ...none, calls: 1 },
      { ...who, event: 'isolated', ...none },
      { ...who, event: 'closed', ...none },
    ])
  } finally {
    unsubscribe('holdfast:resilience.event', hear)
  }
})

test('In shadow it goes through all of its states, and refuses nothing.', async () => {
  const time = clock()
  const policy = circuitBreaker({ ...PLAIN, mode: 'shadow', clock: time })
  const kinds: string[] = []
  policy.onStateChange(({ kind }) => kinds.push(kind))
  await failTimes(policy, 2)
  expect(await policy.execute(() => 'in')).toBe('in')
  await time.advance(1_000)
  const trial = underWay(policy)
  expect(await policy.execute(() => 'in')).toBe('in')
  trial.finish()
  await trial.result
  expect(kinds).toEqual(['open', 'half-open', 'closed'])
  expect(policy.describe()).toMatchObject({ refused: 0, wouldRefuse: 2, admitted: 3 })
})

test('A changed number of trial calls loses no place: more go at once, with fewer what is known decides.', async () => {
  const time = clock()
  const halfOpenCalls = new LiveValue(2)
  const policy = circuitBreaker({ ...PLAIN, halfOpenCalls, clock: time })
  await failTimes(policy, 2)
  await time.advance(1_000)
  const trials = [underWay(policy), underWay(policy)]
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-half-open' })
  halfOpenCalls.set(3)
  trials.push(underWay(policy))
  expect(await refusalOf(policy)).toMatchObject({ reason: 'circuit-half-open', limit: 3 })
  trials[0]?.finish()
  await trials[0]?.result
  expect(policy.state.kind).toBe('half-open')
  halfOpenCalls.set(1)
  expect(policy.state.kind).toBe('closed')
  for (const trial of trials) trial.fail()
  await Promise.allSettled(trials.map(({ result }) => result))
  expect(policy.describe().state).toMatchObject({ calls: 0 })
})

test('A changed window keeps the calls that fit, and a refused one leaves all as it was.', async () => {
  const window = new LiveValue<{ kind: 'count'; size: number }>({ kind: 'count', size: 10 })
  const policy = circuitBreaker({ window, minCalls: 5, failureRatio: 1 })
  await policy.execute(() => 'fine')
  await failTimes(policy, 4)
  expect(policy.describe().state).toMatchObject({ calls: 5, failures: 4 })
  window.set({ kind: 'count', size: 5 })
  await fail(policy)
  expect(policy.state).toMatchObject({ kind: 'open' })
  window.set({ kind: 'count', size: 4 })
  expect(policy.describe().ruleRefusal).toBe('Expected `minCalls` to be an integer from 1 to 4, got 5.')
})

test('What cannot work is refused when it is made, with the value seen.', () => {
  expect(() => circuitBreaker({ failureRatio: 0 })).toThrow('`failureRatio` to be a number from 0.001 to 1, got 0')
  expect(() => circuitBreaker({ slowRatio: 1.5 })).toThrow('got 1.5')
  expect(() => circuitBreaker({ openMs: 5_000, openMsMax: 1_000 })).toThrow('`openMsMax` to be an integer from 5000')
  expect(() => circuitBreaker({ window: { kind: 'sliding' } as never })).toThrow("one of 'count', 'time'")
  expect(() => circuitBreaker({ window: { kind: 'time', size: 5 } as never })).toThrow(
    'Unknown option `size` of window',
  )
  expect(() => circuitBreaker({ window: { kind: 'count', size: 5 }, minCalls: 6 })).toThrow('from 1 to 5, got 6')
  expect(() => circuitBreaker({ window: { kind: 'count', size: 5 } })).not.toThrow()
  expect(() => circuitBreaker({ handle: 'all' as never })).toThrow('Expected `handle`')
  expect(() => circuitBreaker({ halfOpenCalls: 0 })).toThrow('Expected `halfOpenCalls`')
  expect(() => circuitBreaker({ treshold: 1 } as never)).toThrow('Unknown option `treshold`')
  expect(() => circuitBreaker({ name: 'a', shared: { backend: {} as never } })).toThrow(
    '`shared.backend` to be a backend',
  )
})
