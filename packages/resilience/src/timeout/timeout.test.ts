import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { CallContext } from '../call.ts'
import { pipeline } from '../pipeline.ts'
import type { ResilienceEvent } from '../policy.ts'
import { timeout } from './timeout.ts'

const told: ResilienceEvent[] = []
const hear = (event: unknown): void => void told.push(event as ResilienceEvent)
afterEach(() => {
  unsubscribe('holdfast:resilience.event', hear)
  told.length = 0
})

const never = (): Promise<never> => new Promise(() => {})
/** Work that stops when it is told, with an error of its own. */
const obedient = ({ signal }: CallContext): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
const settled = async (promise: Promise<unknown>): Promise<unknown> => await promise.catch((error: unknown) => error)

describe('timeout', () => {
  it('passes on what the work returns and throws', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 100, clock })
    await expect(policy.execute(() => 'done')).resolves.toBe('done')
    await expect(policy.execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    await expect(
      policy.execute(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    await clock.advance(200)
    expect([clock.pendingTimers, policy.describe().state['timedOut']]).toEqual([0, 0])
  })

  it('ends a call at its time even if the work does not stop, with the error that its signal aborts with', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 100, name: 'search', clock })
    let signal: AbortSignal | undefined
    const ended = vi.fn<(event: unknown) => void>()
    const result = settled(
      policy.execute(context => {
        signal = context.signal
        return never()
      }),
    )
    void result.then(ended)
    await clock.advance(99)
    expect(ended).not.toHaveBeenCalled()
    await clock.advance(11)
    const error = await result
    expect(error).toMatchObject({
      code: 'HF_TIMEOUT',
      timeoutMs: 100,
      message: 'Timed out after 100 ms (timeout "search").',
    })
    expect(signal?.reason).toBe(error)
    expect(policy.describe().state['timedOut']).toBe(1)
  })

  it('rejects with the reason of a caller who gives up, at once, and calls it no timeout', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 100, clock })
    const timedOut = vi.fn<(event: unknown) => void>()
    policy.onTimeout(timedOut)
    const caller = new AbortController()
    const result = settled(policy.execute(never, caller.signal))
    caller.abort('enough')
    await expect(result).resolves.toBe('enough')
    await clock.advance(200)
    expect(timedOut).not.toHaveBeenCalled()
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not begin what its caller has given up already', async () => {
    const work = vi.fn<() => void>()
    const policy = timeout({ timeoutMs: 100, clock: new SimulatedClock() })
    await expect(policy.execute(work, AbortSignal.abort('before'))).rejects.toBe('before')
    expect(work).not.toHaveBeenCalled()
  })

  it('tells of a timeout, and no more after the listener is gone', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 50, clock })
    const timedOut = vi.fn<(event: unknown) => void>()
    const subscription = policy.onTimeout(timedOut)
    subscribe('holdfast:resilience.event', hear)
    const first = settled(policy.execute(never))
    await clock.advance(60)
    await first
    subscription.dispose()
    const second = settled(policy.execute(never))
    await clock.advance(60)
    await second
    expect(timedOut.mock.calls).toEqual([[{ timeoutMs: 50 }]])
    expect(told[0]).toEqual({ event: 'timedOut', policy: 'timeout', rule: 'timeout', timeoutMs: 50 })
  })

  it('ends a call at a deadline further out that is nearer, and never sets a later one', async () => {
    const clock = new SimulatedClock()
    const policy = pipeline(timeout({ timeoutMs: 30, clock }), timeout({ timeoutMs: 500, clock, name: 'inner' }))
    await expect(policy.execute(({ remainingMs }) => remainingMs)).resolves.toBe(30)
    await expect(policy.execute(({ remainingMs }) => remainingMs, { timeoutMs: 20 })).resolves.toBe(20)
    const alone = timeout({ timeoutMs: 500, clock })
    const result = settled(alone.execute(never, { timeoutMs: 20 }))
    await clock.advance(30)
    await expect(result).resolves.toMatchObject({ code: 'HF_TIMEOUT', timeoutMs: 20 })
  })

  it('refuses an attempt that has no time left, and does not begin it', async () => {
    const clock = new SimulatedClock()
    const work = vi.fn<() => void>()
    const policy = timeout({ timeoutMs: 100, clock })
    subscribe('holdfast:resilience.event', hear)
    const late: Promise<unknown> = policy.execute(
      async ({ signal }) => {
        await clock.advance(100)
        return await policy.execute(work, signal)
      },
      { timeoutMs: 100 },
    )
    const refusal = { code: 'HF_REJECTED', rejection: { policy: 'timeout', reason: 'deadline' } }
    await expect(late).rejects.toMatchObject(refusal)
    expect(work).not.toHaveBeenCalled()
    expect(told.map(({ event }) => event)).toEqual(['refused'])
  })

  it('holds no listener on the signal of a caller once the call has settled, however it did', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 50, clock })
    const { signal } = new AbortController()
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')]
    await policy.execute(context => context.signal.aborted, signal)
    await settled(policy.execute(context => Promise.reject(context.signal.reason), signal))
    const late = settled(policy.execute(never, signal))
    await clock.advance(100)
    await late
    expect(added.mock.calls.length).toBeGreaterThan(0)
    expect(removed.mock.calls.length).toBe(added.mock.calls.length)
  })

  it('waits for the work where it is cooperative, and takes what it returns late', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 50, strategy: 'cooperative', clock })
    const result = policy.execute(
      ({ signal }) =>
        new Promise(resolve => {
          clock.setTimer(() => resolve(signal.reason), 500)
        }),
    )
    await clock.advance(600)
    await expect(result).resolves.toMatchObject({ code: 'HF_TIMEOUT' })
  })

  it('says that it was a timeout where cooperative work stops with an AbortError of its own', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 50, strategy: 'cooperative', clock })
    const stopped = settled(policy.execute(obedient))
    const vague = settled(
      policy.execute(context =>
        obedient(context).catch(() => Promise.reject(new DOMException('no why', 'AbortError'))),
      ),
    )
    const other = settled(
      policy.execute(context => obedient(context).catch(() => Promise.reject(new Error('half written')))),
    )
    await clock.advance(100)
    await expect(stopped).resolves.toMatchObject({ code: 'HF_TIMEOUT' })
    await expect(vague).resolves.toMatchObject({ code: 'HF_TIMEOUT' })
    await expect(other).resolves.toMatchObject({ message: 'half written' })
  })

  it('only tells in shadow, and leaves the deadline as it is', async () => {
    const clock = new SimulatedClock()
    const policy = timeout({ timeoutMs: 50, mode: 'shadow', clock })
    subscribe('holdfast:resilience.event', hear)
    const result = policy.execute(async ({ signal, remainingMs }) => {
      await clock.advance(200)
      return [signal.aborted, remainingMs]
    })
    await expect(result).resolves.toEqual([false, Infinity])
    expect(policy.describe().state).toMatchObject({ timedOut: 0, wouldTimeOut: 1 })
    expect(told.map(({ event }) => event)).toEqual(['wouldTimeOut'])
  })

  it('goes by a changed rule from the next call on', async () => {
    const clock = new SimulatedClock()
    const timeoutMs = new LiveValue(50)
    const policy = timeout({ timeoutMs, clock })
    timeoutMs.set(80)
    await expect(policy.execute(({ remainingMs }) => remainingMs)).resolves.toBe(80)
    timeoutMs.set(-1)
    await expect(policy.execute(({ remainingMs }) => remainingMs)).resolves.toBe(80)
    expect(policy.describe().ruleVersion).toBe(2)
    expect(policy.describe().ruleRefusal).toContain('got -1')
  })

  it.each([
    [{}, 'Expected `timeoutMs` to be an integer from 1'],
    [{ timeoutMs: 0 }, 'got 0'],
    [{ timeoutMs: 5, strategy: 'aggressive' }, "Expected `strategy` to be one of 'race', 'cooperative'"],
    [{ timeoutMs: 5, ms: 5 }, 'Unknown option `ms` of timeout'],
  ])('refuses %j', (options, message) => {
    expect(() => timeout(options as { timeoutMs: number })).toThrow(message)
  })
})
