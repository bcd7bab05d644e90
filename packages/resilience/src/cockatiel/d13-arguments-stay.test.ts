import { describe, expect, test } from 'vitest'
import { currentContext } from '../decorators/context-storage.ts'
import { resilient } from '../decorators/resilient.ts'
import { pipeline } from '../pipeline.ts'
import { COCKATIELS } from './cockatiels.fixture.ts'

/** What a method gets whose second argument may be left out. */
function argumentsOf(
  decorate: (target: object, key: string, descriptor: PropertyDescriptor) => unknown,
): Promise<unknown[][]> {
  const descriptor: PropertyDescriptor = { value: (...args: unknown[]) => Promise.resolve(args), configurable: true }
  const { value } = (decorate({}, 'read', descriptor) ?? descriptor) as {
    value(...args: unknown[]): Promise<unknown[]>
  }
  return Promise.all([value('item'), value('item', 2)])
}

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: the context stands where the argument would be that was left out.', async () => {
    const [without = [], full = []] = await argumentsOf(cockatiel.usePolicy(cockatiel.noop))
    expect(without).toHaveLength(2)
    expect(without[1]).toHaveProperty('signal')
    expect(full[1]).toBe(2)
    expect(full[2]).toHaveProperty('signal')
  })
})

test('D13: the arguments stay as they are, and the context is asked for.', async () => {
  const decorate = resilient(pipeline()) as unknown as Parameters<typeof argumentsOf>[0]
  await expect(argumentsOf(decorate)).resolves.toEqual([['item'], ['item', 2]])
  class Stock {
    @resilient(pipeline(), { context: true })
    async read(_item: string, _times?: number): Promise<unknown> {
      return await Promise.resolve(currentContext()?.signal)
    }
  }
  await expect(new Stock().read('item')).resolves.toBeInstanceOf(AbortSignal)
})
