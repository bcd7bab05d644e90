import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Turnstile } from './turnstile.ts'

/** Enters, and writes down who is in. */
function entering(turnstile: Turnstile, name: string, inside: string[], signal?: AbortSignal): Promise<void> {
  return turnstile.enter(signal).then(() => void inside.push(name))
}

const settled = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

describe('A turnstile', () => {
  it('lets one in, and refuses to try another', () => {
    const turnstile = new Turnstile()
    expect([turnstile.tryEnter(), turnstile.tryEnter()]).toEqual([true, false])
  })

  it('lets the next in when one leaves, in order of arrival', async () => {
    const turnstile = new Turnstile()
    const inside: string[] = []
    for (const name of ['a', 'b', 'c']) void entering(turnstile, name, inside)
    await settled()
    expect(inside).toEqual(['a'])
    turnstile.leave()
    await settled()
    expect(inside).toEqual(['a', 'b'])
    turnstile.leave()
    await settled()
    expect(inside).toEqual(['a', 'b', 'c'])
  })

  it('is free again when the last one has left', async () => {
    const turnstile = new Turnstile()
    await turnstile.enter(undefined)
    turnstile.leave()
    expect(turnstile.tryEnter()).toBe(true)
  })

  it('lets nobody overtake who waits: it stays taken while it is handed over', async () => {
    const turnstile = new Turnstile()
    await turnstile.enter(undefined)
    const inside: string[] = []
    const waiting = entering(turnstile, 'a', inside)
    turnstile.leave()
    expect(turnstile.tryEnter()).toBe(false)
    await waiting
  })

  it('refuses one whose signal has aborted, though it is free', async () => {
    const turnstile = new Turnstile()
    const reason = new Error('too late')
    await expect(turnstile.enter(AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(turnstile.tryEnter()).toBe(true)
  })

  it('rejects one who gives up with his reason, and lets the one behind him in', async () => {
    const turnstile = new Turnstile()
    await turnstile.enter(undefined)
    const inside: string[] = []
    const abort = new AbortController()
    const gaveUp = entering(turnstile, 'a', inside, abort.signal)
    const next = entering(turnstile, 'b', inside)
    const reason = new Error('changed my mind')
    abort.abort(reason)
    await expect(gaveUp).rejects.toBe(reason)
    turnstile.leave()
    await next
    expect(inside).toEqual(['b'])
  })

  it('does not care for a signal that aborts when its owner is in', async () => {
    const turnstile = new Turnstile()
    await turnstile.enter(undefined)
    const abort = new AbortController()
    const waiting = turnstile.enter(abort.signal)
    turnstile.leave()
    abort.abort(new Error('too late'))
    await waiting
    expect(turnstile.tryEnter()).toBe(false)
  })

  it('refuses all who wait, and leaves the one inside alone', async () => {
    const turnstile = new Turnstile()
    await turnstile.enter(undefined)
    const reason = new Error('closing')
    const waiting = [turnstile.enter(undefined), turnstile.enter(undefined)].map(entry =>
      entry.catch((error: unknown) => error),
    )
    turnstile.refuseAll(reason)
    expect(await Promise.all(waiting)).toEqual([reason, reason])
    expect(turnstile.tryEnter()).toBe(false)
    turnstile.leave()
    expect(turnstile.tryEnter()).toBe(true)
  })

  it('lets in exactly one at a time, in order of arrival, whatever the order of comings, goings and changes of mind', async () => {
    const step = fc.oneof(
      fc.constant({ kind: 'enter' as const }),
      fc.constant({ kind: 'leave' as const }),
      fc.record({ kind: fc.constant('abort' as const), who: fc.nat(20) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
        const turnstile = new Turnstile()
        const queue: { readonly id: number; readonly abort: AbortController }[] = []
        const expected: number[] = []
        const seen: number[] = []
        let isTaken = false
        let count = 0
        const admitNext = (): void => {
          const next = queue.shift()
          isTaken = next !== undefined
          if (next !== undefined) expected.push(next.id)
        }
        for (const { kind, ...rest } of steps) {
          if (kind === 'enter') {
            const id = count++
            const abort = new AbortController()
            turnstile.enter(abort.signal).then(
              () => seen.push(id),
              () => {},
            )
            queue.push({ id, abort })
            if (!isTaken) admitNext()
          } else if (kind === 'leave' && isTaken) {
            turnstile.leave()
            admitNext()
          } else if (kind === 'abort') {
            const [given] = queue.splice((rest as { who: number }).who, 1)
            given?.abort.abort(new Error('changed my mind'))
          }
          await settled()
          expect(seen).toEqual(expected)
        }
        expect(turnstile.tryEnter()).toBe(!isTaken)
      }),
      { seed: 20_260_101, numRuns: 50 },
    )
  })
})
