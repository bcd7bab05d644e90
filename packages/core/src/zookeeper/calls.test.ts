import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import type { OpenCall } from './calls.ts'
import { Call, CallDeadlines } from './calls.ts'
import { reply } from './fake-server.fixture.ts'
import { sync } from './operations.ts'

interface Timed {
  readonly clock: SimulatedClock
  readonly calls: OpenCall[]
  readonly outcomes: string[]
  add(): OpenCall
}

function timed(): Timed {
  const clock = new SimulatedClock()
  const deadlines = new CallDeadlines(clock, 100, () => 'refused')
  const calls: OpenCall[] = []
  const outcomes: string[] = []
  const add = (): OpenCall => {
    const index = calls.length
    const call = new Call(sync('/'), deadlines, {
      resolve: () => (outcomes[index] = 'done'),
      reject: error => (outcomes[index] = error.failure.kind),
    })
    deadlines.add(call)
    calls.push(call)
    return call
  }
  return { clock, calls, outcomes, add }
}

describe('CallDeadlines', () => {
  it('fails each call after its own time, and says whether it was sent', async () => {
    const { clock, outcomes, add } = timed()
    add()
    await clock.advance(40)
    add().isSent = true
    await clock.advance(59)
    expect(outcomes).toEqual([])
    await clock.advance(1)
    expect(outcomes).toEqual(['unsent'])
    await clock.advance(40)
    expect(outcomes).toEqual(['unsent', 'timed-out'])
  })

  it('leaves answered calls alone, and leaves no timer behind them', async () => {
    const { clock, outcomes, add } = timed()
    const [one, other] = [add(), add()]
    one.answer(reply(1, 0))
    other.answer(reply(2, -101))
    expect(clock.pendingTimers).toBe(0)
    await clock.advance(1_000)
    expect(outcomes).toEqual(['done', 'refused'])
  })

  it('first lets in the answers that came during a stall of the event loop, and then fails the others', async () => {
    const { clock, outcomes, add } = timed()
    const [one, other] = [add(), add()]
    other.isSent = true
    clock.stall(5_000)
    await clock.advance(0)
    expect(outcomes).toEqual([])
    one.answer(reply(1, 0))
    clock.stall(5_000)
    await clock.advance(50)
    expect([outcomes, clock.pendingTimers]).toEqual([['done', 'timed-out'], 0])
  })

  it('settles a call once, however often it is answered', () => {
    const { outcomes, add } = timed()
    const call = add()
    call.fail({ kind: 'cut' })
    call.answer(reply(1, 0))
    call.fail({ kind: 'closed' })
    expect(outcomes).toEqual(['cut'])
  })

  it('keeps its count over thousands of calls', async () => {
    const { clock, outcomes, add } = timed()
    add()
    for (let index = 0; index < 5_000; index++) add().answer(reply(index, 0))
    await clock.advance(100)
    expect(outcomes[0]).toBe('unsent')
    expect(outcomes.slice(1).every(outcome => outcome === 'done')).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends a call by the session when the server says that it has expired', () => {
    const { outcomes, add } = timed()
    add().answer(reply(1, -112))
    expect(outcomes).toEqual(['session-lost'])
  })
})
