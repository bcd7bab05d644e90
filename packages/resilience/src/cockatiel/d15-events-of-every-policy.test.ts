import { describe, expect, test } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import type { CallContext } from '../call.ts'
import { callOf } from '../call.ts'
import { pipeline } from '../pipeline.ts'
import { retry } from '../retry/retry.ts'
import { COCKATIELS } from './cockatiels.fixture.ts'

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: `wrap` tells of its outermost policy alone, and copies the context at each layer.', async () => {
    const outer = cockatiel.retry(cockatiel.handleAll, { maxAttempts: 1, backoff: new cockatiel.ConstantBackoff(1) })
    const inner = cockatiel.bulkhead(5, 5)
    const policy = cockatiel.wrap(outer, inner)
    expect(policy.onSuccess).toBe(outer.onSuccess)
    const told: string[] = []
    policy.onSuccess(() => told.push('wrap'))
    inner.onSuccess(() => told.push('inner'))
    const given: unknown[] = []
    const execute = (work: (context: unknown) => unknown): unknown => work(given[given.push({ signal: 1 }) - 1])
    const noted = {
      onSuccess: inner.onSuccess,
      onFailure: inner.onFailure,
      execute,
    } as unknown as typeof cockatiel.noop
    const received = await cockatiel.wrap(noted, noted).execute(context => context)
    expect(received).toEqual(given[1])
    expect(received).not.toBe(given[1])
    await policy.execute(() => 1)
    expect(told).toEqual(['wrap'])
  })
})

test('D15: a pipeline tells of itself, and each policy in it of its own part; all have one call.', async () => {
  const [outer, inner] = [retry({ maxAttempts: 2, baseMs: 1, capMs: 1 }), bulkhead({ limit: 5 })]
  const policy = pipeline(outer, inner)
  const told: string[] = []
  for (const [name, one] of Object.entries({ pipeline: policy, outer, inner })) {
    one.onSuccess(() => told.push(`${name} succeeded`))
    one.onFailure(() => told.push(`${name} failed`))
  }
  let runs = 0
  const seen: CallContext[] = []
  await policy.execute(context => {
    seen.push(context)
    return (runs += 1) === 1 ? Promise.reject(new Error('down')) : 1
  })
  expect(told).toEqual(['inner failed', 'inner succeeded', 'outer succeeded', 'pipeline succeeded'])
  expect(seen.map(context => callOf(context.signal) === context)).toEqual([true, true])
})
