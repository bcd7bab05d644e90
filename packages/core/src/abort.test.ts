import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onAbort, orAborted } from './abort.ts'

describe('onAbort', () => {
  it('calls with the reason, once', () => {
    const abort = new AbortController()
    const heard: unknown[] = []
    onAbort(abort.signal, reason => heard.push(reason))
    abort.abort('first')
    abort.abort('second')
    expect(heard).toEqual(['first'])
  })

  it('calls at once when the signal has aborted already', () => {
    const heard: unknown[] = []
    onAbort(AbortSignal.abort('before'), reason => heard.push(reason))()
    expect(heard).toEqual(['before'])
  })

  it('removes its listener when told to', () => {
    const abort = new AbortController()
    const stop = onAbort(abort.signal, () => expect.unreachable())
    stop()
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    abort.abort()
  })

  it('has one listener on a signal, however many hear by it (seen: the warning of a leak)', () => {
    const abort = new AbortController()
    const heard: number[] = []
    const stops = [1, 2, 3, 4].map(number => onAbort(abort.signal, () => heard.push(number)))
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1)
    stops[1]?.()
    stops[1]?.()
    abort.abort()
    expect(heard).toEqual([1, 3, 4])
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
  })

  it('does not call one that another of them removes', () => {
    const abort = new AbortController()
    onAbort(abort.signal, () => stop())
    const stop = onAbort(abort.signal, () => expect.unreachable())
    abort.abort()
  })

  it('hears again after all had gone', () => {
    const abort = new AbortController()
    onAbort(abort.signal, () => expect.unreachable())()
    const heard: unknown[] = []
    onAbort(abort.signal, reason => heard.push(reason))
    abort.abort('then')
    expect(heard).toEqual(['then'])
  })

  it('does nothing without a signal', () => {
    expect(() => onAbort(undefined, () => expect.unreachable())()).not.toThrow()
  })
})

describe('orAborted', () => {
  it('settles as the work does, and leaves no listener', async () => {
    const { signal } = new AbortController()
    expect(await orAborted(Promise.resolve(5), signal)).toBe(5)
    await expect(orAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('rejects with the reason as soon as the signal aborts, while the work goes on', async () => {
    const abort = new AbortController()
    let finish: () => void = () => {}
    const work = new Promise<void>(resolve => (finish = resolve))
    const waited = orAborted(work, abort.signal)
    abort.abort('enough')
    await expect(waited).rejects.toBe('enough')
    finish()
    await work
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
  })

  it('rejects when the signal has aborted already, and swallows what then becomes of the work', async () => {
    const waited = orAborted(Promise.reject(new Error('late')), AbortSignal.abort('before'))
    await expect(waited).rejects.toBe('before')
  })

  it('is the work itself without a signal', () => {
    const work = Promise.resolve()
    expect(orAborted(work, undefined)).toBe(work)
  })
})
