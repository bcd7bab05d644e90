import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import type { Cell } from './cell.ts'
import { updateIfUnchanged } from './update-if-unchanged.ts'

/** A cell that others write before the first `conflicts` writes. */
class Contended implements Cell<number> {
  readonly name = 'the counter'
  value: number | undefined
  reads = 0
  #conflicts: number
  #version = 0

  constructor(value: number | undefined, conflicts = 0) {
    this.value = value
    this.#conflicts = conflicts
  }

  async read() {
    this.reads += 1
    return { value: this.value, version: this.#version }
  }

  async writeIfUnchanged({ version }: { readonly version: unknown }, value: number): Promise<boolean> {
    if (this.#conflicts > 0) {
      this.#conflicts -= 1
      this.#version += 1
      this.value = (this.value ?? 0) + 100
    }
    if (version !== this.#version) return false
    this.value = value
    return true
  }
}

const increment = (value: number | undefined): number => (value ?? 0) + 1

describe('updateIfUnchanged', () => {
  it('writes what was made of what was read', async () => {
    const cell = new Contended(7)
    expect(await updateIfUnchanged(cell, increment)).toEqual({ kind: 'updated', value: 8, attempts: 1 })
    expect(cell.value).toBe(8)
  })

  it('is told that nothing is there', async () => {
    const cell = new Contended(undefined)
    expect(await updateIfUnchanged(cell, value => (value === undefined ? 1 : 2))).toMatchObject({ value: 1 })
  })

  it('begins anew with what others wrote', async () => {
    const clock = new SimulatedClock()
    const cell = new Contended(0, 2)
    const updating = updateIfUnchanged(cell, increment, { clock })
    await clock.advance(1_000)
    expect(await updating).toEqual({ kind: 'updated', value: 201, attempts: 3 })
  })

  it('leaves it as it is when the change says so', async () => {
    const cell = new Contended(0)
    expect(await updateIfUnchanged(cell, () => undefined)).toEqual({ kind: 'kept', value: 0, attempts: 1 })
  })

  it('gives up after so many conflicts, and says of what', async () => {
    const clock = new SimulatedClock()
    const cell = new Contended(0, 99)
    const updating = updateIfUnchanged(cell, increment, { clock, attemptsMax: 3 })
    updating.catch(() => undefined)
    await clock.advance(1_000)
    await expect(updating).rejects.toMatchObject({
      code: 'HF_CONFLICT',
      message: expect.stringContaining('the counter') as unknown,
    })
    expect(cell.reads).toBe(3)
  })

  it('draws each pause from zero to twice as long as before, up to 64 times the first', async () => {
    const clock = new SimulatedClock()
    const random = { next: () => 1, bytes: () => new Uint8Array() }
    const cell = new Contended(0, 99)
    const updating = updateIfUnchanged(cell, increment, { clock, random, backOffMs: 10, attemptsMax: 9 })
    updating.catch(() => undefined)
    const readsAt: number[] = []
    for (let ms = 0; ms < 2_000 && cell.reads < 9; ms += 1) {
      while (readsAt.length < cell.reads) readsAt.push(clock.monotonicMs())
      await clock.advance(1)
    }
    await expect(updating).rejects.toMatchObject({ code: 'HF_CONFLICT' })
    const gaps = readsAt.slice(1).map((at, index) => at - (readsAt[index] ?? 0))
    expect(gaps).toEqual([10, 20, 40, 80, 160, 320, 640])
  })

  it('ends with the signal, also in a pause, and holds no timer then', async () => {
    const clock = new SimulatedClock()
    const abort = new AbortController()
    const updating = updateIfUnchanged(new Contended(0, 99), increment, {
      clock,
      backOffMs: 60_000,
      random: { next: () => 1, bytes: () => new Uint8Array() },
      signal: abort.signal,
    })
    await clock.advance(1)
    abort.abort(new Error('enough'))
    await expect(updating).rejects.toThrow('enough')
    expect(clock.pendingTimers).toBe(0)
  })

  it('throws what the change throws, and has written nothing', async () => {
    const cell = new Contended(7)
    const change = (): never => {
      throw new Error('no stock')
    }
    await expect(updateIfUnchanged(cell, change)).rejects.toThrow('no stock')
    expect(cell.value).toBe(7)
  })

  it.each([
    ['a cell', () => updateIfUnchanged({} as Cell<number>, increment)],
    ['a function', () => updateIfUnchanged(new Contended(0), 7 as never)],
    ['attemptsMax', () => updateIfUnchanged(new Contended(0), increment, { attemptsMax: 0 })],
    ['backOffMs', () => updateIfUnchanged(new Contended(0), increment, { backOffMs: -1 })],
    ['attempts', () => updateIfUnchanged(new Contended(0), increment, { attempts: 1 } as never)],
  ])('refuses what is not %s', async (word, run) => {
    await expect(run()).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: expect.stringContaining(word) as unknown,
    })
  })
})
