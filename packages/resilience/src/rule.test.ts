import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { InvalidArgumentError, LiveValue } from '@holdfast/core'
import { describe, expect, it } from 'vitest'
import type { LiveOptions, Rule } from './rule.ts'
import { openRule } from './rule.ts'

interface Limits {
  readonly name?: string
  readonly low?: number
  readonly high?: number
}

function open(given: LiveOptions<Limits>): Rule<{ low: number; high: number }> {
  return openRule('limits', given, ({ low = 1, high = 10 }: Limits) => {
    if (low > high) throw new InvalidArgumentError('low', `Expected \`low\` to be at most ${high}, got ${low}.`)
    return { low, high }
  })
}

describe('a rule', () => {
  it('has what it was given, with defaults, frozen, as version 1', () => {
    const rule = open({ low: 2 })
    expect(rule.current).toEqual({ low: 2, high: 10 })
    expect(Object.isFrozen(rule.current)).toBe(true)
    expect(rule.version).toBe(1)
  })

  it('throws for what is refused at first, and for what is no object', () => {
    expect(() => open({ low: 11 })).toThrow('Expected `low` to be at most 10, got 11.')
    expect(() => open(null as unknown as Limits)).toThrow('Expected the options of limits to be an object, got null.')
  })

  it('takes undefined for not given', () => {
    const given = { low: undefined as unknown as number }
    expect(open(given).current.low).toBe(1)
    const keys = openRule<Limits, object>('limits', new LiveValue<Limits>(given), options => Object.keys(options))
    expect(keys.current).toEqual([])
  })

  it('follows one live value, and all of them as one', () => {
    const low = new LiveValue(2)
    const whole = new LiveValue<Limits>({ low: 3 })
    const [single, all] = [open({ low, high: 20 }), open(whole)]
    low.set(5)
    whole.set({ high: 7 })
    expect([single.current, single.version]).toEqual([{ low: 5, high: 20 }, 2])
    expect([all.current, all.version]).toEqual([{ low: 1, high: 7 }, 2])
  })

  it('refuses a change whole, says why, and goes on by the last that was right', () => {
    const low = new LiveValue(2)
    const rule = open({ low })
    const heard: unknown[] = []
    rule.onChange((next, previous) => heard.push([previous.low, next.low]))
    low.set(50)
    expect([rule.current.low, rule.version, rule.refusal?.message]).toEqual([
      2,
      1,
      'Expected `low` to be at most 10, got 50.',
    ])
    low.set(3)
    expect([rule.current.low, rule.version, rule.refusal]).toEqual([3, 2, undefined])
    expect(heard).toEqual([[2, 3]])
  })

  it('takes two live values together, once both are right', () => {
    const [low, high] = [new LiveValue(1), new LiveValue(10)]
    const rule = open({ low, high })
    low.set(15)
    expect(rule.current).toEqual({ low: 1, high: 10 })
    high.set(20)
    expect([rule.current, rule.version]).toEqual([{ low: 15, high: 20 }, 2])
  })

  it('tells tools of changes, and of those that were refused', () => {
    const low = new LiveValue(2)
    open({ low })
    const heard: unknown[] = []
    const hear = (message: unknown): void => void heard.push((message as { event: string }).event)
    subscribe('holdfast:resilience.rule', hear)
    low.set(3)
    low.set(30)
    unsubscribe('holdfast:resilience.rule', hear)
    expect(heard).toEqual(['changed', 'changeRefused'])
  })

  it('follows nothing after `close`, and leaves no listener', () => {
    const low = new LiveValue(2)
    const rule = open({ low })
    rule.close()
    low.set(4)
    expect(rule.current.low).toBe(2)
    expect(low.listenerCount).toBe(0)
  })

  it('tells all who listen although one of them throws', () => {
    const low = new LiveValue(2)
    const rule = open({ low })
    let heard = 0
    rule.onChange(() => {
      throw new Error('a defect')
    })
    rule.onChange(() => (heard += 1))
    low.set(3)
    expect(heard).toBe(1)
  })
})
