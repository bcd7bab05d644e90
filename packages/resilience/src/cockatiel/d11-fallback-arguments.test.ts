import { describe, expect, test } from 'vitest'
import { fallback } from '../fallback/fallback.ts'
import { COCKATIELS, failing } from './cockatiels.fixture.ts'

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: the function of a fallback is told nothing.', async () => {
    let told: unknown[] | undefined
    const factory = (...args: unknown[]): string => {
      told = args
      return 'instead'
    }
    expect(await cockatiel.fallback(cockatiel.handleAll, factory).execute(failing)).toBe('instead')
    expect(told).toEqual([])
  })
})

test('D11: the function of a fallback is told the failure, and the context of the call.', async () => {
  const error = new Error('down')
  const policy = fallback((failure, { key, attempt, signal }) => ({ failure, key, attempt, signal }))
  const answer = await policy.execute(() => Promise.reject(error), { key: 'tenant-1' })
  expect(answer).toMatchObject({ failure: { error }, key: 'tenant-1', attempt: 1 })
  expect((answer as { signal: unknown }).signal).toBeInstanceOf(AbortSignal)
})
