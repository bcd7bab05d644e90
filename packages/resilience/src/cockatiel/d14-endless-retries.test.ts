import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { retry } from '../retry/retry.ts'
import { COCKATIELS, failing } from './cockatiels.fixture.ts'

const ENOUGH = 50

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: by default a retry never gives up, and never waits.', async () => {
    let calls = 0
    const work = (): Promise<string> => (++calls < ENOUGH ? failing() : Promise.resolve('at last'))
    const delays: number[] = []
    const policy = cockatiel.retry(cockatiel.handleAll, {})
    policy.onRetry(({ delay }) => delays.push(delay))
    await expect(policy.execute(work)).resolves.toBe('at last')
    expect(calls).toBe(ENOUGH)
    expect(new Set(delays)).toEqual(new Set([0]))
  })
})

test('D14: by default a retry gives up after three attempts, and waits longer before each.', async () => {
  const clock = new SimulatedClock()
  const work = vi.fn<() => Promise<never>>(failing)
  const policy = retry({ clock, random: { next: () => 0.5, bytes: () => new Uint8Array() } })
  const delays: number[] = []
  policy.onRetry(({ delayMs }) => void delays.push(delayMs))
  const caught = policy.execute(work).catch((error: unknown) => error)
  await clock.advance(60_000)
  await expect(caught).resolves.toMatchObject({ message: 'down' })
  expect(work).toHaveBeenCalledTimes(3)
  expect(delays).toEqual([50, 100])
})
