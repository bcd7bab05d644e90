import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { seededRandom } from '@holdfast/core'
import * as cockatiel3 from 'cockatiel-3'
import * as cockatiel4 from 'cockatiel-4'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BackoffContext } from './back-off.ts'
import { FactoryDelays, FullJitter } from './back-off.ts'

const context = (attempt: number): BackoffContext => ({
  attempt,
  signal: new AbortController().signal,
  result: { error: new Error(`failed ${attempt}`) },
})
const times = (count: number, next: (attempt: number) => number): number[] =>
  Array.from({ length: count }, (_, index) => next(index + 1))

describe('full jitter', () => {
  it('draws from nothing to a limit that doubles, up to the cap', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 0, max: 5_000 }),
        fc.integer({ min: 0, max: 30_000 }),
        (seed, baseMs, capMs) => {
          const jitter = new FullJitter(seededRandom(seed), baseMs, capMs)
          times(20, () => jitter.nextMs()).forEach((ms, k) => {
            expect(ms).toBeGreaterThanOrEqual(0)
            expect(ms).toBeLessThanOrEqual(Math.min(capMs, baseMs * 2 ** k))
          })
        },
      ),
    )
  })

  it('reaches its limits', () => {
    const most = { next: () => 0.999_999, bytes: () => new Uint8Array() }
    const jitter = new FullJitter(most, 100, 350)
    expect(times(4, () => Math.round(jitter.nextMs()))).toEqual([100, 200, 350, 350])
  })
})

describe.each([
  ['3.2.1', cockatiel3 as unknown as typeof cockatiel4],
  ['4.0.0', cockatiel4],
])('a back-off of cockatiel %s', (_, cockatiel) => {
  const delays = (count: number, factory: cockatiel4.IBackoffFactory<object>): number[] => {
    const all = new FactoryDelays(factory)
    return times(count, attempt => all.nextMs(() => context(attempt)))
  }

  it('can be a constant', () => {
    expect(delays(3, new cockatiel.ConstantBackoff(70))).toEqual([70, 70, 70])
  })

  it('can grow', () => {
    const factory = new cockatiel.ExponentialBackoff({ generator: cockatiel.noJitterGenerator, initialDelay: 10 })
    expect(delays(4, factory)).toEqual([10, 20, 40, 80])
  })

  it('can be a list, of which the last one stays', () => {
    expect(delays(5, new cockatiel.IterableBackoff([10, 50, 20]))).toEqual([10, 50, 20, 20, 20])
    expect(delays(2, new cockatiel.IterableBackoff([]))).toEqual([0, 0])
  })

  it('can be a function, which is told of the attempt and its failure, and keeps a state', () => {
    const seen: unknown[] = []
    const factory = new cockatiel.DelegateBackoff<BackoffContext, number>((told, state = 0) => {
      seen.push([told.attempt, 'error' in told.result && (told.result.error as Error).message, told.signal.aborted])
      return { delay: state * 5, state: state + 1 }
    })
    expect(delays(3, factory as unknown as cockatiel4.IBackoffFactory<object>)).toEqual([0, 5, 10])
    expect(seen).toEqual([
      [1, 'failed 1', false],
      [2, 'failed 2', false],
      [3, 'failed 3', false],
    ])
  })

  it('keeps to its last delay where the function throws, and says so', () => {
    const errors: unknown[] = []
    const hear = (message: unknown): void => void errors.push(message)
    subscribe('holdfast:listener.error', hear)
    const factory = new cockatiel.DelegateBackoff<BackoffContext>(({ attempt }) => {
      if (attempt === 2) throw new Error('broken')
      return 30
    })
    expect(delays(3, factory as unknown as cockatiel4.IBackoffFactory<object>)).toEqual([30, 30, 30])
    unsubscribe('holdfast:listener.error', hear)
    expect(errors).toMatchObject([{ source: 'resilience.backoff' }])
  })
})
