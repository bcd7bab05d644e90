import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import * as cockatiel4 from 'cockatiel-4'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { CallContext } from '../call.ts'
import { KeyReusedError, rejected } from '../errors.ts'
import { hedge } from '../hedge/hedge.ts'
import { pipeline } from '../pipeline.ts'
import type { ResilienceEvent } from '../policy.ts'
import { timeout } from '../timeout/timeout.ts'
import type { GaveUp, Retried } from './retry.ts'
import { retry } from './retry.ts'
import { retryBudget } from './retry-budget.ts'

const told: ResilienceEvent[] = []
const hear = (event: unknown): void => void told.push(event as ResilienceEvent)
afterEach(() => {
  unsubscribe('holdfast:resilience.event', hear)
  told.length = 0
})

const clock = new SimulatedClock()
const half = { next: () => 0.5, bytes: () => new Uint8Array() }
const at = { clock, random: half }
const failing = (): Promise<never> => Promise.reject(new Error('down'))
const down = (): never => {
  throw new Error('down')
}
const settled = async (promise: Promise<unknown>): Promise<unknown> => await promise.catch((error: unknown) => error)
/** Lets time pass until it has settled. */
const through = async (promise: Promise<unknown>, ms = 100_000): Promise<unknown> => {
  const result = settled(promise)
  await clock.advance(ms)
  return await result
}

