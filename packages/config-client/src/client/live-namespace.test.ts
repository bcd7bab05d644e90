import { channel } from 'node:diagnostics_channel'
import { describe, expect, it, vi } from 'vitest'
import { LiveNamespace } from './live-namespace.ts'

describe('A live namespace', () => {
  it('tells in the order of subscription what changed since each heard of it', () => {
    const live = new LiveNamespace(1)
    const heard: unknown[] = []
    live.subscribe((next, previous) => heard.push(['a', next, previous]))
    live.current = 2
    live.subscribe((next, previous) => heard.push(['b', next, previous]))
    live.tell()
    live.current = 3
    live.tell()
    live.tell()
    expect(heard).toEqual([
      ['a', 2, 1],
      ['a', 3, 2],
      ['b', 3, 2],
    ])
  })

  it('tells nobody of what was taken back before it was told, but those who saw it', () => {
    const live = new LiveNamespace('old')
    const heard: unknown[] = []
    live.subscribe(next => heard.push(['a', next]))
    live.current = 'new'
    live.subscribe(next => heard.push(['b', next]))
    live.current = 'old'
    live.tell()
    expect(heard).toEqual([['b', 'old']])
  })

  it('delivers the current value at once where that is wanted, and stops when the signal aborts', () => {
    const live = new LiveNamespace(1)
    const abort = new AbortController()
    const heard: unknown[] = []
    live.subscribe((next, previous) => heard.push([next, previous]), { initial: true, signal: abort.signal })
    abort.abort()
    live.current = 2
    live.tell()
    live.subscribe(next => heard.push(next), { initial: true, signal: abort.signal })
    expect(heard).toEqual([[1, 1]])
  })

  it('reports a listener that throws, and goes on', () => {
    const errors: unknown[] = []
    const hear = (message: unknown): void => void errors.push(message)
    channel('holdfast:listener.error').subscribe(hear)
    const live = new LiveNamespace(1)
    const heard: unknown[] = []
    const error = new Error('a listener failed')
    live.subscribe(() => {
      throw error
    })
    live.subscribe(next => heard.push(next))
    live.current = 2
    live.tell()
    expect([heard, errors]).toEqual([[2], [{ source: 'config', error }]])
    channel('holdfast:listener.error').unsubscribe(hear)
  })

  it('reports a listener that is async and rejects, which would end the process', async () => {
    const errors: unknown[] = []
    const hear = (message: unknown): void => void errors.push(message)
    channel('holdfast:listener.error').subscribe(hear)
    const live = new LiveNamespace(1)
    const error = new Error('a promise failed')
    live.subscribe(() => Promise.reject(error), { initial: true })
    live.current = 2
    live.tell()
    await vi.waitFor(() => expect(errors.length).toBe(2))
    channel('holdfast:listener.error').unsubscribe(hear)
    expect(errors).toEqual([
      { source: 'config', error },
      { source: 'config', error },
    ])
  })

  it('tells nobody after it was closed, and keeps its value', () => {
    const live = new LiveNamespace(1)
    const heard: unknown[] = []
    const subscription = live.subscribe(next => heard.push(next))
    live.close()
    live.current = 2
    live.tell()
    live.subscribe(next => heard.push(next))
    subscription.close()
    live.tell()
    expect([heard, live.current]).toEqual([[], 2])
  })
})
