import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from './clock.ts'

describe('systemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it('reads the monotonic clock and the wall clock of the machine', () => {
    vi.setSystemTime(1_700_000_000_000)
    const before = systemClock.monotonicMs()
    vi.advanceTimersByTime(250)
    expect(systemClock.monotonicMs() - before).toBe(250)
    expect(systemClock.wallMs()).toBe(1_700_000_000_250)
  })

  it('runs a timer once, after its delay', () => {
    let runs = 0
    systemClock.setTimer(() => (runs += 1), 100)
    vi.advanceTimersByTime(99)
    expect(runs).toBe(0)
    vi.advanceTimersByTime(500)
    expect(runs).toBe(1)
  })

  it('never runs a cancelled timer, and cancels one that has run without harm', () => {
    let runs = 0
    const timer = systemClock.setTimer(() => (runs += 1), 10)
    timer.cancel()
    vi.advanceTimersByTime(20)
    expect(runs).toBe(0)
    const past = systemClock.setTimer(() => (runs += 1), 10)
    vi.advanceTimersByTime(20)
    past.cancel()
    expect(runs).toBe(1)
  })

  it('waits as long as a timer can for a delay that is longer, instead of not at all', () => {
    let runs = 0
    systemClock.setTimer(() => (runs += 1), Infinity)
    systemClock.setTimer(() => (runs += 1), 1e12)
    vi.advanceTimersByTime(2_147_483_646)
    expect(runs).toBe(0)
    vi.advanceTimersByTime(1)
    expect(runs).toBe(2)
  })

  it('runs a timer with a delay that is past at the next occasion', () => {
    let runs = 0
    systemClock.setTimer(() => (runs += 1), -5)
    vi.advanceTimersByTime(1)
    expect(runs).toBe(1)
  })
})

describe('systemClock on the real event loop', () => {
  it('lets a background timer not hold the process, and another hold it', () => {
    const timers = process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
    const background = systemClock.setTimer(() => {}, 60_000)
    expect(process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length).toBe(timers)
    const holding = systemClock.setTimer(() => {}, 60_000, { background: false })
    expect(process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length).toBe(timers + 1)
    background.cancel()
    holding.cancel()
  })
})
