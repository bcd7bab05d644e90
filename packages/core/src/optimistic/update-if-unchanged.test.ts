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

interface Goods {
  units: number
  readonly tags: string[]
  readonly image: Uint8Array
  readonly at: Date
}

/** A cell of what can be changed in place. */
class Shelf implements Cell<Goods> {
  readonly name = 'the shelf'
  readonly goods: Goods = { units: 3, tags: ['new'], image: new Uint8Array(2), at: new Date(7) }
  writes = 0

  async read() {
    return { value: this.goods, version: 1 }
  }

  async writeIfUnchanged(): Promise<boolean> {
    this.writes += 1
    return true
  }
}

const never = (): never => {
  throw new Error('not to be written')
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

  it('answers what the cell says is there now', async () => {
    const cell: Cell<{ units: number; version: number }> = {
      name: 'the row',
      read: async () => ({ value: { units: 1, version: 1 }, version: 1 }),
      writeIfUnchanged: async (_seen, { units }) => ({ value: { units, version: 2 } }),
    }
    const outcome = await updateIfUnchanged(cell, seen => ({ ...seen, units: 0, version: 99 }))
    expect(outcome).toEqual({ kind: 'updated', value: { units: 0, version: 2 }, attempts: 1 })
  })

  it.each<[string, (goods: Goods) => void]>([
    ['a number', goods => void (goods.units -= 1)],
    ['deep inside', goods => void goods.tags.push('sold')],
    ['a byte', goods => void (goods.image[0] = 9)],
    ['a time', goods => void goods.at.setTime(0)],
    ['a function put in', goods => void Object.assign(goods, { sell: () => 1 })],
  ])('refuses a change in place that answers nothing, and writes nothing: %s', async (_what, forgetful) => {
    const cell = new Shelf()
    await expect(updateIfUnchanged(cell, async goods => forgetful(goods as Goods) as undefined)).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      argument: 'change',
      message:
        'Expected `change` to return the new value, got undefined after it had changed what it was given. Nothing was written.',
    })
    expect(cell.writes).toBe(0)
  })

  it('takes a change in place that is answered, and a look at all there is for none', async () => {
    const cell = new Shelf()
    const looked = await updateIfUnchanged(cell, goods => void JSON.stringify(goods) as undefined)
    expect(looked).toEqual({ kind: 'kept', value: { ...new Shelf().goods }, attempts: 1 })
    const changed = await updateIfUnchanged(cell, goods =>
      goods === undefined ? goods : Object.assign(goods, { units: 0 }),
    )
    expect(changed).toMatchObject({ kind: 'updated', value: { units: 0 } })
  })

  it('leaves what has in it more than data as it is, as before', async () => {
    const goods = { units: 1, sell: () => 1 }
    const cell: Cell<typeof goods> = {
      name: 'x',
      read: async () => ({ value: goods, version: 1 }),
      writeIfUnchanged: never,
    }
    expect(await updateIfUnchanged(cell, () => undefined)).toEqual({ kind: 'kept', value: goods, attempts: 1 })
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
