import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { LiveValue } from '@holdfast/core'
import { handleResultType, handleType } from 'cockatiel'
import { expect, test } from 'vitest'
import type { Mode } from '../stage.ts'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { pipeline } from '../pipeline.ts'
import { fallback } from './fallback.ts'

const failing = (): never => {
  throw new TypeError('down')
}

test('A value is answered instead of an error, and a call that succeeds is left alone.', async () => {
  const policy = fallback('last known')
  expect(await policy.execute(failing)).toBe('last known')
  expect(await policy.execute(() => 'fresh')).toBe('fresh')
  expect(policy.describe().state).toEqual({ fellBack: 1 })
})

test('The function is told the error, and what the call knows of itself.', async () => {
  const policy = fallback(({ error }, { key }) => `${(error as Error).message} for ${key}`)
  expect(await policy.execute(failing, { key: 'tenant-1' })).toBe('down for tenant-1')
})

test('A value that the filter takes for a failure is handed to the function.', async () => {
  class Empty {
    readonly items = 0
  }
  const policy = fallback(({ value }) => (value instanceof Empty ? 'instead' : 'what?'), {
    handle: handleResultType(Empty),
  })
  expect(await policy.execute(() => new Empty())).toBe('instead')
  expect(await policy.execute(() => 'full')).toBe('full')
})

test('An error that the filter does not take is thrown as it is.', async () => {
  const policy = fallback('instead', { handle: handleType(RangeError) })
  await expect(policy.execute(failing)).rejects.toThrow(TypeError)
})

test('The refusal of a policy inside is a failure as any other.', async () => {
  const full = bulkhead({ limit: 1 })
  const policy = pipeline(
    fallback(({ error }) => (error as { code: string }).code),
    full,
  )
  let done = (): void => {}
  const first = full.execute(() => new Promise<void>(resolve => (done = resolve)))
  expect(await policy.execute(() => 'in')).toBe('HF_REJECTED')
  done()
  await first
})

test('A call that its caller gave up is not answered with anything else.', async () => {
  const controller = new AbortController()
  const policy = fallback('instead')
  const running = policy.execute(
    ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    controller.signal,
  )
  controller.abort(new Error('gone'))
  await expect(running).rejects.toThrow('gone')
  expect(policy.describe().state).toEqual({ fellBack: 0 })
})

test('What the function throws is thrown, and says what it was called for.', async () => {
  const policy = fallback(() => {
    throw new Error('cache is down too')
  })
  const error = await policy.execute(failing).catch((thrown: unknown) => thrown as Error)
  expect(error).toMatchObject({ message: 'cache is down too', cause: { message: 'down' } })
})

test('A cause that the error has is left, and what cannot have one is thrown all the same.', async () => {
  const own = new Error('outer', { cause: 'mine' })
  expect(
    await fallback(() => Promise.reject(own))
      .execute(failing)
      .catch(same),
  ).toBe(own)
  expect(own.cause).toBe('mine')
  const frozen = Object.freeze(new Error('frozen'))
  expect(
    await fallback(() => Promise.reject(frozen))
      .execute(failing)
      .catch(same),
  ).toBe(frozen)
  const again = await fallback(({ error }) => Promise.reject(error as Error))
    .execute(failing)
    .catch(same)
  expect(again).toMatchObject({ message: 'down' })
  expect(again).not.toHaveProperty('cause')
})

test('In shadow it only tells that it would have stood in; switched off it does nothing.', async () => {
  const told: string[] = []
  const hear = (message: unknown): void => void told.push((message as { event: string }).event)
  subscribe('holdfast:resilience.event', hear)
  try {
    const mode = new LiveValue<Mode>('shadow')
    const policy = fallback('instead', { mode })
    await expect(policy.execute(failing)).rejects.toThrow('down')
    mode.set('off')
    await expect(policy.execute(failing)).rejects.toThrow('down')
    mode.set('enforce')
    expect(await policy.execute(failing)).toBe('instead')
    expect(told).toEqual(['wouldFallBack', 'fellBack'])
  } finally {
    unsubscribe('holdfast:resilience.event', hear)
  }
})

test('Options that nobody reads, and filters that are none, are refused with the value seen.', () => {
  expect(() => fallback('instead', { handle: 5 as never })).toThrow(
    'Expected `handle` to be a function or a filter of cockatiel, got 5.',
  )
  expect(() => fallback('instead', { handel: () => true } as never)).toThrow('Unknown option `handel` of fallback')
})

function same(thrown: unknown): unknown {
  return thrown
}
