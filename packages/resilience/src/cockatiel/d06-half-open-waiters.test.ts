import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { COCKATIELS, failing, ignored, openEnded, settledOf } from './cockatiels.fixture.ts'

afterEach(() => void vi.useRealTimers())

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: all who call while the trial call hangs, hang with it.', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const breaker = new cockatiel.ConsecutiveBreaker(1)
    const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { breaker, halfOpenAfter: 1_000 })
    await policy.execute(failing).catch(ignored)
    vi.setSystemTime(Date.now() + 1_001)
    const trial = openEnded()
    const hanging = policy.execute(trial.work)
    const callers = Array.from({ length: 1_000 }, () => policy.execute(() => 'in'))
    vi.setSystemTime(Date.now() + 3_600_000)
    expect(await settledOf(callers)).toBe(0)
    trial.finish()
    await Promise.all([hanging, ...callers])
  })
})

test('D6: all who call while the trial call hangs are refused at once, with the time; and it does not hang for ever.', async () => {
  const clock = new SimulatedClock()
  const policy = circuitBreaker({
    minCalls: 1,
    openMs: 1_000,
    openJitter: 0,
    halfOpenCalls: 1,
    halfOpenMsMax: 30_000,
    clock,
  })
  await policy.execute(failing).catch(ignored)
  await clock.advance(1_000)
  const trial = openEnded()
  const hanging = policy.execute(trial.work)
  const callers = Array.from({ length: 1_000 }, () => policy.execute(() => 'in'))
  const outcomes = await Promise.allSettled(callers)
  const rejection = { reason: 'circuit-half-open', retryAfterMs: 1_000, limit: 1 }
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { rejection } })
  await clock.advance(30_000)
  expect(policy.state).toMatchObject({ kind: 'open', cause: 'trial-timeout' })
  await clock.advance(2_000)
  expect(await policy.execute(() => 'in')).toBe('in')
  expect(policy.state.kind).toBe('closed')
  trial.finish()
  await hanging
})
