import { readFileSync } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { SpanStatusCode, context, trace } from '@opentelemetry/api'
import type { Meter, Tracer } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import { UnavailableError } from '../errors.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import { downgradeLease } from '../lease/downgrade.ts'
import { memoryBackend, memoryFence } from '../memory/index.ts'
import { FencingToken } from '../fencing/token.ts'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '../testing/index.ts'
import { instrumentLocks } from './index.ts'
import { INSTRUMENTATION } from './instrument-locks.ts'
import { AsyncContexts, Measured } from './measured.fixture.ts'

const COMMON = { 'holdfast.backend': 'scripted', 'holdfast.lock.mode': 'exclusive' }

let clock: SimulatedClock
let store: ScriptedLeaseStore
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  store = new ScriptedLeaseStore(clock)
  backend = scriptedBackend(store)
})

function reported(): unknown[] {
  const errors: unknown[] = []
  const hear = (message: unknown): void => void errors.push((message as { readonly error: unknown }).error)
  subscribe('holdfast:listener.error', hear)
  onTestFinished(() => void unsubscribe('holdfast:listener.error', hear))
  return errors
}

describe('A lock that is acquired and released', () => {
  it('is a span of the wait and one of the hold, with backend, name, mode and token', async () => {
    const measured = new Measured({ clock })
    const lease = await acquireLease(backend, 'stock:42', {})
    expect(measured.spans('hold')).toEqual([])
    await lease.release()
    const said = { ...COMMON, 'holdfast.lock.resource': 'stock:42', 'holdfast.lock.token': '00000000000000000001' }
    expect(measured.span('acquire').attributes).toEqual({ ...said, 'holdfast.lock.outcome': 'granted' })
    expect(measured.span('hold').attributes).toEqual({ ...said, 'holdfast.lock.end': 'released' })
    expect(measured.span('hold').status.code).toBe(SpanStatusCode.UNSET)
  })

  it('is measured in seconds of the clock, with bounds made for seconds', async () => {
    const measured = new Measured({ clock })
    store.answers.grant = async request => {
      await clock.advance(1_500)
      return store.grantOf(request)
    }
    const lease = await acquireLease(backend, 'r', {})
    await clock.advance(4_000)
    await lease.release()
    expect(await measured.series('lock.wait.duration')).toEqual([
      { attributes: { ...COMMON, 'holdfast.lock.outcome': 'granted' }, value: { count: 1, sum: 1.5 } },
    ])
    expect(await measured.series('lock.hold.duration')).toEqual([
      { attributes: { ...COMMON, 'holdfast.lock.end': 'released' }, value: { count: 1, sum: 4 } },
    ])
    expect(await measured.unitAndBounds('lock.wait.duration')).toEqual(['s', 0.001, 300])
  })

  it('counts who waits and what is held while it is so', async () => {
    const measured = new Measured()
    let grant: () => void = () => {}
    store.answers.grant = request => new Promise(resolve => (grant = () => resolve(store.grantOf(request))))
    const acquired = acquireLease(backend, 'r', {})
    await clock.advance(0)
    expect(await measured.series('lock.waiting')).toEqual([{ attributes: COMMON, value: 1 }])
    grant()
    const lease = await acquired
    expect(await measured.series('lock.waiting')).toEqual([{ attributes: COMMON, value: 0 }])
    expect(await measured.series('lock.held')).toEqual([{ attributes: COMMON, value: 1 }])
    await lease.release()
    expect(await measured.series('lock.held')).toEqual([{ attributes: COMMON, value: 0 }])
    expect(await measured.series('lock.granted')).toEqual([{ attributes: COMMON, value: 1 }])
  })

  it('names the mode, and a downgrade ends one lease and begins another', async () => {
    const world = memoryBackend({ clock })
    onTestFinished(() => world.close())
    const measured = new Measured()
    const lease = await acquireLease(world, 'r', {}, { kind: 'write' })
    const reader = await downgradeLease(world, lease)
    await reader.release()
    expect(measured.spans('hold').map(({ attributes }) => attributes['holdfast.lock.mode'])).toEqual(['write', 'read'])
    expect((await measured.series('lock.held')).map(({ value }) => value)).toEqual([0, 0])
  })

  it('is held no more when its release was not answered by the deadline', async () => {
    const measured = new Measured()
    const lease = await acquireLease(backend, 'r', { ttlMs: 1_000 })
    store.answers.release = () => Promise.reject(new UnavailableError('away'))
    const released = lease.release()
    await clock.advance(2_000)
    expect(await released).toBe('lost')
    expect(await measured.series('lock.held')).toEqual([{ attributes: COMMON, value: 0 }])
    expect(measured.spans('hold').length).toBe(1)
  })
})

