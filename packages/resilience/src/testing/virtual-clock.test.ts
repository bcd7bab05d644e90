import { describe, expect, it } from 'vitest'
import { VirtualClock } from './virtual-clock.ts'

describe('VirtualClock', () => {
  it('runs timers in the order of their times, and not those that were cancelled', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    for (const ms of [30, 10, 20]) clock.setTimer(() => void seen.push(`${ms} at ${clock.monotonicMs()}`), ms)
    clock.setTimer(() => void seen.push('cancelled'), 15).cancel()
    clock.setTimer(() => void seen.push('later'), 101)
    await clock.runUntil(100)
    expect(seen).toEqual(['10 at 10', '20 at 20', '30 at 30'])
    expect(clock.monotonicMs()).toBe(100)
    await clock.runUntil(101)
    expect(seen).toContain('later')
  })

  it('lets long chains of promises settle before the next event, however close it is', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    const chain = async (): Promise<void> => {
      for (let step = 0; step < 500; step++) await Promise.resolve()
      seen.push('chain')
    }
    clock.setTimer(() => void chain(), 1)
    clock.setTimer(() => void seen.push('next'), 1)
    await clock.runUntil(1)
    expect(seen).toEqual(['chain', 'next'])
  })

  it('rejects with what an event throws', async () => {
    const clock = new VirtualClock()
    clock.setTimer(() => {
      throw new Error('in an event')
    }, 1)
    await expect(clock.runUntil(10)).rejects.toThrow('in an event')
  })
})
