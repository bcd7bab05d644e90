import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { pipeline } from '../pipeline.ts'
import { deadline } from './deadline.ts'
import { callOptionsFromHeaders, headersOf } from './headers.ts'

/** Does something inside a call in the very millisecond in which its time is over, before its timer says so. */
function late<T>(clock: SimulatedClock, inside: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return bulkhead({ limit: 9, clock }).execute(
    async ({ signal }) => {
      await clock.advance(100)
      return await inside(signal)
    },
    { timeoutMs: 100 },
  )
}

describe('deadline', () => {
  it('lets a call in that has no deadline, or time left', async () => {
    const clock = new SimulatedClock()
    const policy = deadline({ clock })
    await expect(policy.execute(() => 'done')).resolves.toBe('done')
    await expect(policy.execute(({ remainingMs }) => remainingMs, { timeoutMs: 5 })).resolves.toBe(5)
  })

  it('refuses one whose time is over, and does not begin it', async () => {
    const clock = new SimulatedClock()
    const policy = deadline({ clock, name: 'in-time' })
    const work = vi.fn<() => void>()
    const refusal = { policy: 'deadline', rule: 'in-time', ruleVersion: 1, reason: 'deadline' }
    await expect(late(clock, signal => policy.execute(work, signal))).rejects.toMatchObject({
      code: 'HF_REJECTED',
      rejection: refusal,
    })
    expect(work).not.toHaveBeenCalled()
    expect(policy.describe()).toMatchObject({ admitted: 0, refused: 1 })
  })

  it('refuses what is begun inside a call whose time is over, at the very millisecond', async () => {
    const clock = new SimulatedClock()
    const policy = deadline({ clock })
    const after = (ms: number) =>
      policy.execute(
        async ({ signal }) => {
          await clock.advance(ms)
          return await policy.execute(() => 'done', signal)
        },
        { timeoutMs: 100 },
      )
    await expect(after(99)).resolves.toBe('done')
    await expect(after(100)).rejects.toMatchObject({ rejection: { reason: 'deadline' } })
  })

  it('carries a deadline over a hop by headers', async () => {
    const clock = new SimulatedClock()
    const near = pipeline(deadline({ clock }))
    const far = pipeline(deadline({ clock }))
    const request = async (latencyMs: number) =>
      await near.execute(
        async context => {
          const headers = headersOf(context)
          await clock.advance(latencyMs)
          return await far.execute(({ remainingMs }) => remainingMs, callOptionsFromHeaders(headers))
        },
        { timeoutMs: 300 },
      )
    // What the network takes is not known to the other side.
    await expect(request(40)).resolves.toBe(300)
  })

  it('only tells in shadow, and refuses again when its rule says so', async () => {
    const mode = new LiveValue<'shadow' | 'enforce'>('shadow')
    const clock = new SimulatedClock()
    const policy = deadline({ clock, mode })
    const run = (): Promise<string> => late(clock, signal => policy.execute(() => 'done', signal))
    await expect(run()).resolves.toBe('done')
    expect(policy.describe()).toMatchObject({ wouldRefuse: 1, refused: 0 })
    mode.set('enforce')
    await expect(run()).rejects.toMatchObject({ code: 'HF_REJECTED', rejection: { policy: 'deadline' } })
  })

  it('refuses options that it does not have', () => {
    expect(() => deadline({ timeoutMs: 5 } as object)).toThrow('Unknown option `timeoutMs` of deadline')
    expect(() => deadline(5 as unknown as object)).toThrow('Expected the options of deadline to be an object, got 5')
  })
})
