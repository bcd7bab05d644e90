import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, failing, ignored } from './cockatiels.fixture.ts'

const HOUR_MS = 3_600_000

afterEach(() => void vi.useRealTimers())

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: a clock that is set back by an hour keeps the circuit open for that hour.', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const breaker = new cockatiel.ConsecutiveBreaker(1)
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    await policy.execute(failing).catch(ignored)
    vi.setSystemTime(Date.now() - HOUR_MS)
    vi.setSystemTime(Date.now() + HOUR_MS - 1)
    await expect(policy.execute(() => 'in')).rejects.toThrow('circuit breaker is open')
    vi.setSystemTime(Date.now() + 1_001)
    expect(await policy.execute(() => 'in')).toBe('in')
  })
})

test('D9: a clock that is set back, or forward, changes nothing about how long the circuit is open.', async () => {
  const clock = new SimulatedClock()
  const policy = circuitBreaker({ minCalls: 1, openMs: 1_000, openJitter: 0, halfOpenCalls: 1, clock })
  await policy.execute(failing).catch(ignored)
  clock.jumpWall(2 * HOUR_MS)
  await expect(policy.execute(() => 'in')).rejects.toMatchObject({ rejection: { retryAfterMs: 1_000 } })
  clock.jumpWall(-3 * HOUR_MS)
  await clock.advance(1_000)
  expect(await policy.execute(() => 'in')).toBe('in')
})
