import { SimulatedClock } from '@holdfast/core/testing'
import * as cockatiel3 from 'cockatiel-3'
import * as cockatiel4 from 'cockatiel-4'
import { describe, expect, it, vi } from 'vitest'
import { timeout } from '../timeout/timeout.ts'

const never = (): Promise<never> => new Promise(() => {})

// D10: onTimeout fires when the parent aborts, and the error says "timed out"; on a real timeout the signal's reason is an AbortError;
// the signal is aborted after success, which breaks a body that is still read.
describe.each([
  ['3.2.1', cockatiel3.timeout as unknown as typeof cockatiel4.timeout, cockatiel3.TimeoutStrategy.Aggressive],
  ['4.0.0', cockatiel4.timeout, cockatiel4.TimeoutStrategy.Aggressive],
] as const)('D10, the timeout of cockatiel %s', (_, theirs, strategy) => {
  const make = (ms: number): cockatiel4.TimeoutPolicy => theirs(ms, strategy as cockatiel4.TimeoutStrategy)

  it('calls it a timeout when the caller gives up', async () => {
    const policy = make(10_000)
    const timedOut = vi.fn<(event: unknown) => void>()
    policy.onTimeout(timedOut)
    const caller = new AbortController()
    const result = policy.execute(never, caller.signal)
    caller.abort(new Error('enough'))
    await expect(result).rejects.toThrow('timed out after 10000ms')
    expect(timedOut).toHaveBeenCalledOnce()
  })

  it('aborts with an AbortError when it was a timeout', async () => {
    let signal: AbortSignal | undefined
    const result = make(10).execute(context => {
      signal = context.signal
      return never()
    })
    const error: unknown = await result.catch((caught: unknown) => caught)
    expect(signal?.reason).not.toBe(error)
    expect(signal?.reason).toMatchObject({ name: 'AbortError' })
  })

  it('aborts the signal after the work has returned', async () => {
    const signal = await make(10_000).execute(context => context.signal)
    expect(signal.aborted).toBe(true)
  })
})

describe('D10, our timeout', () => {
  it('gives a caller who gives up his own reason, and calls it no timeout', async () => {
    const policy = timeout({ timeoutMs: 10_000, clock: new SimulatedClock() })
    const timedOut = vi.fn<(event: unknown) => void>()
    policy.onTimeout(timedOut)
    const caller = new AbortController()
    const result = policy.execute(never, caller.signal)
    caller.abort(new Error('enough'))
    await expect(result).rejects.toThrow('enough')
    expect(timedOut).not.toHaveBeenCalled()
  })

  it('aborts with the error that it rejects with', async () => {
    const clock = new SimulatedClock()
    let signal: AbortSignal | undefined
    const result = timeout({ timeoutMs: 10, clock }).execute(context => {
      signal = context.signal
      return never()
    })
    const caught = result.catch((error: unknown) => error)
    await clock.advance(50)
    expect(signal?.reason).toBe(await caught)
    expect(signal?.reason).toMatchObject({ name: 'TimeoutError' })
  })

  it.each(['race', 'cooperative'] as const)(
    'leaves the signal alone after the work has returned (%s)',
    async strategy => {
      const clock = new SimulatedClock()
      const caller = new AbortController()
      const policy = timeout({ timeoutMs: 100, strategy, clock })
      const signal = await policy.execute(context => context.signal, caller.signal)
      await clock.advance(1_000)
      caller.abort()
      expect(signal.aborted).toBe(false)
    },
  )
})
