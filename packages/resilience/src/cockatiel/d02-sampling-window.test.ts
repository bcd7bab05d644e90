import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, failing, ignored } from './cockatiels.fixture.ts'

afterEach(() => void vi.useRealTimers())

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: four failures, five idle minutes and one failure open a window of five seconds that needs five.', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const breaker = new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 5_000, minimumRps: 1 })
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    for (let count = 0; count < 4; count++) await policy.execute(failing).catch(ignored)
    vi.setSystemTime(Date.now() + 300_000)
    expect(policy.state).toBe(cockatiel.CircuitState.Closed)
    await policy.execute(failing).catch(ignored)
    expect(policy.state).toBe(cockatiel.CircuitState.Open)
  })
})

test('D2: a time window forgets what is older than it is long, however long nobody called.', async () => {
  const clock = new SimulatedClock()
  const window = { kind: 'time', durationMs: 5_000, buckets: 5 } as const
  const policy = circuitBreaker({ window, minCalls: 5, clock })
  for (let count = 0; count < 4; count++) await policy.execute(failing).catch(ignored)
  await clock.advance(300_000)
  await policy.execute(failing).catch(ignored)
  expect(policy.state.kind).toBe('closed')
  expect(policy.describe().state).toMatchObject({ calls: 1 })
  // It does open when all five are within it.
  for (let count = 0; count < 4; count++) await policy.execute(failing).catch(ignored)
  expect(policy.state.kind).toBe('open')
})
