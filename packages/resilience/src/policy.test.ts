import { describe, expect, it } from 'vitest'
import { pipeline } from './pipeline.ts'

describe('a wrapped function', () => {
  it('keeps `this` and the arguments, and takes its call options from them', async () => {
    const counter = {
      base: 10,
      add: pipeline().wrap(
        function add(this: { base: number }, a: number, b: number = 1) {
          return this.base + a + b
        },
        { options: (a: number, _b?: number) => ({ key: `k${a}` }) },
      ),
    }
    await expect(counter.add(1, 2)).resolves.toBe(13)
    await expect(counter.add(1)).resolves.toBe(12)
  })

  it('rejects, and does not throw, when its options throw or are wrong', async () => {
    const throws = pipeline().wrap(() => 1, {
      options: () => {
        throw new Error('no key')
      },
    })
    await expect(throws()).rejects.toThrow('no key')
    const wrong = pipeline().wrap(() => 1, { options: () => ({ cost: -1 }) })
    await expect(wrong()).rejects.toThrow('Expected `cost` to be an integer from 0 to 1000000, got -1.')
  })
})
