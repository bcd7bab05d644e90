import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, failing, ignored, openEnded } from './cockatiels.fixture.ts'

afterEach(() => void vi.useRealTimers())

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: a call that began before the break opens the half-open circuit, and the trial that goes well is not heard.', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const breaker = new cockatiel.ConsecutiveBreaker(2)
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    const [early, trial] = [openEnded(), openEnded()]
    const begunBefore = policy.execute(early.work)
    for (let count = 0; count < 2; count++) await policy.execute(failing).catch(ignored)
    vi.setSystemTime(Date.now() + 1_001)
    const trying = policy.execute(trial.work)
    expect(policy.state).toBe(cockatiel.CircuitState.HalfOpen)
    early.fail()
    await begunBefore.catch(ignored)
    expect(policy.state).toBe(cockatiel.CircuitState.Open)
    trial.finish()
    await trying
    expect(policy.state).toBe(cockatiel.CircuitState.Open)
  })
})

test('D7: a call counts in the state in which it began alone; the trial that goes well closes the circuit.', async () => {
  const clock = new SimulatedClock()
  const policy = circuitBreaker({ minCalls: 2, openMs: 1_000, openJitter: 0, halfOpenCalls: 1, clock })
  const [early, trial] = [openEnded(), openEnded()]
  const begunBefore = policy.execute(early.work)
  for (let count = 0; count < 2; count++) await policy.execute(failing).catch(ignored)
  await clock.advance(1_000)
  const trying = policy.execute(trial.work)
  early.fail()
  await begunBefore.catch(ignored)
  expect(policy.state.kind).toBe('half-open')
  trial.finish()
  await trying
  expect(policy.state.kind).toBe('closed')
})
