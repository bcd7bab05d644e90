import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, test } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, openEnded } from './cockatiels.fixture.ts'

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: what counts calls for a breaker is told that one succeeded, and not how long it took.', async () => {
    const told: unknown[][] = []
    const breaker = {
      state: undefined,
      success: (...args: unknown[]) => void told.push(args),
      failure: () => false,
    }
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    await policy.execute(() => 'after a long while')
    expect(told).toEqual([[cockatiel.CircuitState.Closed]])
  })
})

test('D16: calls that succeed too slowly open the circuit.', async () => {
  const clock = new SimulatedClock()
  const policy = circuitBreaker({ minCalls: 2, slowMs: 500, slowRatio: 1, clock })
  for (const ms of [501, 60_000]) {
    const { work, finish } = openEnded()
    const call = policy.execute(work)
    await clock.advance(ms)
    finish()
    await call
  }
  expect(policy.state).toMatchObject({ kind: 'open', cause: 'slow-calls' })
})