describe('retry', () => {
  it('tells what failed before as the cause of a refusal that came after it', async () => {
    const work = vi.fn<() => Promise<never>>().mockRejectedValueOnce(new Error('down'))
    work.mockRejectedValueOnce(rejected({ policy: 'p', rule: 'p', ruleVersion: 1, reason: 'circuit-open' }))
    const error = (await through(retry(at).execute(work))) as Error
    expect(error).toMatchObject({ code: 'HF_REJECTED', cause: { message: 'down' } })
  })

  it('does not do again what an error says is no use', async () => {
    const spent = Object.assign(new Error('spent'), { isRetryable: false })
    const work = vi.fn<() => Promise<never>>(() => Promise.reject(spent))
    await expect(retry(at).execute(work)).rejects.toBe(spent)
    expect(work).toHaveBeenCalledTimes(1)
  })

  it('does it again until it succeeds, and says which attempt it is', async () => {
    const attempts: number[] = []
    const policy = retry(at)
    const result = policy.execute(({ attempt }) => {
      attempts.push(attempt)
      return attempt < 3 ? failing() : 'done'
    })
    await expect(through(result)).resolves.toBe('done')
    expect(attempts).toEqual([1, 2, 3])
    expect(policy.describe().state).toMatchObject({ retries: 2, gaveUp: { attempts: 0 } })
  })

  it('gives up after three attempts, with the last error as it is', async () => {
    const errors = [1, 2, 3].map(number => new Error(`failure ${number}`))
    const work = vi.fn<(context: CallContext) => Promise<never>>(({ attempt }) =>
      Promise.reject(errors[attempt - 1] as Error),
    )
    const gaveUp = vi.fn<(event: GaveUp) => void>()
    const policy = retry(at)
    policy.onGiveUp(gaveUp)
    expect(await through(policy.execute(work))).toBe(errors[2])
    expect(work).toHaveBeenCalledTimes(3)
    expect(gaveUp.mock.calls).toEqual([[{ attempts: 3, because: 'attempts', failure: { error: errors[2] } }]])
  })

  it('sleeps longer each time, and tells of it before', async () => {
    const policy = retry({ ...at, maxAttempts: 4, baseMs: 100, capMs: 300 })
    const retried = vi.fn<(event: Retried) => void>()
    policy.onRetry(retried)
    const startedAtMs = clock.monotonicMs()
    const times: number[] = []
    await through(
      policy.execute(() => {
        times.push(clock.monotonicMs() - startedAtMs)
        return failing()
      }),
    )
    expect(times).toEqual([0, 50, 150, 300])
    expect(retried.mock.calls.map(([{ attempt, delayMs }]) => [attempt, delayMs])).toEqual([
      [2, 50],
      [3, 100],
      [4, 150],
    ])
  })

  it('sleeps as a back-off of cockatiel says', async () => {
    const policy = retry({ ...at, backoff: new cockatiel4.IterableBackoff([10, 70]), maxAttempts: 4 })
    const startedAtMs = clock.monotonicMs()
    const times: number[] = []
    await through(policy.execute(() => (times.push(clock.monotonicMs() - startedAtMs), failing())))
    expect(times).toEqual([0, 10, 80, 150])
  })

  it('returns the last failed result as it is', async () => {
    const handle = cockatiel4.handleWhenResult(result => (result as { status: number }).status >= 500)
    const results = [{ status: 503 }, { status: 500 }, { status: 502 }]
    const policy = retry({ ...at, handle })
    expect(await through(policy.execute(({ attempt }) => results[attempt - 1]))).toBe(results[2])
    expect(await through(policy.execute(() => ({ status: 404 })))).toEqual({ status: 404 })
    await expect(through(policy.execute(failing))).resolves.toMatchObject({ message: 'down' })
    expect(policy.describe().state['retries']).toBe(2)
  })

  it.each([
    ['a refusal', rejected({ policy: 'rateLimit', rule: 'r', ruleVersion: 1, reason: 'rate-limited' })],
    ['a refusal of cockatiel', new cockatiel4.BrokenCircuitError()],
    ['a reused key', new KeyReusedError('k')],
    ['a misuse', Object.assign(new Error('wrong'), { code: 'HF_INVALID_ARGUMENT' })],
  ])('never does again what ended with %s, whatever its filter says', async (_, error) => {
    const work = vi.fn<() => Promise<never>>(() => Promise.reject(error))
    expect(await through(retry({ ...at, handle: () => true }).execute(work))).toBe(error)
    expect(work).toHaveBeenCalledOnce()
  })

  it('does again an attempt that timed out', async () => {
    const policy = pipeline(retry(at), timeout({ timeoutMs: 100, clock }))
    const result = policy.execute(({ attempt }) => (attempt === 1 ? new Promise(() => {}) : 'done'))
    await expect(through(result)).resolves.toBe('done')
  })

  it('does nothing again inside a timeout that ended the whole, and hears of it in its sleep', async () => {
    const policy = pipeline(timeout({ timeoutMs: 100, clock }), retry({ ...at, baseMs: 190 }))
    const work = vi.fn<() => Promise<never>>(failing)
    const result = settled(policy.execute(work))
    await clock.advance(95)
    expect(work).toHaveBeenCalledTimes(2)
    await clock.advance(1_000)
    await expect(result).resolves.toMatchObject({ message: 'down' })
    expect(work).toHaveBeenCalledTimes(2)
    expect(clock.pendingTimers).toBe(0)
  })

  it('begins no attempt at or after the deadline', async () => {
    const policy = retry({ ...at, baseMs: 100 })
    const gaveUp = vi.fn<(event: GaveUp) => void>()
    policy.onGiveUp(gaveUp)
    const work = vi.fn<() => Promise<never>>(failing)
    await through(policy.execute(work, { timeoutMs: 50 }))
    expect(work).toHaveBeenCalledTimes(1)
    await through(policy.execute(work, { timeoutMs: 51 }))
    expect(work).toHaveBeenCalledTimes(3)
    expect(gaveUp.mock.calls.map(([{ because }]) => because)).toEqual(['deadline', 'deadline'])
  })

  it('comes again when it is told to, but no sooner than the back-off, and not much later', async () => {
    const policy = retry({ ...at, maxAttempts: 2, baseMs: 100 })
    const delays: number[] = []
    const because: string[] = []
    policy.onRetry(({ delayMs }) => void delays.push(delayMs))
    policy.onGiveUp(gaveUp => void because.push(gaveUp.because))
    const told = (retryAfterMs: number): Promise<unknown> =>
      through(policy.execute(() => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs }))))
    await told(700)
    await told(0)
    await told(60_001)
    expect(delays).toEqual([700, 50])
    expect(because).toEqual(['attempts', 'attempts', 'retry-after'])
  })

  it('asks a function of its user when to come again, which may be broken', async () => {
    const answers = [300, undefined, NaN, -5, new Error('broken')]
    const retryAfter = (): number | undefined => {
      const answer = answers.shift()
      if (answer instanceof Error) throw answer
      return answer
    }
    const policy = retry({ ...at, maxAttempts: 6, baseMs: 0, retryAfter })
    const delays: number[] = []
    policy.onRetry(({ delayMs }) => void delays.push(delayMs))
    await through(policy.execute(failing))
    expect(delays).toEqual([300, 0, 0, 0, 0])
  })

  it('goes on where the headers of an error throw when they are read', async () => {
    const headers = { get: down }
    const work = vi.fn<() => Promise<never>>(() => Promise.reject(Object.assign(new Error('503'), { headers })))
    await expect(through(retry(at).execute(work))).resolves.toMatchObject({ message: '503' })
    expect(work).toHaveBeenCalledTimes(3)
  })

  it('ends its sleep at once when the caller gives up, with his reason, and leaves no timer and no listener', async () => {
    const policy = retry({ ...at, baseMs: 20_000 })
    const caller = new AbortController()
    const [added, removed] = [
      vi.spyOn(caller.signal, 'addEventListener'),
      vi.spyOn(caller.signal, 'removeEventListener'),
    ]
    const work = vi.fn<() => Promise<never>>(failing)
    const result = settled(policy.execute(work, caller.signal))
    await clock.advance(10)
    expect(clock.holdingTimers).toBe(1)
    caller.abort('enough')
    await expect(result).resolves.toBe('enough')
    expect(clock.pendingTimers).toBe(0)
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length)
    expect(work).toHaveBeenCalledOnce()
  })

  it('does nothing again for a caller who gave up during the attempt', async () => {
    const caller = new AbortController()
    const work = vi.fn<() => Promise<never>>(() => {
      caller.abort('enough')
      return failing()
    })
    await expect(retry(at).execute(work, caller.signal)).rejects.toThrow('down')
    expect(work).toHaveBeenCalledOnce()
  })

  it('only tells in shadow', async () => {
    subscribe('holdfast:resilience.event', hear)
    const work = vi.fn<() => Promise<never>>(failing)
    const policy = retry({ ...at, mode: 'shadow' })
    await settled(policy.execute(work))
    expect(work).toHaveBeenCalledOnce()
    expect(told.map(({ event }) => event)).toEqual(['wouldRetry'])
    expect(policy.describe().state).toMatchObject({ wouldRetry: 1, retries: 0, budgetBalance: 10.1 })
  })

  it('in shadow leaves retries further in the budgets that they have', async () => {
    const work = vi.fn<() => Promise<never>>(failing)
    const spent = retryBudget({ ratio: 0, minPerSecond: 0, clock })
    for (const outer of [
      retry({ ...at, mode: 'shadow', budget: spent }),
      hedge({ clock, mode: 'shadow', budget: spent }),
    ]) {
      work.mockClear()
      await through(pipeline(outer, retry(at)).execute(work, { idempotent: true }))
      expect(work).toHaveBeenCalledTimes(3)
    }
  })

  it('goes by a changed rule from the next call on', async () => {
    const maxAttempts = new LiveValue(1)
    const policy = retry({ ...at, maxAttempts })
    const work = vi.fn<() => Promise<never>>(failing)
    await through(policy.execute(work))
    maxAttempts.set(2)
    await through(policy.execute(work))
    maxAttempts.set(0)
    expect(policy.describe().ruleRefusal).toContain('got 0')
    expect(work).toHaveBeenCalledTimes(3)
  })

  it.each([
    [{ maxAttempts: 101 }, 'Expected `maxAttempts` to be an integer from 1 to 100, got 101'],
    [{ maxAttempts: Infinity }, 'got Infinity'],
    [{ baseMs: -1 }, 'Expected `baseMs`'],
    [{ backoff: 5 }, 'Expected `backoff` to be a back-off of cockatiel, got 5'],
    [{ budget: {} }, 'Expected `budget` to be a retryBudget() or false'],
    [{ handle: {} }, 'Expected `handle` to be a function or a filter'],
    [{ retries: 3 }, 'Unknown option `retries` of retry'],
  ])('refuses %j', (options, message) => {
    expect(() => retry(options as object)).toThrow(message)
  })
})

