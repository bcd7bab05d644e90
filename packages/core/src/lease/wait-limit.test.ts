import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { withinWait } from './wait-limit.ts'

const untilAborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

describe('withinWait', () => {
  it('answers what was waited for, and leaves no timer', async () => {
    const clock = new SimulatedClock()
    expect(await withinWait(clock, { waitMs: 10 }, async () => 'here')).toBe('here')
    expect(clock.pendingTimers).toBe(0)
  })

  it('answers undefined when the time is up', async () => {
    const clock = new SimulatedClock()
    const waited = withinWait(clock, { waitMs: 10 }, untilAborted)
    expect(clock.holdingTimers).toBe(1)
    await clock.advance(10)
    expect(await waited).toBeUndefined()
  })

  it('rejects with the reason of the caller, and leaves no timer', async () => {
    const clock = new SimulatedClock()
    const abort = new AbortController()
    const waited = withinWait(clock, { waitMs: 10, signal: abort.signal }, untilAborted)
    const reason = new Error('enough')
    abort.abort(reason)
    await expect(waited).rejects.toBe(reason)
    expect(clock.pendingTimers).toBe(0)
  })

  it('hands the signal of the caller through when there is no limit', async () => {
    const { signal } = new AbortController()
    expect(await withinWait(new SimulatedClock(), { signal }, async given => given === signal)).toBe(true)
  })

  it('passes on what goes wrong', async () => {
    const error = new Error('no answer')
    await expect(withinWait(new SimulatedClock(), { waitMs: 10 }, () => Promise.reject(error))).rejects.toBe(error)
  })
})
