import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { retry } from '../retry/retry.ts'
import { COCKATIELS, failing, settledOf } from './cockatiels.fixture.ts'

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: a retry sleeps on after its caller has given up, and then does it again.', async () => {
    const backoff = new cockatiel.ConstantBackoff(100)
    const policy = cockatiel.retry(cockatiel.handleAll, { maxAttempts: 1, backoff })
    const caller = new AbortController()
    const aborted: boolean[] = []
    const result = policy.execute(({ signal }) => {
      aborted.push(signal.aborted)
      return failing()
    }, caller.signal)
    result.catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 20))
    caller.abort(new Error('enough'))
    expect(await settledOf([result])).toBe(0)
    await expect(result).rejects.toThrow('down')
    expect(aborted).toEqual([false, true])
  })
})

test('D1: a retry ends its sleep when its caller gives up, with his reason, and does nothing again.', async () => {
  const clock = new SimulatedClock()
  const policy = retry({ baseMs: 10_000, clock })
  const caller = new AbortController()
  const work = vi.fn<() => Promise<never>>(failing)
  const result = policy.execute(work, caller.signal)
  const caught = result.catch((error: unknown) => error)
  await clock.advance(0)
  caller.abort(new Error('enough'))
  expect(await settledOf([result])).toBe(1)
  await expect(caught).resolves.toMatchObject({ message: 'enough' })
  await clock.advance(60_000)
  expect(work).toHaveBeenCalledOnce()
  expect(clock.pendingTimers).toBe(0)
})