describe('retries and their budget', () => {
  const fast = { ...at, baseMs: 0 }

  it('stop when it is used up, with the error of the work', async () => {
    subscribe('holdfast:resilience.event', hear)
    const policy = retry({ ...fast, budget: retryBudget({ minPerSecond: 0.1, clock }) })
    const work = vi.fn<() => Promise<never>>(failing)
    await expect(policy.execute(work)).rejects.toThrow('down')
    expect(work).toHaveBeenCalledTimes(2)
    expect(told.map(({ event }) => event)).toEqual(['retried', 'retryBudgetExhausted'])
    expect(policy.describe().state).toMatchObject({ budgetBalance: 0.1, gaveUp: { budget: 1 } })
  })

  it('add a tenth to the calls, and what a second allows, however long the outage is', async () => {
    const policy = retry(fast)
    const work = vi.fn<() => Promise<never>>(failing)
    for (let call = 0; call < 1_000; call++) await settled(policy.execute(work))
    expect(work.mock.calls.length).toBe(1_000 + 10 + 100)
  })

  it('can share one, which a call then pays into once', async () => {
    const budget = retryBudget({ minPerSecond: 0, clock })
    const policy = pipeline(retry({ ...fast, budget }), retry({ ...fast, budget }))
    for (let call = 0; call < 100; call++) await policy.execute(() => 'done')
    expect(budget.balance).toBe(10)
  })

  it('keep to the one that is given to them inside another', async () => {
    const budget = retryBudget({ minPerSecond: 0, clock })
    const policy = pipeline(retry(fast), retry({ ...fast, budget }))
    const work = vi.fn<() => Promise<never>>(failing)
    await settled(policy.execute(work))
    // The inner one cannot pay, the outer one can.
    expect(work).toHaveBeenCalledTimes(3)
  })

  // cockatiel calls 64 times: its three retries of three multiply.
  it('do not multiply: three inside each other make seven calls', async () => {
    const work = vi.fn<() => Promise<never>>(failing)
    await settled(pipeline(retry(fast), retry(fast), retry(fast)).execute(work))
    expect(work).toHaveBeenCalledTimes(7)
    const theirs = vi.fn<() => Promise<never>>(failing)
    const theirRetry = (): cockatiel4.RetryPolicy => cockatiel4.retry(cockatiel4.handleAll, { maxAttempts: 3 })
    await settled(cockatiel4.wrap(theirRetry(), theirRetry(), theirRetry()).execute(theirs))
    expect(theirs).toHaveBeenCalledTimes(64)
  })

  it('do not multiply through the signal of a call either', async () => {
    const policy = retry(fast)
    const work = vi.fn<() => Promise<never>>(failing)
    await settled(policy.execute(({ signal }) => policy.execute(work, signal)))
    expect(work).toHaveBeenCalledTimes(5)
  })

  it('pay from that of the retry around them', async () => {
    const budget = retryBudget({ minPerSecond: 0.1, clock })
    const work = vi.fn<() => Promise<never>>(failing)
    await settled(pipeline(retry({ ...fast, budget }), retry(fast)).execute(work))
    expect(work).toHaveBeenCalledTimes(2)
  })

  it('are free of it where it is false, and multiply then', async () => {
    const free = { ...fast, budget: false } as const
    const work = vi.fn<() => Promise<never>>(failing)
    await settled(pipeline(retry(free), retry(free), retry(free)).execute(work))
    expect(work).toHaveBeenCalledTimes(27)
  })
})
