import { getEventListeners } from 'node:events'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { LiveValue, mapLive } from './live.ts'

/** Notes every call as `previous>next`. */
function noted(): { readonly seen: string[]; readonly listener: (next: unknown, previous: unknown) => void } {
  const seen: string[] = []
  return { seen, listener: (next, previous) => void seen.push(`${String(previous)}>${String(next)}`) }
}

/** What is reported as thrown by listeners while `work` runs. */
function reportedBy(work: () => void): unknown[] {
  const errors: unknown[] = []
  const hear = (message: unknown): void => void errors.push((message as { error: unknown }).error)
  subscribe('holdfast:listener.error', hear)
  try {
    work()
  } finally {
    unsubscribe('holdfast:listener.error', hear)
  }
  return errors
}

/** The same of what rejects: waits until there are so many. */
async function reportedWithin(work: () => void, count: number): Promise<unknown[]> {
  const errors: unknown[] = []
  const hear = (message: unknown): void => void errors.push((message as { error: unknown }).error)
  subscribe('holdfast:listener.error', hear)
  try {
    work()
    await vi.waitFor(() => expect(errors.length).toBe(count))
  } finally {
    unsubscribe('holdfast:listener.error', hear)
  }
  return errors
}

describe('LiveValue', () => {
  it('is readable from the start, and after each change', () => {
    const live = new LiveValue(1)
    expect(live.current).toBe(1)
    live.set(2)
    expect(live.current).toBe(2)
  })

  it('delivers a change with the value before it, at once, after `current` has changed', () => {
    const live = new LiveValue('a')
    const seen: string[] = []
    live.subscribe((next, previous) => seen.push(`${previous}>${next} (${live.current})`))
    live.set('b')
    expect(seen).toEqual(['a>b (b)'])
  })

  it('delivers nothing at the start unless asked to', () => {
    const live = new LiveValue('a')
    const [quiet, initial] = [noted(), noted()]
    live.subscribe(quiet.listener)
    live.subscribe(initial.listener, { initial: true })
    expect([quiet.seen, initial.seen]).toEqual([[], ['a>a']])
  })

  it('does not deliver a value that is the same by Object.is', () => {
    const live = new LiveValue(Number.NaN)
    const { seen, listener } = noted()
    live.subscribe(listener)
    live.set(Number.NaN)
    live.set(0)
    live.set(-0)
    expect(seen).toEqual(['NaN>0', '0>0'])
  })

  it('delivers in the order in which listeners subscribed', () => {
    const live = new LiveValue(0)
    const order: string[] = []
    for (const name of ['a', 'b', 'c']) live.subscribe(() => order.push(name))
    live.set(1)
    expect(order).toEqual(['a', 'b', 'c'])
  })

  it('lets every listener hear a change before the one that a listener made', () => {
    const live = new LiveValue(0)
    const [first, second] = [noted(), noted()]
    live.subscribe(next => {
      if (next === 1) live.set(2)
    })
    live.subscribe(first.listener)
    live.subscribe(second.listener)
    live.set(1)
    expect([first.seen, second.seen]).toEqual([
      ['0>1', '1>2'],
      ['0>1', '1>2'],
    ])
    expect(live.current).toBe(2)
  })

  it('reports a listener that throws, and tells the others all the same', () => {
    const live = new LiveValue(0)
    const { seen, listener } = noted()
    const error = new Error('a listener failed')
    live.subscribe(() => {
      throw error
    })
    live.subscribe(listener)
    expect(reportedBy(() => live.set(1))).toEqual([error])
    live.set(2)
    expect(seen).toEqual(['0>1', '1>2'])
  })

  it('reports listeners that are async and reject, which would end the process', async () => {
    const live = new LiveValue(0)
    const reject = async (next: number): Promise<never> => {
      throw new Error(`failed at ${next}`)
    }
    live.subscribe(reject, { initial: true })
    mapLive(live, value => value * 10).subscribe(reject, { initial: true })
    const errors = await reportedWithin(() => live.set(1), 4)
    expect(errors.map(String).sort()).toEqual([
      'Error: failed at 0',
      'Error: failed at 0',
      'Error: failed at 1',
      'Error: failed at 10',
    ])
  })

  it('stops telling a listener that was closed, also in the middle of a delivery', () => {
    const live = new LiveValue(0)
    const { seen, listener } = noted()
    live.subscribe(() => subscription.close())
    const subscription = live.subscribe(listener)
    live.set(1)
    expect(seen).toEqual([])
    expect(live.listenerCount).toBe(1)
    subscription.close()
  })

  it('does not tell a listener that came in the middle of a delivery what it has already seen', () => {
    const live = new LiveValue(0)
    const { seen, listener } = noted()
    live.subscribe(next => {
      if (next === 1) live.subscribe(listener)
    })
    live.set(1)
    live.set(2)
    expect(seen).toEqual(['1>2'])
  })

  it('ends a subscription by its signal, by disposal, and by close, and leaves no listener on the signal', () => {
    const live = new LiveValue(0)
    const abort = new AbortController()
    live.subscribe(() => expect.unreachable(), { signal: abort.signal })
    {
      using _subscription = live.subscribe(() => expect.unreachable())
    }
    live.subscribe(() => expect.unreachable(), { signal: abort.signal }).close()
    expect(getEventListeners(abort.signal, 'abort').length).toBe(1)
    abort.abort()
    expect(live.listenerCount).toBe(0)
    live.set(1)
  })

  it('never tells a listener whose signal has aborted already, not even the current value', () => {
    const live = new LiveValue(0)
    const options = { signal: AbortSignal.abort(), initial: true }
    const errors = reportedBy(() => {
      live.subscribe(() => expect.unreachable(), options)
      live.set(1)
    })
    expect(errors).toEqual([])
    expect(live.listenerCount).toBe(0)
  })

  it('freezes at close: `current` stays, nobody is told, and a new listener hears only what stands', () => {
    const live = new LiveValue(0)
    const abort = new AbortController()
    const { seen, listener } = noted()
    live.subscribe(listener, { signal: abort.signal })
    live.close()
    live.set(1)
    expect([live.current, seen, live.listenerCount]).toEqual([0, [], 0])
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    live.subscribe(listener, { initial: true })
    expect(seen).toEqual(['0>0'])
  })

  it('tells nobody any more when a listener closes it in the middle of a delivery', () => {
    const live = new LiveValue(0)
    const { seen, listener } = noted()
    live.subscribe(() => {
      live.set(5)
      live.close()
    })
    live.subscribe(listener)
    live.set(1)
    expect(seen).toEqual([])
    expect(live.current).toBe(5)
  })

  it('tells each listener a chain of values without gaps, from what it first saw to `current`', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), value: fc.nat(3) }),
      fc.record({ kind: fc.constant('subscribe' as const), value: fc.nat(3) }),
      fc.record({ kind: fc.constant('nest' as const), value: fc.nat(3) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), actions => {
        const live = new LiveValue(0)
        const chains: { readonly from: number; readonly heard: [number, number][] }[] = []
        for (const { kind, value } of actions) {
          if (kind === 'set') live.set(value)
          if (kind === 'nest') live.subscribe(next => next < value && live.set(next + 1))
          if (kind !== 'subscribe') continue
          const chain = { from: live.current, heard: [] as [number, number][] }
          live.subscribe((next, previous) => chain.heard.push([previous, next]))
          chains.push(chain)
        }
        for (const { from, heard } of chains) {
          let last = from
          for (const [previous, next] of heard) {
            expect(previous).toBe(last)
            expect(next).not.toBe(previous)
            last = next
          }
          expect(last).toBe(live.current)
        }
      }),
      { seed: 11, numRuns: 300 },
    )
  })
})

