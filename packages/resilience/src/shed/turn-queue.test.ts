import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import { TurnQueue } from './turn-queue.ts'

class Loop {
  readonly clock = new SimulatedClock()
  readonly #turns: (() => void)[] = []
  readonly queue = new TurnQueue(this.clock, run => this.#turns.push(run))

  turn(): void {
    this.#turns.shift()?.()
  }

  get isIdle(): boolean {
    return this.#turns.length === 0
  }
}

describe('a queue of turns', () => {
  it('starts one a turn, first come, first served, and rests when it is empty', () => {
    const loop = new Loop()
    const started: string[] = []
    for (const name of ['a', 'b', 'c']) loop.queue.add(2, () => started.push(name))
    expect(started).toEqual([])
    loop.turn()
    expect(started).toEqual(['a'])
    loop.turn()
    loop.turn()
    expect(started).toEqual(['a', 'b', 'c'])
    loop.turn()
    expect(loop.isIdle).toBe(true)
    loop.queue.add(2, () => started.push('d'))
    loop.turn()
    expect(started).toEqual(['a', 'b', 'c', 'd'])
  })

  it('does not start what was taken out, be it the first, the last or one between', () => {
    for (const gone of ['a', 'b', 'c']) {
      const loop = new Loop()
      const started: string[] = []
      const leave = new Map(['a', 'b', 'c'].map(name => [name, loop.queue.add(2, () => started.push(name))] as const))
      leave.get(gone)?.()
      leave.get(gone)?.()
      expect(loop.queue.length).toBe(2)
      loop.queue.add(2, () => started.push('d'))
      for (let turn = 0; turn < 6; turn += 1) loop.turn()
      expect(started).toEqual(['a', 'b', 'c', 'd'].filter(name => name !== gone))
      expect(loop.isIdle).toBe(true)
    }
  })

  it('goes on when one of them throws', () => {
    const loop = new Loop()
    const started: string[] = []
    loop.queue.add(2, () => {
      throw new Error('broken')
    })
    loop.queue.add(2, () => started.push('b'))
    expect(() => loop.turn()).toThrow('broken')
    loop.turn()
    expect(started).toEqual(['b'])
  })

  it('knows how long one waits: by how many are before it and how long turns took', async () => {
    const loop = new Loop()
    for (let index = 0; index < 200; index += 1) loop.queue.add(2, () => {})
    for (let turn = 0; turn < 100; turn += 1) {
      await loop.clock.advance(5)
      loop.turn()
    }
    expect(loop.queue.length).toBe(100)
    expect(loop.queue.waitMs).toBeGreaterThan(490)
    expect(loop.queue.waitMs).toBeLessThanOrEqual(500)
  })

  it('expects no long turns of those that come because one stood for an hour', async () => {
    const loop = new Loop()
    for (let index = 0; index < 100; index += 1) loop.queue.add(2, () => {})
    for (let turn = 0; turn < 90; turn += 1) {
      await loop.clock.advance(1)
      loop.turn()
    }
    await loop.clock.advance(3_600_000)
    loop.turn()
    expect(loop.queue.length).toBe(9)
    expect(loop.queue.waitMs).toBeLessThan(60)
  })

  it('learns within some turns that all have become long', async () => {
    const loop = new Loop()
    for (let index = 0; index < 200; index += 1) loop.queue.add(2, () => {})
    for (let turn = 0; turn < 50; turn += 1) {
      await loop.clock.advance(turn < 10 ? 1 : 2_000)
      loop.turn()
    }
    expect(loop.queue.waitMs / loop.queue.length).toBeGreaterThan(1_800)
  })

  it('starts higher priorities first, and waits of a priority count only what goes before it', async () => {
    const loop = new Loop()
    for (let index = 0; index < 100; index += 1) loop.queue.add(2, () => {})
    for (let turn = 0; turn < 100; turn += 1) {
      await loop.clock.advance(5)
      loop.turn()
    }
    const started: string[] = []
    for (const [tier, name] of [
      [0, 'background'],
      [4, 'critical'],
      [2, 'normal'],
      [4, 'critical too'],
    ] as const) {
      loop.queue.add(tier, () => started.push(name))
    }
    const waits = [0, 1, 2, 3, 4].map(tier => Math.round(loop.queue.waitMsOf(tier) / 5))
    expect(waits).toEqual([4, 3, 3, 2, 2])
    for (let turn = 0; turn < 6; turn += 1) loop.turn()
    expect(started).toEqual(['critical', 'critical too', 'normal', 'background'])
  })

  it('starts who has waited for half a second before those of higher priority', async () => {
    const loop = new Loop()
    const started: string[] = []
    loop.queue.add(0, () => started.push('background'))
    for (let turn = 0; turn < 150; turn += 1) {
      loop.queue.add(4, () => started.push('critical'))
      await loop.clock.advance(5)
      loop.turn()
    }
    const at = started.indexOf('background')
    expect(at).toBeGreaterThan(95)
    expect(at).toBeLessThan(110)
  })
})
