import { describe, expect, it } from 'vitest'
import { momentOf } from '../lease/deadline.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { SessionDeadline } from './session-deadline.ts'

describe('SessionDeadline', () => {
  it('is two thirds of the timeout after the write was sent', async () => {
    const clock = new SimulatedClock()
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    expect(deadline.remainingMs()).toBe(2_000)
    await clock.advance(1_500)
    expect(deadline.remainingMs()).toBe(500)
    expect(deadline.ageMs()).toBe(1_500)
    expect(deadline.extend(momentOf(clock))).toBe(true)
    expect(deadline.remainingMs()).toBe(2_000)
  })

  it('counts from the sending, not from the answer', async () => {
    const clock = new SimulatedClock()
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    await clock.advance(1_000)
    const sent = momentOf(clock)
    await clock.advance(900)
    deadline.extend(sent)
    expect(deadline.remainingMs()).toBe(1_100)
  })

  it('does not go back for a write that was sent earlier', async () => {
    const clock = new SimulatedClock()
    const early = momentOf(clock)
    await clock.advance(1_000)
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    expect(deadline.extend(early)).toBe(true)
    expect(deadline.remainingMs()).toBe(2_000)
  })

  it('stays passed, whatever is acknowledged later', async () => {
    const clock = new SimulatedClock()
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    await clock.advance(1_990)
    const sent = momentOf(clock)
    await clock.advance(10)
    expect(deadline.extend(sent)).toBe(false)
    expect(deadline.remainingMs()).toBe(0)
  })

  it('passes when the wall clock says so, as after a sleep of the machine, and stays passed when it is set back', () => {
    const clock = new SimulatedClock()
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    clock.jumpWall(2_000)
    expect(deadline.remainingMs()).toBe(0)
    clock.jumpWall(-2_000)
    expect(deadline.remainingMs()).toBe(0)
  })

  it('gets shorter when another server grants less, and never longer', () => {
    const clock = new SimulatedClock()
    const deadline = new SessionDeadline(clock, momentOf(clock), 3_000)
    deadline.limitTo(6_000)
    expect(deadline.remainingMs()).toBe(2_000)
    deadline.limitTo(1_500)
    expect(deadline.remainingMs()).toBe(1_000)
  })
})
