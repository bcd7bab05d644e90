import { describe, expect, it } from 'vitest'
import { recordBarriers } from '../../barriers/record-barriers.ts'
import type { Backend } from '../../backend.ts'
import { MemoryWorld, memoryBackend } from '../../memory/index.ts'
import type { BarrierStore } from '../../ports/barriers.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import type { BarrierHarness } from './barrier-harness.ts'
import { barrierConformance } from './barriers.ts'

/** A promise of barriers in memory, broken. */
type Fault = (store: BarrierStore, backend: Backend) => Partial<BarrierStore>

const shutBy = new Map<string, Backend>()

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'takes a barrier for open when the client that shut it has closed',
    found: 'A barrier stays shut when whoever shut it has gone.',
    break: (store, backend) => ({
      shut: async barrier => {
        shutBy.set(barrier, backend)
        await store.shut(barrier)
      },
      isShut: async barrier => shutBy.get(barrier)?.health.current.kind !== 'closed' && (await store.isShut(barrier)),
    }),
  },
  {
    fault: 'shuts all barriers at once',
    found: 'Barriers of other names are left alone.',
    break: store => ({ isShut: async () => store.isShut('any'), shut: () => store.shut('any') }),
  },
  {
    fault: 'lets everybody through a shut barrier',
    found: '20 who wait at a shut barrier, from two clients, all go on when a third opens it, and none before.',
    break: () => ({ untilOpen: async () => {} }),
  },
  {
    fault: 'looks now and then at what the barrier is',
    found: 'Who waits goes on although the barrier is shut again at once, 20 times.',
    break: (store, { clock }) => ({
      untilOpen: async (barrier, wait) => {
        while (await store.isShut(barrier)) {
          wait?.waiting?.()
          await new Promise<void>(resolve => void clock.setTimer(resolve, 10))
        }
      },
    }),
  },
  {
    fault: 'gives up for another reason than the signal said',
    found: 'Who gives up rejects with the reason of the signal, and leaves nothing; the others wait on.',
    break: store => ({
      untilOpen: (barrier, wait) =>
        store.untilOpen(barrier, wait).catch(() => Promise.reject(new Error('It was aborted.'))),
    }),
  },
  {
    fault: 'counts one party too many',
    found: 'Nobody is in before all are there, and then everybody is.',
    break: store => ({
      enter: (request, wait) => store.enter({ ...request, parties: Math.max(1, request.parties - 1) }, wait),
    }),
  },
  {
    fault: 'keeps whoever gave up among the parties',
    found: 'Who gives up entering does not count, and leaves nothing.',
    break: store => ({
      enter: (request, wait = {}) => {
        const { signal } = wait
        if (signal === undefined) return store.enter(request, wait)
        const entered = store.enter(request, { waiting: wait.waiting })
        return new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
          entered.then(resolve, reject)
        })
      },
    }),
  },
  {
    fault: 'does not wait for the others when it leaves',
    found: 'Nobody has left before all are leaving, whoever begins.',
    break: store => ({
      enter: async (request, wait) => {
        const party = await store.enter(request, wait)
        return {
          leave: async (leaving = {}) => {
            leaving.waiting?.()
            await party.leave({ signal: AbortSignal.abort() }).catch(() => undefined)
          },
        }
      },
    }),
  },
  {
    fault: 'is a round ahead of the others when they begin again',
    found: 'Four parties go in and out 6 times, each as fast as it can, and none is a round ahead of the others.',
    break: store => ({
      enter: async (request, wait) => {
        const party = await store.enter(request, wait)
        return { leave: () => party.leave({ signal: AbortSignal.abort() }).catch(() => undefined) }
      },
    }),
  },
  {
    fault: 'stays in when it gives up leaving',
    found: 'Who gives up leaving has left all the same, and the others do not wait for it.',
    break: store => ({
      enter: async (request, wait) => {
        const party = await store.enter(request, wait)
        return {
          leave: async (leaving = {}) => {
            if (leaving.signal === undefined) return party.leave(leaving)
            leaving.waiting?.()
            await new Promise((_resolve, reject) => {
              leaving.signal?.addEventListener('abort', () => reject(leaving.signal?.reason as Error))
            })
          },
        }
      },
    }),
  },
]

