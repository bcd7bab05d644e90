import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { Call, callOf } from './call.ts'

const clock = new SimulatedClock()
const work = (): undefined => undefined
const callWith = (outer?: AbortSignal): Call => new Call(work, { clock, outer })

describe('a call', () => {
  it('is over for its caller by its own end, by his signal, and by the end of the call around it', () => {
    const own = callWith()
    own.cancel('own')
    const caller = new AbortController()
    const signalled = callWith(caller.signal)
    caller.abort('signal')
    const outer = callWith()
    const inner = outer.derive().derive()
    outer.cancel('around')
    expect([own, signalled, inner].map(({ isCancelled, reason }) => [isCancelled, reason])).toEqual([
      [true, 'own'],
      [true, 'signal'],
      [true, 'around'],
    ])
  })

  it('does not end the call that it was derived from', () => {
    const outer = callWith()
    outer.derive().cancel('lost')
    expect([outer.isCancelled, outer.signal.aborted]).toEqual([false, false])
  })

  it('keeps the reason by which it ended first', () => {
    const outer = callWith()
    const inner = outer.derive()
    const { signal } = inner
    inner.cancel('first')
    inner.cancel('second')
    outer.cancel('third')
    expect([inner.reason, signal.reason]).toEqual(['first', 'first'])
  })

  it('can be given up only where it has a caller who can say so', () => {
    const alone = callWith()
    const signalled = callWith(new AbortController().signal)
    expect([alone.isCancellable, alone.derive().isCancellable, signalled.isCancellable]).toEqual([false, true, true])
  })

  it('makes its signal when it is first read, once, and aborted if the call is over', () => {
    const call = callWith()
    expect(call.signal).toBe(call.signal)
    const over = callWith()
    over.cancel('over')
    expect([over.signal.aborted, over.signal.reason]).toEqual([true, 'over'])
  })

  it('is found by its signal, and by no other', () => {
    const call = callWith()
    expect(callOf(call.signal)).toBe(call)
    expect(callOf(new AbortController().signal)).toBeUndefined()
    expect(callOf(undefined)).toBeUndefined()
  })

  it('tells those who listen, in the depth of the tree too, and each only once', () => {
    const caller = new AbortController()
    const inner = callWith(caller.signal).derive().derive()
    const heard = vi.fn<(event: unknown) => void>()
    inner.onCancel(heard)
    const { signal } = inner
    caller.abort('enough')
    inner.cancel('again')
    expect(heard.mock.calls).toEqual([['enough']])
    expect(signal.reason).toBe('enough')
  })

  it('tells at once who comes when it is over', () => {
    const call = callWith(AbortSignal.abort('before'))
    const heard = vi.fn<(event: unknown) => void>()
    call.onCancel(heard)()
    expect(heard.mock.calls).toEqual([['before']])
  })

  it('does not tell who has stopped listening', () => {
    const call = callWith()
    const heard = vi.fn<(event: unknown) => void>()
    call.onCancel(heard)()
    call.cancel('over')
    expect(heard).not.toHaveBeenCalled()
  })

  it('hands what it knows to calls derived from it, which can change it for themselves', () => {
    const call = callWith()
    Object.assign(call, { priority: 'high', key: 'acme', deadlineMs: 5_000, idempotent: true, nowMs: 7 })
    const inner = call.derive()
    inner.attempt = 2
    inner.deadlineMs = 10
    expect(inner).toMatchObject({ priority: 'high', key: 'acme', idempotent: true, nowMs: 7 })
    expect([call.attempt, call.deadlineMs]).toEqual([1, 5_000])
  })

  it('says how much time is left, which is never less than none', async () => {
    const own = new SimulatedClock()
    const call = new Call(work, { clock: own })
    expect(call.remainingMs).toBe(Infinity)
    call.deadlineMs = own.monotonicMs() + 100
    expect(call.remainingMs).toBe(100)
    await own.advance(300)
    expect(call.remainingMs).toBe(0)
  })
})

describe('the end of a call', () => {
  it('leaves no listener on a signal that lives longer, however many calls there were', () => {
    const { signal } = new AbortController()
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')]
    for (let round = 0; round < 20; round++) {
      const call = callWith(signal)
      const inner = call.derive()
      inner.onCancel(() => {})
      expect(inner.signal.aborted).toBe(false)
      inner.end()
      call.end()
    }
    expect(added).toHaveBeenCalledTimes(20)
    expect(removed).toHaveBeenCalledTimes(20)
  })

  it('adds nothing to it for a call that nobody listened to', () => {
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    callWith(signal).derive().end()
    expect(added).not.toHaveBeenCalled()
  })

  it('aborts nothing: what the work returned can still be read', () => {
    const caller = new AbortController()
    const call = callWith(caller.signal)
    const { signal } = call
    call.end()
    caller.abort()
    expect(signal.aborted).toBe(false)
  })

  it('holds also for a signal that is first read afterwards', () => {
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const call = callWith(signal)
    call.end()
    expect(call.signal.aborted).toBe(false)
    expect(added).not.toHaveBeenCalled()
  })
})