describe('The context of the caller', () => {
  beforeEach(() => {
    context.setGlobalContextManager(new AsyncContexts())
  })

  afterEach(() => {
    context.disable()
  })

  it('has both spans inside it, and the hold is linked to the wait', async () => {
    const measured = new Measured()
    const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
    const lease = await context.with(trace.setSpanContext(context.active(), caller), () =>
      acquireLease(backend, 'r', {}),
    )
    // Given back by somebody else.
    await lease.release()
    const [wait, hold] = [measured.span('acquire'), measured.span('hold')]
    expect([wait.parentSpanContext?.spanId, hold.parentSpanContext?.spanId]).toEqual([caller.spanId, caller.spanId])
    expect(hold.links.map(({ context: linked }) => linked.spanId)).toEqual([wait.spanContext().spanId])
    expect(hold.spanContext().traceId).toBe(caller.traceId)
  })

  it('is a root where no span is active', async () => {
    const measured = new Measured()
    await (await acquireLease(backend, 'r', {})).release()
    expect(measured.span('acquire').parentSpanContext).toBeUndefined()
  })
})

describe('A wait that comes to nothing', () => {
  async function outcome(run: () => Promise<unknown>): Promise<readonly unknown[]> {
    const measured = new Measured()
    await run().catch(() => {})
    const { attributes, status } = measured.span('acquire')
    expect((await measured.series('lock.waiting')).map(({ value }) => value)).toEqual([0])
    expect((await measured.series('lock.wait.duration'))[0]?.attributes['holdfast.lock.outcome']).toBe(
      attributes['holdfast.lock.outcome'],
    )
    return [attributes['holdfast.lock.outcome'], attributes['error.type'], status.code === SpanStatusCode.ERROR]
  }

  const held = async () => {
    const world = memoryBackend({ clock })
    onTestFinished(() => world.close())
    await acquireLease(world, 'r', {})
    return world
  }

  it('ends as timeout when others held it, which is no error', async () => {
    const world = await held()
    const waiting = async () => {
      const acquired = acquireLease(world, 'r', { waitMs: 100 })
      acquired.catch(() => {})
      await clock.advance(100)
      await acquired
    }
    expect(await outcome(waiting)).toEqual(['timeout', undefined, false])
  })

  it('ends as timeout when it was only tried', async () => {
    const world = await held()
    expect(await outcome(() => tryAcquireLease(world, 'r', { waitMs: 0 }))).toEqual(['timeout', undefined, false])
  })

  it('ends as aborted by the signal of the caller, whatever its reason is', async () => {
    const world = await held()
    const abort = new AbortController()
    const acquired = (): Promise<unknown> => {
      const waiting = acquireLease(world, 'r', { signal: abort.signal })
      abort.abort(new UnavailableError('mine'))
      return waiting
    }
    expect(await outcome(acquired)).toEqual(['aborted', undefined, false])
  })

  it('ends as unavailable when the store did not answer', async () => {
    store.answers.grant = () => Promise.reject(new UnavailableError('away'))
    expect(await outcome(() => acquireLease(backend, 'r', {}))).toEqual(['unavailable', 'HF_UNAVAILABLE', true])
  })

  it('ends as stale when the guard has seen a newer token, and what was granted is held no more', async () => {
    const guard = memoryFence()
    await guard.raise({ resource: 'r', token: new FencingToken(9n) })
    expect(await outcome(() => acquireLease(backend, 'r', { guard }))).toEqual(['stale', 'HF_STALE_TOKEN', true])
  })

  it.each([
    [new TypeError('odd'), 'TypeError'],
    ['text', '_OTHER'],
  ])('ends as failed by %s', async (error, type) => {
    store.answers.grant = () => Promise.reject(error)
    expect(await outcome(() => acquireLease(backend, 'r', {}))).toEqual(['failed', type, true])
  })
})

