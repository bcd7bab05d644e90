import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../call.ts'
import { cache } from '../cache/cache.ts'
import { pipeline } from '../pipeline.ts'
import { retry } from '../retry/retry.ts'
import { timeout } from '../timeout/timeout.ts'
import { coalesce } from './coalesce.ts'

interface Gate {
  readonly runs: CallContext[]
  work(context: CallContext): Promise<unknown>
  settle(index: number, value: unknown): void
}

function gate(): Gate {
  const runs: CallContext[] = []
  const settles: ((value: unknown) => void)[] = []
  return {
    runs,
    work(context) {
      runs.push(context)
      return new Promise((resolve, reject) =>
        settles.push(value => (value instanceof Error ? reject(value) : resolve(value))),
      )
    },
    settle: (index, value) => settles[index]?.(value),
  }
}

describe('calls with one key', () => {
  it('share one run, and each has its value', async () => {
    const [policy, { work, settle, runs }] = [coalesce(), gate()]
    const calls = Array.from({ length: 50 }, () => policy.execute(work, { key: 'k' }))
    expect(policy.inFlight).toBe(1)
    settle(0, 'value')
    await expect(Promise.all(calls)).resolves.toEqual(Array.from({ length: 50 }, () => 'value'))
    expect(runs).toHaveLength(1)
    expect(policy.inFlight).toBe(0)
    expect(policy.describe().state).toEqual({ inFlight: 0, joined: 49 })
  })

  it('share an error, and the next call runs anew', async () => {
    const [policy, { work, settle, runs }] = [coalesce(), gate()]
    const error = new Error('down')
    const calls = [policy.execute(work, { key: 'k' }), policy.execute(work, { key: 'k' })]
    settle(0, error)
    const settled = await Promise.allSettled(calls)
    expect(settled.map(one => (one as PromiseRejectedResult).reason as Error)).toEqual([error, error])
    const next = policy.execute(work, { key: 'k' })
    settle(1, 'well')
    await expect(next).resolves.toBe('well')
    expect(runs).toHaveLength(2)
  })

  it('leave alone when they abort, the one that began it too', async () => {
    const [policy, { work, settle, runs }] = [coalesce(), gate()]
    const first = new AbortController()
    const [began, joined] = [
      policy.execute(work, { key: 'k', signal: first.signal }),
      policy.execute(work, { key: 'k' }),
    ]
    const signal = runs[0]?.signal
    first.abort(new Error('gone'))
    await expect(began).rejects.toThrow('gone')
    expect(signal?.aborted).toBe(false)
    settle(0, 'value')
    await expect(joined).resolves.toBe('value')
  })

  it('end the run when all have left, and one that comes then runs anew', async () => {
    const [policy, { work, settle, runs }] = [coalesce(), gate()]
    const [a, b] = [new AbortController(), new AbortController()]
    const calls = [a, b].map(({ signal }) => policy.execute(work, { key: 'k', signal }))
    const signal = runs[0]?.signal
    a.abort(new Error('a gone'))
    b.abort(new Error('b gone'))
    await Promise.allSettled(calls)
    expect(signal?.reason).toMatchObject({ message: 'b gone' })
    const next = policy.execute(work, { key: 'k' })
    settle(0, 'of the first')
    settle(1, 'of the second')
    await expect(next).resolves.toBe('of the second')
  })

  it('are not begun when they were given up before', async () => {
    const [policy, { work, runs }] = [coalesce(), gate()]
    const run = policy.execute(work, { key: 'k', signal: AbortSignal.abort(new Error('gone')) })
    await expect(run).rejects.toThrow('gone')
    expect(runs).toHaveLength(0)
  })

  it('have the priority of the first and no deadline, while each caller leaves by his own', async () => {
    const clock = new SimulatedClock()
    const [shared, { work, settle, runs }] = [coalesce({ clock }), gate()]
    const policy = pipeline(shared, timeout({ timeoutMs: 1_000, clock }))
    const first = policy.execute(work, { key: 'k', timeoutMs: 100, priority: 'high' }).catch((error: unknown) => error)
    const second = policy.execute(work, { key: 'k', timeoutMs: 500 })
    expect(runs[0]).toMatchObject({ remainingMs: 1_000, priority: 'high', key: 'k' })
    await clock.advance(200)
    await expect(first).resolves.toMatchObject({ code: 'HF_TIMEOUT', timeoutMs: 100 })
    settle(0, 1)
    await expect(second).resolves.toBe(1)
  })
})

describe('calls that share nothing', () => {
  it('are those of different keys, and those without one', async () => {
    const [policy, { work, settle, runs }] = [coalesce(), gate()]
    const calls = [{ key: 'a' }, { key: 'b' }, {}, {}].map(options => policy.execute(work, options))
    expect(runs).toHaveLength(4)
    runs.forEach((_run, index) => settle(index, index))
    await expect(Promise.all(calls)).resolves.toEqual([0, 1, 2, 3])
  })

  it('are one, and the call that its work makes with the same key, which would wait for itself', async () => {
    const policy = pipeline(retry(), coalesce(), timeout({ timeoutMs: 1_000 }))
    const inner = ({ signal }: CallContext): Promise<string> => policy.execute(() => 'inner', { key: 'k', signal })
    const outer = async (context: CallContext): Promise<string> => {
      await Promise.resolve()
      return `outer of ${await inner(context)}`
    }
    await expect(policy.execute(outer, { key: 'k' })).resolves.toBe('outer of inner')
  })

  it('are those of further keys when `keysMax` have a run', async () => {
    const keysMax = new LiveValue(1)
    const [policy, { work, settle, runs }] = [coalesce({ keysMax, key: ({ key }) => key }), gate()]
    const calls = ['a', 'b', 'b', 'a'].map(key => policy.execute(work, { key }))
    expect(runs).toHaveLength(3)
    expect(policy.inFlight).toBe(1)
    keysMax.set(0)
    expect(policy.describe().ruleRefusal).toContain('Expected `keysMax` to be an integer from 1 to 1000000, got 0.')
    runs.forEach((_run, index) => settle(index, index))
    await expect(Promise.all(calls)).resolves.toEqual([0, 1, 2, 0])
  })

  it('are all in shadow', async () => {
    const [policy, { work, settle, runs }] = [coalesce({ mode: 'shadow' }), gate()]
    const calls = [1, 2].map(() => pipeline(policy).execute(work, { key: 'k' }))
    expect(runs).toHaveLength(2)
    settle(0, 'a')
    settle(1, 'b')
    await expect(Promise.all(calls)).resolves.toEqual(['a', 'b'])
  })
})

it.each([
  ['a promise', Promise.resolve('k')],
  ['a number', 7],
  ['null', null],
])('%s is no key', async (_what, key) => {
  for (const policy of [coalesce({ key: () => key as never }), cache({ ttlMs: 1_000, key: () => key as never })]) {
    const wrong = { code: 'HF_INVALID_ARGUMENT', argument: 'key' }
    await expect(policy.execute(() => 'done')).rejects.toMatchObject(wrong)
  }
})

it('options of coalesce that nobody reads or that are wrong are refused', () => {
  expect(() => coalesce({ ttlMs: 5 } as object)).toThrow('Unknown option `ttlMs` of coalesce')
  expect(() => coalesce({ key: 'k' } as object)).toThrow('Expected `key` to be a function, got "k".')
})
