import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { inspectAs } from './inspected.ts'

it('shows the name and the facts in their order, and nothing else; what is undefined is left out', () => {
  const thing = { secret: 'hunter2' }
  inspectAs(thing, 'Thing', ({ secret }) => ({ length: secret.length, nothing: undefined, isSafe: true }))
  expect(inspect(thing)).toBe('Thing { length: 7, isSafe: true }')
  expect(Object.keys(thing)).toEqual(['secret'])
})

it('is for all objects of a prototype, each with its own facts, and for the prototype itself as before', () => {
  class Counter {
    readonly #count: number
    constructor(count: number) {
      this.#count = count
    }
    static {
      inspectAs(this.prototype, 'Count', counter => ({ count: counter.#count }))
    }
  }
  expect(inspect([new Counter(1), new Counter(2)])).toBe('[ Count { count: 1 }, Count { count: 2 } ]')
  expect(() => inspect(Counter.prototype)).not.toThrow()
})

it('goes no deeper than whoever looks', () => {
  const thing = {}
  inspectAs(thing, 'Thing', () => ({ inner: { deep: {} } }))
  expect(inspect({ thing }, { depth: 0 })).toBe('{ thing: [Thing] }')
  expect(inspect(thing, { depth: 0 })).toBe('Thing { inner: [Object] }')
})