describe('A lease that is lost', () => {
  const ways: readonly [reason: string, lose: () => Promise<unknown>][] = [
    ['expired', async () => acquireLease(backend, 'r', { ttlMs: 500, renew: false }).then(() => clock.advance(500))],
    [
      'revoked',
      async () => {
        store.answers.renew = async () => [{ kind: 'lost', reason: 'revoked' }]
        await acquireLease(backend, 'r', { ttlMs: 900 })
        await clock.advance(300)
      },
    ],
    [
      'session-lost',
      async () => {
        store.renewal = 'session'
        await acquireLease(backend, 'r', {})
        store.lose('request-1', 'session-lost')
      },
    ],
    ['hold-limit', async () => acquireLease(backend, 'r', { holdMsMax: 700 }).then(() => clock.advance(700))],
    ['closed', async () => acquireLease(backend, 'r', {}).then(() => backend.close())],
  ]

  it.each(ways)('is counted as %s, and its span says so', async (reason, lose) => {
    const measured = new Measured({ clock })
    await lose()
    const lost = { ...COMMON, 'holdfast.lock.lost_reason': reason }
    expect(await measured.series('lock.lost')).toEqual([{ attributes: lost, value: 1 }])
    expect(await measured.series('lock.held')).toEqual([{ attributes: COMMON, value: 0 }])
    const [measure] = await measured.series('lock.hold.duration')
    expect(measure?.attributes).toEqual({ ...lost, 'holdfast.lock.end': 'lost' })
    const { attributes: said, status } = measured.span('hold')
    expect(said).toMatchObject({ 'holdfast.lock.end': 'lost', 'holdfast.lock.lost_reason': reason })
    expect(status.code).toBe(SpanStatusCode.ERROR)
  })

  it('is counted also when it was granted before anybody listened', async () => {
    await acquireLease(backend, 'r', { ttlMs: 500, renew: false })
    const measured = new Measured()
    await clock.advance(500)
    expect((await measured.series('lock.lost')).map(({ value }) => value)).toEqual([1])
    expect((await measured.series('lock.held')).map(({ value }) => value)).toEqual([0])
    expect(measured.spans('hold')).toEqual([])
  })
})

describe('A renewal', () => {
  it('says what had been left of the lease when it was answered', async () => {
    const measured = new Measured()
    await acquireLease(backend, 'r', { ttlMs: 10_000 })
    let answer: () => void = () => {}
    store.answers.renew = renewals =>
      new Promise(resolve => (answer = () => resolve(renewals.map(renewal => store.renewedFor(renewal)))))
    await clock.advance(4_000)
    answer()
    await clock.advance(0)
    const [first] = await measured.series('lock.renewal.slack')
    expect(first?.attributes).toEqual({ ...COMMON, 'holdfast.lock.provisional': false })
    // Of 10 s less 1 % and 2 ms.
    expect(first?.value).toEqual({ count: 1, sum: 5.898 })
  })

  it('of a short first grant is told apart', async () => {
    const measured = new Measured()
    store.answers.grant = async request => store.grantOf(request, { isProvisional: true })
    await acquireLease(backend, 'r', { ttlMs: 9_000 })
    await clock.advance(3_000)
    const [first] = await measured.series('lock.renewal.slack')
    expect(first?.attributes['holdfast.lock.provisional']).toBe(true)
  })

  it('that was not answered is counted for each lease', async () => {
    const measured = new Measured()
    for (const name of ['a', 'b']) await acquireLease(backend, name, { ttlMs: 9_000 })
    store.answers.renew = () => Promise.reject(new UnavailableError('away'))
    await clock.advance(3_000)
    expect(await measured.series('lock.renewal.failures')).toEqual([
      { attributes: { 'holdfast.backend': 'scripted', 'error.type': 'HF_UNAVAILABLE' }, value: 2 },
    ])
  })
})

describe('Names of locks', () => {
  it('are in no metric, and in one by what they are mapped to', async () => {
    const measured = new Measured({ metricResource: name => name.replace(/:.*/, ':*'), spanResource: () => undefined })
    for (const name of ['stock:1', 'stock:2']) await (await acquireLease(backend, name, {})).release()
    const labelled = { ...COMMON, 'holdfast.lock.resource': 'stock:*' }
    expect(await measured.series('lock.granted')).toEqual([{ attributes: labelled, value: 2 }])
    for (const { attributes } of [...measured.spans('acquire'), ...measured.spans('hold')]) {
      expect(Object.keys(attributes)).not.toContain('holdfast.lock.resource')
    }
  })

  it('are in no status of a span that failed', async () => {
    const measured = new Measured({ spanResource: () => undefined })
    store.answers.grant = () => Promise.reject(new UnavailableError('The lock "secret" is away.'))
    await acquireLease(backend, 'secret', {}).catch(() => {})
    const { status, events } = measured.span('acquire')
    expect(JSON.stringify([status, events])).not.toContain('secret')
  })
})

