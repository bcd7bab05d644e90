import { describe, expect, it } from 'vitest'
import { MemoryWorld, memoryBackend } from '../../memory/index.ts'
import type { BeginRequest, IdempotencyStore, RunRef } from '../../ports/idempotency.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import type { IdempotencyHarness } from './idempotency-harness.ts'
import { idempotencyConformance } from './idempotency.ts'

/** A promise of the store in memory, broken. */
type Fault = (store: IdempotencyStore, world: MemoryWorld) => Partial<IdempotencyStore>

/** Who holds a key now, by the runs that were begun. */
class Holders {
  readonly #runs = new Map<string, RunRef>()

  noting(store: IdempotencyStore): Pick<IdempotencyStore, 'begin'> {
    return {
      begin: async request => {
        const outcome = await store.begin(request)
        if (outcome.kind === 'run') this.#runs.set(request.key, { ...request, fence: outcome.fence })
        return outcome
      },
    }
  }

  of(run: RunRef): RunRef {
    return this.#runs.get(run.key) ?? run
  }
}

function withBegins(
  store: IdempotencyStore,
  change: (request: BeginRequest) => BeginRequest,
): Partial<IdempotencyStore> {
  return { begin: request => store.begin(change(request)) }
}

const holdersOf = new WeakMap<MemoryWorld, Holders>()

function holders(world: MemoryWorld): Holders {
  const known = holdersOf.get(world) ?? new Holders()
  holdersOf.set(world, known)
  return known
}

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'lets everybody run who comes while a key is begun',
    found:
      'Of 50 begins of one key by two clients at once exactly one runs, and the others are told `in-flight`, 10 times.',
    break: store => ({
      begin: async request => {
        const outcome = await store.begin(request)
        return outcome.kind === 'in-flight' ? { kind: 'run', fence: 1n } : outcome
      },
    }),
  },
  {
    fault: 'does not look at the fingerprint',
    found: 'A key that stands for another request is a conflict, be that under way, lost or done, and nothing changes.',
    break: store => withBegins(store, request => ({ ...request, fingerprint: 'same' })),
  },
  {
    fault: 'forgets what a lost run stood for',
    found: 'A key that stands for another request is a conflict, be that under way, lost or done, and nothing changes.',
    break: (store, world) => ({
      begin: async request => {
        const outcome = await store.begin(request)
        if (outcome.kind !== 'conflict') return outcome
        world.runs.lose(request.key)
        return await store.begin(request)
      },
    }),
  },
  {
    fault: 'completes without a look at the fence: a stalled owner overwrites its successor',
    found: 'A run that was followed is told `stale`, whatever it does, and the result of its successor stays.',
    break: (store, world) => ({
      ...holders(world).noting(store),
      complete: (run, completion) => store.complete(holders(world).of(run), completion),
    }),
  },
  {
    fault: 'releases without a look at the owner',
    found: 'Who names another owner or another fence touches nothing.',
    break: (store, world) => ({
      ...holders(world).noting(store),
      release: run => store.release(holders(world).of(run)),
    }),
  },
  {
    fault: 'refuses a late result that nobody has followed',
    found: 'A run whose lease passed, and that nobody followed, still completes.',
    break: store => ({ complete: async () => 'stale', begin: request => store.begin(request) }),
  },
  {
    fault: 'gives the same fence again after it forgot a key',
    found: 'After the store lost its data a run has a higher fence, and the one before is told `stale`.',
    break: store => ({
      begin: async request => {
        const outcome = await store.begin(request)
        return outcome.kind === 'run' ? { kind: 'run', fence: 1n } : outcome
      },
    }),
  },
  {
    fault: 'runs again what was lost, also for those who do not want that',
    found:
      'A run that was lost is `lost` to whoever asks for that, again and again, until its owner completes after all.',
    break: store => withBegins(store, request => ({ ...request, onLost: 'rerun' })),
  },
  {
    fault: 'says that it renewed, and did not',
    found: 'A run that is renewed outlives its lease, and one that is not can be run again.',
    break: () => ({ renew: async () => 'kept' }),
  },
  {
    fault: 'takes a begin that is sent again for a new one',
    found: 'A begin that is sent again, also by another client and after its lease passed, has the same run.',
    break: store => withBegins(store, request => ({ ...request, owner: store.newOwner() })),
  },
  {
    fault: 'begins anew for a begin that comes again after its run was given back',
    found: 'A begin that comes again after its run was given back or done starts nothing.',
    break: (store, world) => ({
      release: async run => {
        const released = await store.release(run)
        world.runs.lose(run.key)
        return released
      },
    }),
  },
  {
    fault: 'keeps results for ever',
    found: 'A result is kept for `keepMs`, and then the key is as new, and nothing is left of it.',
    break: store => ({ complete: (run, completion) => store.complete(run, { ...completion, keepMs: 86_400_000 }) }),
  },
  {
    fault: 'keeps results as text',
    found: 'A result comes back byte for byte: every byte, none, and as many as there may be.',
    break: store => ({
      complete: (run, completion) => {
        const result = new TextEncoder().encode(new TextDecoder().decode(completion.result))
        return store.complete(run, { ...completion, result })
      },
    }),
  },
  {
    fault: 'cuts what is too large',
    found: 'A result that is too large is refused with `HF_INVALID_ARGUMENT`, and the run goes on.',
    break: store => ({
      complete: (run, completion) => store.complete(run, { ...completion, result: completion.result.slice(0, 1_000) }),
    }),
  },
  {
    fault: 'answers after it was closed',
    found: 'A closed backend rejects every step with `HF_CLOSED`.',
    break: (_store, world) => ({ renew: async (run, leaseMs) => world.runs.renew(run, leaseMs) }),
  },
]