function harnessOf(breaking: Fault): BarrierHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  let names = 0
  return {
    openBackend: async () => memoryBackend({ world }),
    barriersOf: backend => {
      const store = recordBarriers(backend)
      const methods: BarrierStore = {
        shut: (barrier, signal) => store.shut(barrier, signal),
        open: (barrier, signal) => store.open(barrier, signal),
        isShut: (barrier, signal) => store.isShut(barrier, signal),
        untilOpen: (barrier, wait) => store.untilOpen(barrier, wait),
        enter: (request, wait) => store.enter(request, wait),
      }
      return { ...methods, ...breaking(store, backend) }
    },
    barrier: () => `barrier-${(names += 1)}`,
    advance: ms => clock.advance(ms),
    ttlMs: 5_000,
    leftovers: async barrier =>
      ['barrier', 'double-barrier'].flatMap(kind => world.directories.leftovers(`${kind}:${barrier}`)),
    silence: { kind: 'unsupported', why: 'there is no link' },
    cut: { kind: 'unsupported', why: 'there is no link' },
  }
}

async function verdict(harness: BarrierHarness, name: string): Promise<'passes' | 'fails'> {
  const found = barrierConformance(harness).find(one => one.name === name)
  if (found === undefined) throw new Error(`There is no such case: ${name}`)
  return await found.run().then(
    () => 'passes',
    () => 'fails',
  )
}

describe('The conformance suite of barriers', () => {
  for (const { fault, found, break: breaking } of FAULTS) {
    it(`finds a store that ${fault}`, async () => {
      expect(await verdict(harnessOf(breaking), found)).toBe('fails')
      const whole = harnessOf(() => ({}))
      expect(await verdict(whole, found)).toBe('passes')
    })
  }

  it('names each case once, in a sentence', () => {
    const names = barrierConformance(harnessOf(() => ({}))).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[A-Z0-9`].*\.$/)
  })

  it('tests every promise', () => {
    const promises = new Set(barrierConformance(harnessOf(() => ({}))).map(({ promise }) => promise))
    expect([...promises].sort()).toEqual(['B1', 'B2', 'B3', 'B4', 'B5'])
  })

  it('leaves out what a world cannot express', () => {
    const able: BarrierHarness = {
      ...harnessOf(() => ({})),
      silence: { kind: 'supported', run: async () => async () => {} },
      cut: { kind: 'supported', run: async () => {} },
    }
    for (const name of ['silence', 'cut'] as const) {
      const less: BarrierHarness = { ...able, [name]: { kind: 'unsupported', why: 'the test says so' } }
      expect(barrierConformance(less).length).toBeLessThan(barrierConformance(able).length)
    }
  })

  it('finds a store that gives up leaving as soon as it is not answered', async () => {
    const found = 'Who leaves while the store does not answer waits on, and has left once the others have.'
    let isAway = false
    const silence: BarrierHarness['silence'] = {
      kind: 'supported',
      run: async () => {
        isAway = true
        return async () => void (isAway = false)
      },
    }
    const broken = harnessOf(store => ({
      enter: async (request, wait) => {
        const party = await store.enter(request, wait)
        return {
          leave: leaving => (isAway ? Promise.reject(new Error('It was not answered.')) : party.leave(leaving)),
        }
      },
    }))
    expect(await verdict({ ...broken, silence }, found)).toBe('fails')
    isAway = false
    expect(await verdict({ ...harnessOf(() => ({})), silence }, found)).toBe('passes')
  })

  it.each([['silence', 'A party that falls silent inside counts as gone after its TTL.']])(
    'finds a harness whose `%s` does nothing',
    async (_, found) => {
      const able: BarrierHarness = {
        ...harnessOf(() => ({})),
        silence: { kind: 'supported', run: async () => async () => {} },
        cut: { kind: 'supported', run: async () => {} },
      }
      expect(await verdict(able, found)).toBe('fails')
    },
  )
})