describe('mapLive', () => {
  it('is computed when it is read, once for each value of the source', () => {
    const source = new LiveValue(1)
    let runs = 0
    const doubled = mapLive(source, value => {
      runs += 1
      return value * 2
    })
    expect(runs).toBe(0)
    expect([doubled.current, doubled.current, runs]).toEqual([2, 2, 1])
    source.set(2)
    expect([doubled.current, runs]).toEqual([4, 2])
  })

  it('holds no subscription while nobody subscribes', () => {
    const source = new LiveValue(1)
    const doubled = mapLive(source, value => value * 2)
    expect([doubled.current, source.listenerCount]).toEqual([2, 0])
    const subscription = doubled.subscribe(() => {})
    expect(source.listenerCount).toBe(1)
    subscription.close()
    expect(source.listenerCount).toBe(0)
  })

  it('delivers the projection, and nothing when it is the same', () => {
    const source = new LiveValue({ timeoutMs: 1, other: 1 })
    const { seen, listener } = noted()
    mapLive(source, value => value.timeoutMs).subscribe(listener)
    source.set({ timeoutMs: 1, other: 2 })
    source.set({ timeoutMs: 2, other: 2 })
    expect(seen).toEqual(['1>2'])
  })

  it('keeps the first of two values that are equal by the given measure', () => {
    const source = new LiveValue([1])
    const { seen, listener } = noted()
    const mapped = mapLive(
      source,
      value => [...value],
      (a, b) => a.join() === b.join(),
    )
    const before = mapped.current
    mapped.subscribe(listener)
    source.set([1])
    expect(mapped.current).toBe(before)
    source.set([1, 2])
    expect(seen).toEqual(['1>1,2'])
  })

  it('delivers the current value when asked to, and reports a listener that throws at it', () => {
    const mapped = mapLive(new LiveValue(1), value => value * 2)
    const { seen, listener } = noted()
    mapped.subscribe(listener, { initial: true })
    expect(seen).toEqual(['2>2'])
    const error = new Error('a listener failed')
    const fail = (): never => {
      throw error
    }
    expect(reportedBy(() => mapped.subscribe(fail, { initial: true }))).toEqual([error])
  })

  it('ends with the signal, and hears nothing when it has aborted already', () => {
    const source = new LiveValue(1)
    const mapped = mapLive(source, value => value * 2)
    const abort = new AbortController()
    mapped.subscribe(() => expect.unreachable(), { signal: abort.signal })
    abort.abort()
    expect(
      reportedBy(() => mapped.subscribe(() => expect.unreachable(), { signal: abort.signal, initial: true })),
    ).toEqual([])
    source.set(2)
    expect(source.listenerCount).toBe(0)
  })

  it('can be mapped again', () => {
    const source = new LiveValue(1)
    const { seen, listener } = noted()
    mapLive(
      mapLive(source, value => value * 2),
      value => `${value}!`,
    ).subscribe(listener)
    source.set(2)
    expect(seen).toEqual(['2!>4!'])
  })
})
