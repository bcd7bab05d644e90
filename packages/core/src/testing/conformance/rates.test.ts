import { describe, expect, it } from 'vitest'
import { MemoryWorld, memoryBackend } from '../../memory/index.ts'
import type { RateDecision, RateStore } from '../../ports/rates.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import type { RateHarness } from './rate-harness.ts'
import { rateConformance } from './rates.ts'

/** A promise of the store in memory, broken. */
type Fault = (store: RateStore, world: MemoryWorld) => Partial<RateStore>

const WHY = { kind: 'unsupported', why: 'not needed here' } as const

/** Changes every decision on one take. */
function withDecisions(store: RateStore, change: (decision: RateDecision) => RateDecision): Partial<RateStore> {
  return { take: async (take, options) => change(await store.take(take, options)) }
}

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'looks at what is left before it waits for something else, and then takes',
    found: 'Of takes from four clients that race exactly the burst is granted.',
    break: store => ({
      take: async (take, options) => {
        const asked = await store.take({ key: take.key, quota: take.quota, cost: 0 }, options)
        await new Promise(resolve => setImmediate(resolve))
        const taken = await store.take(take, options)
        return asked.remaining >= take.cost && taken.kind === 'refused'
          ? { kind: 'granted', granted: take.cost, remaining: 0, resetMs: taken.resetMs }
          : taken
      },
    }),
  },
  {
    fault: 'loses two of a hundred permits',
    found: 'Hammered from three clients a key grants what its quota says: no more, and not 1 % less.',
    break: store => {
      let count = 0
      return withDecisions(store, decision => {
        if (decision.kind === 'refused' || (count += 1) % 50 !== 0) return decision
        return { kind: 'refused', remaining: 0, retryAfterMs: 1, resetMs: decision.resetMs }
      })
    },
  },
  {
    fault: 'takes where it refuses',
    found: 'Takes that are refused change nothing, however many.',
    break: (store, world) => ({
      take: async (take, options) => {
        const decision = await store.take(take, options)
        if (decision.kind === 'refused' && decision.remaining > 0) world.rates.take([{ ...take, cost: 1 }])
        return decision
      },
    }),
  },
  {
    fault: 'takes half of several quotas',
    found: 'Where one of several refuses none is taken, and the others tell what would have been.',
    break: (store, world) => ({
      takeAll: async (takes, options) => {
        const decisions = await store.takeAll(takes, options)
        if (decisions.some(({ kind }) => kind === 'refused')) for (const take of takes) world.rates.take([take])
        return decisions
      },
    }),
  },
  {
    fault: 'says to wait for half as long as it takes',
    found: 'What a refused take is told to wait for is enough, and half of it is not.',
    break: store =>
      withDecisions(store, decision =>
        decision.kind === 'refused' ? { ...decision, retryAfterMs: Math.ceil(decision.retryAfterMs / 2) } : decision,
      ),
  },
  {
    fault: 'says to wait for twice as long as it takes',
    found: 'What a refused take is told to wait for is enough, and half of it is not.',
    break: store =>
      withDecisions(store, decision =>
        decision.kind === 'refused' ? { ...decision, retryAfterMs: decision.retryAfterMs * 3 } : decision,
      ),
  },
  {
    fault: 'gives no parts',
    found: 'Where less is left than is wanted, it is granted if it is enough.',
    break: store => ({ take: (take, options) => store.take({ ...take, least: take.cost }, options) }),
  },
  {
    fault: 'gives back what was never taken',
    found: 'Giving back makes the burst whole and no more, and does nothing to a key that is not there.',
    break: store => {
      const gifts = new Map<string, number>()
      return {
        giveBack: async (key, quota, count) => {
          gifts.set(key, (gifts.get(key) ?? 0) + count)
          await store.giveBack(key, quota, count)
        },
        take: async (take, options) => {
          const decision = await store.take(take, options)
          const gift = gifts.get(take.key) ?? 0
          if (decision.kind === 'granted' || gift < take.cost || take.cost === 0) return decision
          return { kind: 'granted', granted: take.cost, remaining: 0, resetMs: decision.resetMs }
        },
      }
    },
  },
  {
    fault: 'keeps what nobody asks for any more',
    found: 'A key that nobody uses is gone from the store a period and a second after it was whole.',
    break: (store, world) => ({
      take: async (take, options) => {
        const decision = await store.take(take, options)
        world.rates.leftovers = () => ['kept']
        return decision
      },
    }),
  },
  {
    fault: 'takes whatever it is given for an argument',
    found: 'What can never work is refused at once, with `HF_INVALID_ARGUMENT`.',
    break: store => ({
      giveBack: (key, quota, count, options) => store.giveBack(key, quota, Math.max(0, Math.floor(count)), options),
    }),
  },
  {
    fault: 'sends what the caller has long changed',
    found: 'A caller that uses one object for many takes is answered for what it was at each call.',
    break: store => ({
      take: async (take, options) => {
        await Promise.resolve()
        return await store.take(take, options)
      },
    }),
  },
]

function harness(fault: Fault): RateHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  let keys = 0
  return {
    openBackend: async () => {
      const backend = memoryBackend({ world })
      const { rates } = backend
      const whole = {
        take: rates.take.bind(rates),
        takeAll: rates.takeAll.bind(rates),
        giveBack: rates.giveBack.bind(rates),
      }
      return { ...backend, rates: { ...whole, ...fault(whole, world) } }
    },
    key: () => `key-${(keys += 1)}`,
    advance: ms => clock.advance(ms),
    slackMs: 0,
    leftovers: async key => world.rates.leftovers(key),
    openAhead: WHY,
    setBack: WHY,
    stop: WHY,
    silence: WHY,
    cut: WHY,
    restart: WHY,
    forgetScripts: WHY,
    openForbidden: WHY,
  }
}

// One after the other: they share a clock.
async function failuresOf(fault: Fault): Promise<readonly string[]> {
  const failures: string[] = []
  for (const { name, run } of rateConformance(harness(fault))) await run().catch(() => failures.push(name))
  return failures
}

describe('The conformance suite of rates', () => {
  it('finds nothing wrong with a store that keeps its promises', async () => {
    expect(await failuresOf(() => ({}))).toEqual([])
  })

  it.each(FAULTS)('finds a store that $fault', async ({ found, break: fault }) => {
    expect(await failuresOf(fault)).toContain(found)
  })

  it('leaves out what a world cannot express', () => {
    const names = rateConformance(harness(() => ({}))).map(({ name }) => name)
    expect(names.filter(name => name.includes('clock of the store goes back'))).toEqual([])
  })
})
