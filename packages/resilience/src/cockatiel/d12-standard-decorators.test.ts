import { describe, expect, test } from 'vitest'
import { resilient } from '../decorators/resilient.ts'
import { pipeline } from '../pipeline.ts'
import { COCKATIELS } from './cockatiels.fixture.ts'

type Decorator = (method: unknown, context: ClassMethodDecoratorContext) => void

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: `usePolicy` throws where it stands as a decorator of the standard.', () => {
    const decorate = cockatiel.usePolicy(cockatiel.noop) as unknown as Decorator
    const define = (): unknown => {
      class Stock {
        @decorate
        async read(): Promise<number> {
          return await Promise.resolve(1)
        }
      }
      return Stock
    }
    expect(define).toThrow(TypeError)
    expect(define).toThrow("reading 'value'")
  })
})

test('D12: `resilient` stands as a decorator of the standard.', async () => {
  const policy = pipeline()
  class Stock {
    @resilient(policy)
    async read(): Promise<number> {
      return await Promise.resolve(1)
    }
  }
  await expect(new Stock().read()).resolves.toBe(1)
  expect(policy.describe().admitted).toBe(1)
})
