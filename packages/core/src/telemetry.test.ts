import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type * as Telemetry from './telemetry.ts'
import { eventPoint, tracePoint } from './telemetry.ts'

describe('eventPoint', () => {
  it('is heard only while somebody listens to its channel', () => {
    const point = eventPoint<{ n: number }>('test.event')
    const heard: unknown[] = []
    const hear = (message: unknown): void => void heard.push(message)
    expect(point.isHeard).toBe(false)
    point.publish({ n: 1 })
    subscribe('holdfast:test.event', hear)
    expect(point.isHeard).toBe(true)
    point.publish({ n: 2 })
    unsubscribe('holdfast:test.event', hear)
    point.publish({ n: 3 })
    expect([heard, point.isHeard]).toEqual([[{ n: 2 }], false])
  })
})

describe('tracePoint', () => {
  it('runs the work and passes on what becomes of it when nobody listens', async () => {
    const point = tracePoint<object>('test.silent')
    expect(point.isHeard).toBe(false)
    expect(await point.trace(async () => 5, {})).toBe(5)
    await expect(point.trace(() => Promise.reject(new Error('broken')), {})).rejects.toThrow('broken')
  })

  it('tells of start and end, with the context, its result and its error', async () => {
    const point = tracePoint<{ resource: string }>('test.trace')
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
    const channel = tracingChannel('holdfast:test.trace')
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
      telemetry.eventPoint('one.granted').publish({ resource: 'r', token: 5n })
      telemetry.eventPoint('two.closed').publish({ address: 'here' })
    }
    expect(await printed('', publish)).toBe('')
    expect(await printed('one', publish)).toBe('holdfast one.granted resource=r token=5\n')
    expect(await printed('three,two', publish)).toContain('holdfast two.closed address=here\n')
  })

  it('names a part whose point has no second part in its name', async () => {
    const publish = (telemetry: typeof Telemetry): void => telemetry.eventPoint('plain').publish({ resource: 'r' })
    expect(await printed('plai', publish)).toBe('')
    expect(await printed('plain', publish)).toBe('holdfast plain resource=r\n')
  })

  it('prints the end and the error of what is traced', async () => {
    const text = await printed('four', ({ tracePoint: trace }) =>
      trace('four.acquire')
        .trace(() => Promise.reject(new Error('broken')), { resource: 'r' })
        .catch(() => {}),
    )
    expect(text).toContain('holdfast four.acquire resource=r error=Error: broken')
  })
})
