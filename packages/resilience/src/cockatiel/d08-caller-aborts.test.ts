import { describe, expect, test } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, ignored } from './cockatiels.fixture.ts'

interface Cancellable {
  execute(work: (context: { readonly signal: AbortSignal }) => Promise<unknown>, signal: AbortSignal): Promise<unknown>
}

/** A caller that gives up what is going well. */
async function cancelled(policy: Cancellable): Promise<void> {
  const controller = new AbortController()
  const work = ({ signal }: { readonly signal: AbortSignal }): Promise<unknown> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  const call = policy.execute(work, controller.signal)
  controller.abort()
  await call.catch(ignored)
}

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: three callers who give up open the circuit for all.', async () => {
    const breaker = new cockatiel.ConsecutiveBreaker(3)
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    for (let count = 0; count < 3; count++) await cancelled(policy)
    expect(policy.state).toBe(cockatiel.CircuitState.Open)
  })
})

test('D8: callers who give up say nothing about what is called.', async () => {
  const policy = circuitBreaker({ minCalls: 3 })
  for (let count = 0; count < 30; count++) await cancelled(policy)
  expect(policy.state.kind).toBe('closed')
  expect(policy.describe().state).toMatchObject({ calls: 0, failures: 0 })
})
