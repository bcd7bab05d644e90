import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import { pipeline } from '../pipeline.ts'
import type { DegradationOptions } from './degradation.ts'
import { degradation } from './degradation.ts'
import { degrade } from './degrade.ts'

function stage(options: Partial<DegradationOptions> = {}) {
  const clock = new SimulatedClock()
  const felt = { pressure: 0 }
  const level = degradation({ pressure: () => felt.pressure, clock, ...options })
  const seen: number[] = []
  level.subscribe(next => seen.push(next))
  return { clock, felt, level, seen }
}

describe('a level of degradation', () => {
  it('goes up a step at a time while it is bad, and no higher than its levels', async () => {
    const { clock, felt, level, seen } = stage({ levels: 2 })
    await clock.advance(5_000)
    expect(level.current).toBe(0)
    felt.pressure = 0.5
    await clock.advance(1_000)
    expect(level.current).toBe(0)
    await clock.advance(250)
    expect(level.current).toBe(1)
    await clock.advance(10_000)
    expect(seen).toEqual([1, 2])
  })

  it('comes back a step at a time when it has been well for long', async () => {
    const { clock, felt, level, seen } = stage()
    felt.pressure = 0.5
    await clock.advance(5_000)
    felt.pressure = 0
    await clock.advance(9_000)
    expect(level.current).toBe(3)
    await clock.advance(25_000)
    expect(seen).toEqual([1, 2, 3, 2, 1, 0])
  })

  it('waits longer before the next step back when one was too early', async () => {
    const { clock, felt, level } = stage({ levels: 1 })
    felt.pressure = 0.5
    await clock.advance(2_000)
    felt.pressure = 0
    await clock.advance(10_500)
    expect(level.current).toBe(0)
    felt.pressure = 0.5
    await clock.advance(2_000)
    expect(level.current).toBe(1)
    felt.pressure = 0
    await clock.advance(15_000)
    expect(level.current).toBe(1)
    await clock.advance(6_000)
    expect(level.current).toBe(0)
  })

  it('stays where it is between the two marks, and when nobody knows how bad it is', async () => {
    const { clock, felt, level } = stage()
    felt.pressure = 0.5
    await clock.advance(1_500)
    felt.pressure = 0.03
    await clock.advance(60_000)
    expect(level.current).toBe(1)
    felt.pressure = NaN
    await clock.advance(60_000)
    expect(level.current).toBe(1)
  })

  it('comes back from a measure that is never below its mark: a ratio of 0 where 0 is asked for', async () => {
    const { clock, felt, level } = stage({ worseAbove: 0, betterBelow: 0, levels: 1 })
    felt.pressure = 0.01
    await clock.advance(2_000)
    expect(level.current).toBe(1)
    felt.pressure = NaN
    await clock.advance(60_000)
    expect(level.current).toBe(1)
    felt.pressure = 0
    await clock.advance(11_000)
    expect(level.current).toBe(0)
  })

  it('survives a measure that throws', async () => {
    const { clock, level } = stage({
      pressure: () => {
        throw new Error('broken')
      },
    })
    await clock.advance(60_000)
    expect(level.current).toBe(0)
  })

  it('leaves no timer when it is closed', async () => {
    const { clock, level } = stage()
    await clock.advance(1_000)
    level.close()
    expect(clock.pendingTimers).toBe(0)
  })

  it.each([
    [{ levels: 0 }, 'Expected `levels` to be an integer from 1 to 10, got 0.'],
    [{ betterBelow: 0.5 }, 'Expected `betterBelow` to be a number from 0 to 0.05, got 0.5.'],
    [{ pressure: 5 }, 'Expected `pressure` to be a function, got 5.'],
  ])('refuses %o', (options, message) => {
    expect(() => stage(options as Partial<DegradationOptions>)).toThrow(message)
  })
})

describe('degrade', () => {
  it('does the work below its level, and something else from it on', async () => {
    const level = new LiveValue(0)
    const policy = degrade({ level, from: 2, instead: () => 'cheap' })
    expect(await policy.execute(() => 'dear')).toBe('dear')
    level.set(1)
    expect(await policy.execute(() => 'dear')).toBe('dear')
    level.set(2)
    expect(await policy.execute(() => 'dear')).toBe('cheap')
    level.set(0)
    expect(await policy.execute(() => 'dear')).toBe('dear')
    expect(policy.describe().state).toEqual({ level: 0, from: 2, degraded: 1 })
  })

  it('refuses where there is nothing else, and says at which level', async () => {
    const policy = pipeline(degrade({ level: 1, name: 'search' }))
    await expect(policy.execute(() => 1)).rejects.toMatchObject({
      code: 'HF_REJECTED',
      rejection: { policy: 'degrade', rule: 'search', reason: 'degraded', level: 1 },
    })
  })

  it('does the work all the same in shadow', async () => {
    expect(await degrade({ level: 9, mode: 'shadow' }).execute(() => 1)).toBe(1)
  })

  it.each([
    [{ level: 'high' }, 'Expected `level` to be a number or a Live of one, got "high".'],
    [{ level: 1, from: 0 }, 'Expected `from` to be an integer from 1 to 10, got 0.'],
    [{ level: 1, instead: 5 }, 'Expected `instead` to be a function, got 5.'],
  ])('refuses %o', (options, message) => {
    expect(() => degrade(options as never)).toThrow(message)
  })
})
