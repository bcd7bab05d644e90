import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RolloutRule } from './release.ts'
import { selects } from './selection.ts'

const scope = { app: 'shop', env: 'prod' }
const release = { number: 7, hash: 'ab'.repeat(32) }
const instance = { id: 'i-1', slot: 'shop-0', labels: { zone: 'a', tier: 'canary' } }
const percent = (value: number): RolloutRule => ({ kind: 'percent', percent: value })

function shareOf(rule: RolloutRule, of: { hash: string }): number {
  const slots = Array.from({ length: 10_000 }, (_, index) => `shop-${index}`)
  return slots.filter(slot => selects(rule, { ...instance, slot }, { number: 1, ...of }, scope)).length / 100
}

describe('selects', () => {
  it('selects by labels those that have all of them', () => {
    const labels = (wanted: Record<string, string>): boolean =>
      selects({ kind: 'labels', labels: wanted }, instance, release, scope)
    expect(labels({ tier: 'canary' })).toBe(true)
    expect(labels({ tier: 'canary', zone: 'a' })).toBe(true)
    expect(labels({ tier: 'canary', zone: 'b' })).toBe(false)
    expect(labels({ region: 'x' })).toBe(false)
    expect(labels({ constructor: 'x' })).toBe(false)
  })

  it('selects exactly the instances that are named', () => {
    expect(selects({ kind: 'instances', ids: ['i-0', 'i-1'] }, instance, release, scope)).toBe(true)
    expect(selects({ kind: 'instances', ids: ['i-0'] }, instance, release, scope)).toBe(false)
    expect(selects({ kind: 'instances', ids: [] }, instance, release, scope)).toBe(false)
  })

  it('selects by any of several rules those that one of them selects', () => {
    const any = (...of: readonly RolloutRule[]): boolean => selects({ kind: 'any', of }, instance, release, scope)
    const others: RolloutRule = { kind: 'instances', ids: ['i-0'] }
    expect(any()).toBe(false)
    expect(any(others, percent(0))).toBe(false)
    expect(any(others, { kind: 'labels', labels: { zone: 'a' } })).toBe(true)
  })

  it('selects nobody at 0 % and everybody at 100 %', () => {
    expect(shareOf(percent(0), release)).toBe(0)
    expect(shareOf(percent(100), release)).toBe(100)
  })

  it.each([1, 10, 25, 50, 90])('selects about %i % of 10,000 slots, whatever the release', share => {
    for (const hash of ['0'.repeat(64), '1'.repeat(64), 'ab'.repeat(32)]) {
      expect(Math.abs(shareOf(percent(share), { hash }) - share)).toBeLessThan(2)
    }
  })

  it('keeps who is selected as the percentage grows', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.double({ min: 0, max: 100, noNaN: true }),
        (slot, p, q) => {
          const [low, high] = [Math.min(p, q), Math.max(p, q)]
          const isSelected = (at: number): boolean => selects(percent(at), { ...instance, slot }, release, scope)
          expect(!isSelected(low) || isSelected(high)).toBe(true)
        },
      ),
      { seed: 10, numRuns: 500 },
    )
  })

  it('goes by the slot, not by the id or the release number: a restart changes nothing', () => {
    for (let at = 0; at <= 100; at += 5) {
      const first = selects(percent(at), instance, release, scope)
      expect(selects(percent(at), { ...instance, id: 'i-2', labels: {} }, { ...release, number: 8 }, scope)).toBe(first)
    }
  })

  it('is what it was in earlier versions, or a rollout under way would go to others', () => {
    const selected = Array.from({ length: 20 }, (_, index) => `shop-${index}`).filter(slot =>
      selects(percent(30), { ...instance, slot }, release, scope),
    )
    expect(selected).toEqual(['shop-0', 'shop-1', 'shop-8', 'shop-13'])
  })
})
