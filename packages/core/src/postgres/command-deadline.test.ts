import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { CommandDeadline, TIME_IS_OVER } from './command-deadline.ts'

function settled(work: Promise<unknown>): () => string {
  let state = 'pending'
  work.then(
    value => (state = `resolved ${String(value)}`),
    (error: unknown) => (state = error === TIME_IS_OVER ? 'time is over' : `rejected ${String(error)}`),
  )
  return () => state
}

describe('CommandDeadline', () => {
  it('ends what is still pending, and what comes later goes elsewhere', async () => {
    const clock = new SimulatedClock()
    const deadline = new CommandDeadline(clock, 100)
    const late: number[] = []
    let resolve: (value: number) => void = () => {}
    const work = new Promise<number>(fulfil => (resolve = fulfil))
    const pending = settled(deadline.race(work, value => late.push(value)))
    const done = settled(deadline.race(Promise.resolve(1)))
    await clock.advance(99)
    expect([pending(), done(), deadline.isOver, deadline.remainingMs()]).toEqual(['pending', 'resolved 1', false, 1])
    await clock.advance(1)
    expect([pending(), deadline.isOver, deadline.remainingMs()]).toEqual(['time is over', true, 0])
    resolve(2)
    await clock.advance(0)
    expect(late).toEqual([2])
    const after = settled(deadline.race(new Promise(() => {})))
    await clock.advance(0)
    expect(after()).toBe('time is over')
  })

  it('gives what came while the event loop stood still the time to be read', async () => {
    const clock = new SimulatedClock()
    const deadline = new CommandDeadline(clock, 100)
    const pending = settled(deadline.race(new Promise(() => {})))
    clock.stall(1_000)
    await clock.advance(49)
    expect(pending()).toBe('pending')
    await clock.advance(1)
    expect(pending()).toBe('time is over')
  })

  it('ends a pause, and a command that is done leaves no timer', async () => {
    const clock = new SimulatedClock()
    const deadline = new CommandDeadline(clock, 100)
    const short = settled(deadline.pause(10))
    const long = settled(deadline.pause(1_000))
    await clock.advance(10)
    expect([short(), long()]).toEqual(['resolved undefined', 'pending'])
    await clock.advance(90)
    expect(long()).toBe('resolved undefined')
    new CommandDeadline(clock, 100).cancel()
    expect(clock.pendingTimers).toBe(0)
  })
})
