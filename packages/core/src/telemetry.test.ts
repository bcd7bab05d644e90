import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type * as Telemetry from './telemetry.ts'
import { eventPoint, tracePoint } from './telemetry.ts'

describe('eventPoint', () => {
  it('is heard only while somebody listens to its channel', () => {
    const point = eventPoint<{ n: number }>('lease.test-event')
    const heard: unknown[] = []
    const hear = (message: unknown): void => void heard.push(message)
    expect(point.isHeard).toBe(false)
    point.publish({ n: 1 })
    subscribe('holdfast:lease.test-event', hear)
    expect(point.isHeard).toBe(true)
    point.publish({ n: 2 })
    unsubscribe('holdfast:lease.test-event', hear)
    point.publish({ n: 3 })
    expect([heard, point.isHeard]).toEqual([[{ n: 2 }], false])
  })
})

describe('tracePoint', () => {
  it('runs the work and passes on what becomes of it when nobody listens', async () => {
    const point = tracePoint<object>('lease.test-silent')
    expect(point.isHeard).toBe(false)
    expect(await point.trace(async () => 5, {})).toBe(5)
    await expect(point.trace(() => Promise.reject(new Error('broken')), {})).rejects.toThrow('broken')
  })

  it('tells of start and end, with the context, its result and its error', async () => {
    const point = tracePoint<{ resource: string }>('lease.test-trace')
    const seen: string[] = []
    const note = (name: string) => (message: unknown) => {
      const { resource, result, error } = message as { resource: string; result?: string; error?: Error }
      seen.push(`${name} ${resource} ${result ?? error?.message ?? ''}`.trim())
    }
    const listeners = {
      start: note('start'),
      end: () => {},
      asyncStart: () => {},
      asyncEnd: note('end'),
      error: note('error'),
    }
    const channel = tracingChannel('holdfast:lease.test-trace')
    channel.subscribe(listeners)
    expect(point.isHeard).toBe(true)
    await point.trace(async () => 'fine', { resource: 'a' })
    await point.trace(() => Promise.reject(new Error('broken')), { resource: 'b' }).catch(() => {})
    channel.unsubscribe(listeners)
    expect(seen).toEqual(['start a', 'end a fine', 'start b', 'error b broken', 'end b broken'])
    expect(point.isHeard).toBe(false)
  })
})

describe('HOLDFAST_DEBUG', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
  })

  // The variable is read once, when the module is loaded. Channels are the process's, so each test names its own points.
  async function printed(debug: string, run: (telemetry: typeof Telemetry) => unknown): Promise<string> {
    vi.stubEnv('HOLDFAST_DEBUG', debug)
    vi.resetModules()
    const text: string[] = []
    vi.spyOn(process.stderr, 'write').mockImplementation(line => text.push(String(line)) > 0)
    await run(await import('./telemetry.ts'))
    return text.join('')
  }

  it('prints the events of the parts it names, and of no others', async () => {
    const publish = (telemetry: typeof Telemetry): void => {
      telemetry.eventPoint('lease.one').publish({ resource: 'r', token: 5n })
      telemetry.eventPoint('redis.two').publish({ address: 'here' })
    }
    expect(await printed('', publish)).toBe('')
    expect(await printed('lease', publish)).toBe('holdfast lease.one resource=r token=5\n')
    expect(await printed('zookeeper, redis', publish)).toContain('holdfast redis.two address=here\n')
  })

  it('names a part whose point has no second part in its name', async () => {
    const publish = (telemetry: typeof Telemetry): void => telemetry.eventPoint('fence').publish({ resource: 'r' })
    expect(await printed('lock', publish)).toBe('')
    expect(await printed('fence', publish)).toBe('holdfast fence resource=r\n')
  })

  it('prints the end and the error of what is traced', async () => {
    const text = await printed('postgres', ({ tracePoint: trace }) =>
      trace('postgres.acquire')
        .trace(() => Promise.reject(new Error('broken')), { resource: 'r' })
        .catch(() => {}),
    )
    expect(text).toContain('holdfast postgres.acquire resource=r error=Error: broken')
  })

  it.each([
    ['lok', '"lok"'],
    ['lok,fence,*', '"lok", "*"'],
    ['1', '"1"'],
  ])('says once what it does not know of %j, and prints the rest', async (given, shown) => {
    const text = await printed(given, telemetry => {
      const point = telemetry.eventPoint(`fence.of-${shown.length}`)
      point.publish({ n: 1 })
      point.publish({ n: 2 })
    })
    const lines = text.trimEnd().split('\n')
    expect(lines[0]).toBe(
      `holdfast: Expected HOLDFAST_DEBUG to be some of lock,lease,fence,config,resilience,redis,zookeeper,postgres,listener, got ${shown}.`,
    )
    expect(lines).toHaveLength(given.includes('fence') ? 3 : 1)
  })

  it('that is empty but for commas names nothing, and nothing is wrong with it', async () => {
    expect(await printed(' ,, ', telemetry => telemetry.eventPoint('lock.empty').publish({}))).toBe('')
  })
})
