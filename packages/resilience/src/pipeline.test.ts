import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { Call, callOf } from './call.ts'
import type { CallContext } from './call.ts'
import { describePolicies } from './describe.ts'
import { rejected } from './errors.ts'
import type { AnyPolicy } from './pipeline.ts'
import { pipeline, policyOf } from './pipeline.ts'
import type { Policy } from './policy.ts'
import { retry } from './retry/retry.ts'
import { openRule } from './rule.ts'
import type { Layer, StageOptions } from './stage.ts'

const clock = new SimulatedClock()

function layer(name: string, run: Layer['run'], options: StageOptions = {}, by = clock): Policy {
  const rule = openRule<StageOptions, StageOptions>(name, options, given => ({ ...given }))
  return policyOf({ kind: 'layer', policy: name, clock: by, rule, describe: () => ({}), run }, {})
}

/** A policy that anybody could write by cockatiel's interface, and that passes nothing on. */
function bare(execute: (work: () => unknown) => unknown): AnyPolicy {
  const never = () => ({ dispose: () => {} })
  return { execute, onSuccess: never, onFailure: never } as unknown as AnyPolicy
}

describe('a pipeline', () => {
  it('of nothing runs the work', async () => {
    await expect(pipeline().execute(() => 'done')).resolves.toBe('done')
    await expect(pipeline().execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
  })

  it('puts the first around the second', async () => {
    const log: string[] = []
    const noted = (name: string): Policy =>
      layer(name, async (call, next) => {
        log.push(`${name} before`)
        const value = await next(call)
        log.push(`${name} behind`)
        return value
      })
    await pipeline(noted('a'), pipeline(noted('b')), noted('c')).execute(() => void log.push('work'))
    expect(log).toEqual(['a before', 'b before', 'c before', 'work', 'c behind', 'b behind', 'a behind'])
  })

  it('refuses what is no policy', () => {
    expect(() => pipeline({} as AnyPolicy)).toThrow('Expected each argument of pipeline to be a policy, got an object.')
    expect(() => pipeline(null as unknown as AnyPolicy)).toThrow('got null')
  })

  it('refuses work that is no function, before any policy hears of it', async () => {
    const policy = retry()
    const wrong = { code: 'HF_INVALID_ARGUMENT', argument: 'work' }
    await expect(policy.execute(undefined as never)).rejects.toMatchObject(wrong)
    await expect(policy.execute('work' as never, { key: 'k' })).rejects.toMatchObject(wrong)
    expect(() => policy.wrap(5 as never)).toThrow(expect.objectContaining(wrong))
    expect(policy.describe().admitted).toBe(0)
  })

  it('refuses policies of two clocks, also where one is deep inside', () => {
    const other = pipeline(pipeline(layer('b', (call, next) => next(call), {}, new SimulatedClock())))
    expect(() =>
      pipeline(
        layer('a', (call, next) => next(call)),
        other,
      ),
    ).toThrow('one `clock`, got 2')
  })

  it('of foreign policies alone, or of none, has no clock of its own, and stands beside any', async () => {
    const foreign = pipeline(bare(work => work()))
    const policy = pipeline(
      foreign,
      pipeline(),
      layer('a', (call, next) => next(call)),
    )
    await expect(policy.execute(() => 'done')).resolves.toBe('done')
  })

  it('rejects where a policy throws before it returns a promise', async () => {
    const breaks = bare(() => {
      throw new Error('at once')
    })
    await expect(pipeline(breaks).execute(() => 'done')).rejects.toThrow('at once')
    await expect(pipeline(breaks).execute(() => 'done', {})).rejects.toThrow('at once')
  })

  it('takes policies of another copy of the package, gates and layers', async () => {
    vi.resetModules()
    const other = await import('./index.ts')
    expect(other.pipeline).not.toBe(pipeline)
    const slots = other.bulkhead({ limit: 1 })
    const policy = pipeline(retry({ baseMs: 0 }), slots, other.retry({ maxAttempts: 1 }))
    await expect(
      policy.execute(({ attempt }) => (attempt < 3 ? Promise.reject(new Error('down')) : attempt)),
    ).resolves.toBe(3)
    expect([slots.describe().admitted, slots.executionSlots]).toEqual([3, 1])
  })

  it('runs the work inside a foreign policy that passes on no context', async () => {
    const caller = new AbortController()
    const policy = pipeline(bare(work => work()))
    const run = policy.execute(
      ({ signal }) => new Promise((_resolve, reject) => (signal.onabort = reject)),
      caller.signal,
    )
    caller.abort()
    await expect(run).rejects.toMatchObject({ type: 'abort' })
  })

  it('counts the calls that it let in, and so does each layer', async () => {
    const a = layer('a', (call, next) => next(call))
    const policy = pipeline(a)
    await pipeline(policy).execute(() => 1)
    await policy.execute(() => 1)
    expect(policy.describe()).toMatchObject({ policy: 'pipeline', admitted: 2, state: { policies: ['a'] } })
    expect(a.describe()).toMatchObject({ admitted: 2 })
  })

  it('leaves out a layer that is off, and asks it again when it is on', async () => {
    const mode = new LiveValue<'enforce' | 'off'>('off')
    const rule = openRule<StageOptions, StageOptions>('a', { mode }, given => ({ ...given }))
    const run: Layer['run'] = () => Promise.resolve('of the layer')
    const a = policyOf({ kind: 'layer', policy: 'a', clock, rule, describe: () => ({}), run }, {})
    const policy = pipeline(a)
    await expect(policy.execute(() => 'of the work')).resolves.toBe('of the work')
    mode.set('enforce')
    await expect(policy.execute(() => 'of the work')).resolves.toBe('of the layer')
    expect(a.describe()).toMatchObject({ admitted: 1, ruleVersion: 2 })
  })

  it('stays open for its members when it is closed: others may use them', async () => {
    let isClosed = false
    const stage: Layer = {
      kind: 'layer',
      policy: 'a',
      clock,
      rule: undefined,
      describe: () => ({}),
      run: (call, next) => next(call),
      close: () => void (isClosed = true),
    }
    const a = policyOf(stage, {})
    pipeline(a).close()
    expect(isClosed).toBe(false)
    a.close()
    expect(isClosed).toBe(true)
  })

  it('is among the policies that a process can describe', () => {
    const policy = pipeline(layer('seen-once', (call, next) => next(call)))
    expect(describePolicies().filter(({ name }) => name === 'seen-once')).toHaveLength(1)
    expect(policy.describe().name).toBe('pipeline')
  })
})

describe('one call through a pipeline', () => {
  it('tells its work what it was given, and a call inside inherits it by the signal', async () => {
    const policy = pipeline(layer('a', (call, next) => next(call)))
    const given = { key: 'acme', priority: 'high', timeoutMs: 500, cost: 3, idempotent: true } as const
    const seen = await policy.execute(
      outer => policy.execute(inner => ({ outer, inner }), { signal: outer.signal, priority: 'low' }),
      given,
    )
    expect(seen.outer).toMatchObject({ key: 'acme', priority: 'high', attempt: 1, remainingMs: 500 })
    expect(seen.inner).toMatchObject({ key: 'acme', priority: 'low', remainingMs: 500 })
  })

  it('can only shorten the deadline of the call around it', async () => {
    const policy = pipeline(layer('a', (call, next) => next(call)))
    const remaining = (timeoutMs: number) => (outer: CallContext) =>
      policy.execute(inner => inner.remainingMs, { signal: outer.signal, timeoutMs })
    await expect(policy.execute(remaining(200), { timeoutMs: 500 })).resolves.toBe(200)
    await expect(policy.execute(remaining(900), { timeoutMs: 500 })).resolves.toBe(500)
  })

  it('does not abort its signal by returning, and holds the caller’s no longer', async () => {
    const caller = new AbortController()
    const policy = pipeline(layer('a', (call, next) => next(call)))
    const signal = await policy.execute(context => context.signal, caller.signal)
    expect(signal.aborted).toBe(false)
    caller.abort()
    expect(signal.aborted).toBe(false)
  })

  it('whose signal is read first after its end does not link it to the caller’s any more', () => {
    const caller = new AbortController()
    const call = new Call(() => 1, { clock, outer: caller.signal })
    call.end()
    const { signal } = call
    caller.abort()
    expect(signal.aborted).toBe(false)
    expect(callOf(signal)).toBe(call)
  })

  it('that ends an attempt leaves the call around it as it was', () => {
    const call = new Call(() => 1, { clock })
    const attempt = call.derive()
    const { signal } = attempt
    attempt.cancel(new Error('slow'))
    expect([signal.aborted, call.isCancelled]).toEqual([true, false])
    const next = call.derive()
    call.cancel(new Error('gone'))
    expect((next.reason as Error).message).toBe('gone')
    expect((attempt.reason as Error).message).toBe('slow')
  })

  it('says with a refusal that goes through a layer whose it is', async () => {
    const refusal = rejected({ policy: 'p', rule: 'r', ruleVersion: 1, reason: 'shed' })
    const policy = pipeline(layer('a', () => Promise.reject(refusal)))
    await expect(policy.execute(() => 1)).rejects.toBe(refusal)
  })
})

describe('a call with a time', () => {
  it('rejects at its deadline whatever the work does, and its signal says why', async () => {
    const clock = new SimulatedClock()
    const policy = pipeline(gate({ clock }).policy)
    let signal: AbortSignal | undefined
    const running = policy.execute(
      context => {
        signal = context.signal
        return new Promise(() => {})
      },
      { timeoutMs: 100 },
    )
    const ended = running.catch((error: unknown) => error)
    await clock.advance(115)
    expect(await ended).toMatchObject({ code: 'HF_TIMEOUT', timeoutMs: 100 })
    expect(signal?.reason).toBe(await ended)
  })

  it('is refused when it has none left, before any policy is asked', async () => {
    const clock = new SimulatedClock()
    const { policy, asked } = gate({ clock })
    await expect(policy.execute(() => 1, { timeoutMs: 0 })).rejects.toMatchObject({ rejection: { reason: 'deadline' } })
    expect(asked()).toBe(0)
  })

  it('ends sooner when its caller gives up, with his reason', async () => {
    const clock = new SimulatedClock()
    const { policy } = gate({ clock })
    const abort = new AbortController()
    const running = policy.execute(() => new Promise(() => {}), { timeoutMs: 100, signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(clock.pendingTimers).toBeLessThanOrEqual(1)
  })

  it('that is part of another knows nothing of what that one stands for', async () => {
    const clock = new SimulatedClock()
    const { policy } = gate({ clock })
    const options = { idempotencyKey: 'order-7', fingerprint: { a: 1 }, cost: 5, idempotent: true, key: 'ann' } as const
    const inner = await policy.execute(
      outer => policy.execute(context => ({ ...context, key: context.key }), outer.signal),
      options,
    )
    expect(inner).toMatchObject({
      key: 'ann',
      cost: 1,
      idempotent: false,
      idempotencyKey: undefined,
      fingerprint: undefined,
    })
  })
})

function gate({ clock }: { readonly clock: SimulatedClock }) {
  let asked = 0
  const policy = policyOf(
    {
      kind: 'gate',
      policy: 'gate',
      clock,
      rule: undefined,
      describe: () => ({}),
      enter: () => asked++,
      leave: () => {},
      undo: () => {},
    },
    {},
  )
  return { policy, asked: () => asked }
}