function harnessOf(fault: Fault): IdempotencyHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const why = { kind: 'unsupported', why: 'there is no link' } as const
  let names = 0
  return {
    openBackend: async () => {
      const backend = memoryBackend({ world })
      const altered: Readonly<Record<string, unknown>> = { ...fault(backend.idempotency, world) }
      const idempotency = new Proxy(backend.idempotency, {
        get(store, name) {
          const value: unknown = altered[String(name)] ?? Reflect.get(store, name)
          return typeof value === 'function' ? (value.bind(store) as unknown) : value
        },
      })
      return { ...backend, idempotency }
    },
    key: () => `key-${(names += 1)}`,
    advance: ms => clock.advance(ms),
    leaseMs: 5_000,
    slackMs: 0,
    leftovers: async key => world.runs.leftovers(key),
    loseData: { kind: 'supported', run: async key => world.runs.lose(key) },
    silence: why,
    silenceAnswers: why,
    cut: why,
    restart: why,
  }
}

/** A harness that says that it can do everything, and does nothing. */
function able(): IdempotencyHarness {
  const nothing = async (): Promise<void> => {}
  return {
    ...harnessOf(() => ({})),
    loseData: { kind: 'supported', run: nothing },
    silence: { kind: 'supported', run: async () => nothing },
    silenceAnswers: { kind: 'supported', run: async () => nothing },
    cut: { kind: 'supported', run: nothing },
    restart: { kind: 'supported', run: nothing },
  }
}

async function verdict(harness: IdempotencyHarness, name: string): Promise<'passes' | 'fails'> {
  const found = idempotencyConformance(harness).find(one => one.name === name)
  if (found === undefined) throw new Error(`There is no case "${name}".`)
  return found.run().then(
    () => 'passes',
    () => 'fails',
  )
}

describe('idempotencyConformance', () => {
  for (const { fault, found, break: breaking } of FAULTS) {
    it(`finds a store that ${fault}`, async () => {
      expect(await verdict(harnessOf(breaking), found)).toBe('fails')
      const sound = harnessOf(() => ({}))
      expect(await verdict(sound, found)).toBe('passes')
    })
  }

  it.each([
    ['loseData', 'After the store lost its data a run has a higher fence, and the one before is told `stale`.'],
    ['silence', 'Over a silent link a begin is `HF_UNAVAILABLE`, and sent again afterwards it is one run.'],
    [
      'silenceAnswers',
      'A completion whose answer does not come is `HF_UNKNOWN_OUTCOME`, happened, and sent again it is `kept`.',
    ],
  ])('finds a harness whose `%s` does nothing', async (_capability, found) => {
    expect(await verdict(able(), found)).toBe('fails')
  })

  it('names each case once, in a sentence, and tests every promise', () => {
    const cases = idempotencyConformance(able())
    const names = cases.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[A-Z0-9`].*\.$/)
    const promises = new Set(cases.map(({ promise }) => promise))
    expect([...promises].sort()).toEqual(['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7'])
  })

  it('leaves out what a world cannot express', () => {
    const everything = able()
    for (const name of ['loseData', 'silence', 'silenceAnswers', 'cut', 'restart'] as const) {
      const less: IdempotencyHarness = { ...everything, [name]: { kind: 'unsupported', why: 'the test says so' } }
      expect(idempotencyConformance(less).length).toBeLessThan(idempotencyConformance(everything).length)
    }
  })
})
