import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bulkhead } from './bulkhead.ts'

type Step =
  | { readonly kind: 'arrive' }
  | { readonly kind: 'finish' | 'abort'; readonly which: number }
  | { readonly kind: 'limit'; readonly limit: number }
  | { readonly kind: 'turn' }

const which = fc.nat(50)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'arrive' }) },
  { weight: 3, arbitrary: which.map(index => ({ kind: 'finish' as const, which: index })) },
  { weight: 2, arbitrary: which.map(index => ({ kind: 'abort' as const, which: index })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map(limit => ({ kind: 'limit' as const, limit })) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'turn' }) },
)

interface Entry {
  readonly id: number
  readonly controller: AbortController
  readonly result: Promise<unknown>
  finish: () => void
}

/** What a bulkhead has to do, as plainly as it can be said. */
class Model {
  limit: number
  readonly queueMax: number
  running: number[] = []
  waiting: number[] = []
  readonly begun: number[] = []
  readonly waited = new Set<number>()
  refused = 0

  constructor(limit: number, queueMax: number) {
    this.limit = limit
    this.queueMax = queueMax
  }

  arrive(id: number): void {
    if (this.running.length < this.limit) this.#begin(id)
    else if (this.waiting.length < this.queueMax) this.#wait(id)
    else this.refused += 1
  }

  finish(id: number): void {
    this.running = this.running.filter(running => running !== id)
    this.fill()
  }

  abort(id: number): void {
    this.waiting = this.waiting.filter(waiting => waiting !== id)
  }

  fill(): void {
    while (this.running.length < this.limit && this.waiting.length > 0) this.#begin(this.waiting.shift() as number)
  }

  #wait(id: number): void {
    this.waiting.push(id)
    this.waited.add(id)
  }

  #begin(id: number): void {
    this.running.push(id)
    this.begun.push(id)
  }
}

async function turn(): Promise<void> {
  await new Promise(resolve => void setImmediate(resolve))
}

test('However calls arrive, end, are given up and limits change: as a plain model has it, first come first served, no slot lost.', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 0, max: 5 }),
      async (steps, queue) => {
        const limit = new LiveValue(2)
        const policy = bulkhead({ limit, queue, clock: new SimulatedClock() })
        const model = new Model(2, queue)
        const entries = new Map<number, Entry>()
        const begun: number[] = []
        let inFlight = 0
        const arrive = (id: number): void => {
          const entry: Entry = { id, controller: new AbortController(), result: Promise.resolve(), finish: () => {} }
          const work = async (): Promise<void> => {
            begun.push(id)
            inFlight += 1
            await new Promise<void>(resolve => (entry.finish = resolve))
            inFlight -= 1
          }
          const result = policy.execute(work, entry.controller.signal).catch(() => undefined)
          entries.set(id, { ...entry, result, finish: () => entry.finish() })
          model.arrive(id)
        }
        let next = 0
        const apply = async (one: Step): Promise<void> => {
          switch (one.kind) {
            case 'arrive':
              return arrive(next++)
            case 'finish': {
              const id = model.running[one.which % Math.max(1, model.running.length)]
              if (id === undefined) return
              // One that has just got its slot has to begin before it can end.
              await turn()
              entries.get(id)?.finish()
              await turn()
              return model.finish(id)
            }
            case 'abort': {
              const id = model.waiting[one.which % Math.max(1, model.waiting.length)]
              if (id === undefined) return
              entries.get(id)?.controller.abort()
              return model.abort(id)
            }
            case 'limit':
              model.limit = one.limit
              limit.set(one.limit)
              return model.fill()
            case 'turn':
              return await turn()
          }
        }
        for (const one of steps) {
          await apply(one)
          expect(policy.queueSlots).toBe(Math.max(0, queue - model.waiting.length))
          expect(policy.executionSlots).toBe(Math.max(0, model.limit - model.running.length))
        }
        await turn()
        expect(new Set(begun)).toEqual(new Set(model.begun))
        // Work that waited begins a few microtasks after it got its slot: work that finds another one free may be first.
        const hasWaited = (id: number): boolean => model.waited.has(id)
        expect(begun.filter(hasWaited)).toEqual(model.begun.filter(hasWaited))
        expect(inFlight).toBe(model.running.length)
        expect(policy.describe().refused).toBe(model.refused)
        while (model.running.length > 0) await apply({ kind: 'finish', which: 0 })
        await turn()
        expect(policy.describe().state).toMatchObject({ inFlight: 0, queued: 0 })
      },
    ),
    { seed: 4, numRuns: 150 },
  )
})