describe('What others throw', () => {
  it('is reported, and no lock hears of it', async () => {
    const errors = reported()
    const broken = (what: string) => (): never => {
      throw new Error(what)
    }
    const instrument = { add: broken('add'), record: broken('record') }
    const made = (): typeof instrument => instrument
    const meter = {
      createHistogram: made,
      createCounter: made,
      createObservableUpDownCounter: () => ({ addCallback: () => {}, removeCallback: broken('remove') }),
    } as unknown as Meter
    const tracer = { startSpan: broken('startSpan') } as unknown as Tracer
    const stop = instrumentLocks({ meter, tracer, metricResource: broken('label') })
    const lease = await acquireLease(backend, 'r', {})
    expect(await lease.release()).toBe('released')
    stop()
    const said = new Set(errors.map(error => (error as Error).message))
    expect(said).toEqual(new Set(['add', 'record', 'startSpan', 'label', 'remove']))
  })

  it('of a label keeps nothing else from being measured', async () => {
    reported()
    const broken = (): never => {
      throw new Error('label')
    }
    const measured = new Measured({ metricResource: broken, spanResource: broken })
    await (await acquireLease(backend, 'r', {})).release()
    expect(await measured.series('lock.granted')).toEqual([{ attributes: COMMON, value: 1 }])
    expect(measured.span('hold').attributes).not.toHaveProperty('holdfast.lock.resource')
  })

  it('later, by a label that is async, ends no process', async () => {
    const errors = reported()
    const late = (async () => Promise.reject(new Error('late'))) as unknown as () => string
    const measured = new Measured({ metricResource: late })
    await (await acquireLease(backend, 'r', {})).release()
    expect(await measured.series('lock.granted')).toEqual([{ attributes: COMMON, value: 1 }])
    expect(new Set(errors.map(error => (error as Error).message))).toEqual(new Set(['late']))
  })

  it('by an exporter is no lock’s either', async () => {
    const broken = {
      export: (): never => {
        throw new Error('exporter')
      },
      shutdown: () => Promise.resolve(),
    }
    const errors = reported()
    const measured = new Measured({}, broken)
    expect(await (await acquireLease(backend, 'r', {})).release()).toBe('released')
    expect(errors.map(error => (error as Error).message)).toEqual(errors.map(() => 'exporter'))
    expect((await measured.series('lock.held')).map(({ value }) => value)).toEqual([0])
  })
})

describe('Its end', () => {
  it('removes every listener, and ends what is under way as unknown', async () => {
    const measured = new Measured()
    let grant: () => void = () => {}
    await acquireLease(backend, 'held', {})
    store.answers.grant = request => new Promise(resolve => (grant = () => resolve(store.grantOf(request))))
    const acquired = acquireLease(backend, 'waited for', {})
    await clock.advance(0)
    measured.stop()
    measured.stop()
    grant()
    await (await acquired).release()
    expect(measured.spans('acquire').map(({ attributes }) => attributes['holdfast.lock.outcome'])).toEqual([
      'granted',
      'unknown',
    ])
    expect(measured.span('hold').attributes['holdfast.lock.end']).toBe('unknown')
    for (const name of ['lock.held', 'lock.waiting']) expect(await measured.series(name)).toEqual([])
    expect((await measured.series('lock.granted')).map(({ value }) => value)).toEqual([1])
  })

  it('leaves no channel that has listeners', async () => {
    const { channel } = await import('node:diagnostics_channel')
    const names = [
      'tracing:holdfast:lock.acquire:start',
      'tracing:holdfast:lock.acquire:asyncEnd',
      'holdfast:lease.event',
      'holdfast:fence.refused',
    ]
    const heard = (): boolean[] => names.map(name => channel(name).hasSubscribers)
    expect(heard()).toEqual([false, false, false, false])
    const measured = new Measured()
    expect(heard()).toEqual([true, true, true, true])
    measured.stop()
    expect(heard()).toEqual([false, false, false, false])
  })
})

describe('instrumentLocks', () => {
  it('is of the version that package.json says', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as object
    expect(manifest).toMatchObject(INSTRUMENTATION)
  })

  it('does nothing that anybody notices where no provider is registered', async () => {
    const stop = instrumentLocks()
    expect(await (await acquireLease(backend, 'r', {})).release()).toBe('released')
    stop()
  })

  it.each([
    [{ traces: 1 }, 'traces'],
    [{ tracer: {} }, 'Expected `tracer` to have `startSpan`'],
    [{ meter: null }, 'got null'],
    [{ clock: 5 }, 'got 5'],
    [{ spanResource: true }, 'Expected `spanResource` to be a function from a name to a label, got true.'],
    [{ metricResource: 'stock' }, 'metricResource'],
    [null, 'to be an object'],
  ])('refuses %j', (options, words) => {
    expect(() => instrumentLocks(options as never)).toThrow(words)
  })
})
