import { describe, expect, it } from 'vitest'
import { SampleWindow } from './sample-window.ts'

function windowOf(successes: number, drops = 0): SampleWindow {
  const window = new SampleWindow(1_000)
  window.successes = successes
  window.sumMs = successes * 20
  window.drops = drops
  return window
}

describe('SampleWindow', () => {
  it('is full after 100 ms with 50 samples, and not before either', () => {
    expect(windowOf(50).isFull(1_099, 20)).toBe(false)
    expect(windowOf(49).isFull(1_100, 20)).toBe(false)
    expect(windowOf(50).isFull(1_100, 20)).toBe(true)
  })

  it('counts drops as samples', () => {
    expect(windowOf(20, 30).isFull(1_100, 20)).toBe(true)
  })

  it('is twice as long as calls take, however many there are', () => {
    expect(windowOf(5_000).isFull(1_599, 300)).toBe(false)
    expect(windowOf(5_000).isFull(1_600, 300)).toBe(true)
  })

  it('makes do with 10 samples after two seconds', () => {
    expect(windowOf(10).isFull(2_999, 20)).toBe(false)
    expect(windowOf(10).isFull(3_000, 20)).toBe(true)
    expect(windowOf(9).isFull(60_000, 20)).toBe(false)
  })

  it('is stale after ten seconds, or ten times a call, however many samples came before a gap', () => {
    expect(windowOf(9).isStale(11_000, 20)).toBe(false)
    expect(windowOf(9).isStale(11_001, 20)).toBe(true)
    expect(windowOf(49).isStale(11_001, 20)).toBe(true)
    expect(windowOf(9).isStale(11_001, 2_000)).toBe(false)
  })

  it('begins anew with the calls that are in flight', () => {
    const window = windowOf(50, 3)
    window.refused = 7
    window.reset(2_000, 12)
    expect(window).toMatchObject({ sinceMs: 2_000, successes: 0, sumMs: 0, drops: 0, refused: 0, inFlightMax: 12 })
  })
})
