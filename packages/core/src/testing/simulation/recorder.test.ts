import { describe, expect, it } from 'vitest'
import { FencingToken } from '../../fencing/token.ts'
import { answeredDeadline, momentOf } from '../../lease/deadline.ts'
import type { Grant } from '../../ports/leases.ts'
import { seededRandom } from '../../random.ts'
import { Machine } from './machine.ts'
import { Recorder } from './recorder.ts'
import { Scheduler } from './scheduler.ts'

const TTL_MS = 1_000

/** A process that has been granted a lease at 0 ms. */
function placed(): {
  readonly recorder: Recorder
  readonly renewing: (ttlMs: number) => () => void
  readonly pass: (ms: number) => Promise<void>
} {
  const scheduler = new Scheduler()
  const clock = { rate: 1, monotonicMs: 0, wallMs: 0 }
  const machine = new Machine({ name: 'p1', scheduler, random: seededRandom(1), clock })
  const recorder = new Recorder(scheduler)
  const request = { resource: 'r', requestId: 'p1#1', ttlMs: TTL_MS, allowProvisional: true, meta: '{}' }
  const deadline = answeredDeadline(machine.clock, momentOf(machine.clock), TTL_MS)
  const grant: Grant = { request, token: new FencingToken(1n), ttlMs: TTL_MS, deadline, isProvisional: false }
  recorder.granted(machine, grant)
  return {
    recorder,
    renewing: ttlMs => {
      const renewal = recorder.renewing(machine, 'p1#1', ttlMs)
      const renewed = answeredDeadline(machine.clock, momentOf(machine.clock), ttlMs)
      return () => recorder.renewed('p1#1', renewal, renewed)
    },
    pass: ms => scheduler.run(scheduler.nowMs + ms),
  }
}

/** When the hold ended, by the history, to 100 ms: what is taken off for drift is less. */
function endOf(recorder: Recorder): number {
  const [hold] = recorder.finish()
  return hold?.kind === 'hold' ? Math.round(hold.validUntilMs / 100) * 100 : NaN
}

describe('A hold in the history', () => {
  it('ends by the last renewal that was answered', async () => {
    const { recorder, renewing, pass } = placed()
    await pass(300)
    const isAnswered = renewing(TTL_MS)
    await pass(100)
    isAnswered()
    await pass(5_000)
    expect(endOf(recorder)).toBe(1_300)
  })

  it('ends no later for a renewal that is not answered, but sooner for one that asks for less', async () => {
    const { recorder, renewing, pass } = placed()
    renewing(9_000)
    await pass(300)
    renewing(200)
    await pass(5_000)
    expect(endOf(recorder)).toBe(500)
  })

  it.each([
    ['the answer to an earlier renewal comes after it was sent', false],
    ['the answer to an earlier renewal comes after its own', true],
  ])('ends by the shorter renewal that was sent last when %s', async (_what, isLastAnswered) => {
    const { recorder, renewing, pass } = placed()
    await pass(300)
    const isAnswered = renewing(TTL_MS)
    await pass(100)
    const isLessAnswered = renewing(700)
    await pass(100)
    if (isLastAnswered) isLessAnswered()
    isAnswered()
    await pass(5_000)
    expect(endOf(recorder)).toBe(1_100)
  })
})
