import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSharedLeaseInfo } from '../inspect.ts'
import type { SharedLeaseKeys } from '../keys.ts'
import { sharedLeaseKeys } from '../keys.ts'
import { sharedStep } from './shared-steps.ts'
import type { StepStage } from './step-stage.fixture.ts'
import { openStepStage } from './step-stage.fixture.ts'

const prefix = `hf-shared-${randomUUID()}`

let stage: StepStage
let redis: Redis

beforeAll(async () => {
  stage = await openStepStage(prefix)
  redis = stage.redis
})

afterAll(() => stage.close())

/** A request; its id says whether its client listens. */
interface Party {
  readonly id: string
  readonly mode: 'r' | 'w' | 'p'
  readonly limit: number
}

interface Held extends Party {
  readonly token: number
  readonly slot: number
  hasEnded: boolean
}

/** What the steps of one resource should do, kept as plainly as can be. A token is how many writers or permits there were before. */
class Model {
  held: Held[] = []
  queue: Party[] = []
  #last = 0

  acquire(party: Party, mayQueue: boolean): 'granted' | 'held' | 'queued' {
    if (this.#holds(party)) return 'granted'
    this.#look()
    this.#serve(party)
    if (this.#holds(party)) return 'granted'
    if (this.queue.length === 0 && this.#fits(party)) {
      this.#hold(party)
      return 'granted'
    }
    if (!mayQueue) return 'held'
    if (!this.queue.some(({ id }) => id === party.id)) this.queue.push(party)
    return 'queued'
  }

  release(party: Party): 0 | 1 {
    const answer = this.renew(party)
    const isKept = this.held.some(({ id }) => id === party.id)
    const isFirst = this.queue[0]?.id === party.id
    this.held = this.held.filter(({ id }) => id !== party.id)
    this.queue = this.queue.filter(({ id }) => id !== party.id)
    if (isKept || isFirst) {
      this.#look()
      this.#serve()
    }
    return answer
  }

  renew(party: Party): 0 | 1 {
    return this.#holds(party) ? 1 : 0
  }

  downgrade(from: Party, to: Party): 'granted' | 'lost' {
    if (this.#holds(to)) return 'granted'
    if (!this.#holds(from)) return 'lost'
    this.held = []
    this.#hold(to)
    this.#serve()
    return 'granted'
  }

  end(party: Party): void {
    for (const one of this.held) if (one.id === party.id) one.hasEnded = true
  }

  #holds(party: Party): boolean {
    return this.held.some(({ id, hasEnded }) => id === party.id && !hasEnded)
  }

  #look(): void {
    this.held = this.held.filter(({ hasEnded }) => !hasEnded)
  }

  #fits({ mode, limit }: Party): boolean {
    if (mode === 'r') return this.held.every(one => one.mode === 'r')
    return this.held.length < limit
  }

  #serve(asking?: Party): void {
    for (let first = this.queue[0]; first !== undefined && this.#fits(first); first = this.queue[0]) {
      this.queue.shift()
      if (first.id.startsWith('live') || first.id === asking?.id) this.#hold(first)
    }
  }

  #hold(party: Party): void {
    if (party.mode !== 'r') this.#last += 1
    const taken = new Set(this.held.map(({ slot }) => slot))
    let slot = 0
    while (party.mode === 'p' && taken.has(slot)) slot += 1
    this.held.push({ ...party, token: this.#last, slot, hasEnded: false })
  }
}

/** The same of the real steps. */
class Real {
  readonly keys: SharedLeaseKeys

  constructor(kind: 'read-write' | 'permits') {
    this.keys = sharedLeaseKeys(prefix, randomUUID(), kind)
  }

  async acquire(party: Party, mayQueue: boolean): Promise<string> {
    return kindOf(await this.#step(`a${recordOf(party, mayQueue)}`))
  }

  async downgrade(from: Party, to: Party): Promise<string> {
    return kindOf(await this.#step(`d${from.id} ${recordOf(to, true)}`)).replace('held', 'lost')
  }

  release({ mode, id }: Party): Promise<unknown> {
    return this.#step(`r${mode}${id}`)
  }

  renew({ mode, id }: Party): Promise<unknown> {
    return this.#step(`n${mode}00060000${id}`)
  }

  async end({ mode, id }: Party): Promise<void> {
    await redis.zadd(this.keys.ends, 'XX', 1, `${mode}${id}`)
  }

  async info(): Promise<ReturnType<typeof readSharedLeaseInfo>> {
    const { state, ends, queue } = this.keys
    const [holders, until, waiting] = await Promise.all([
      redis.hgetall(state),
      redis.zrange(ends, 0, '-1', 'WITHSCORES'),
      redis.hgetall(queue),
    ])
    return readSharedLeaseInfo('r', { holders, ends: until, queue: waiting }, 2)
  }

  #step(order: string): Promise<unknown> {
    const { state, ends, queue, slots } = this.keys
    return redis.eval(sharedStep.lua, 4, state, ends, queue, slots, order)
  }
}

function recordOf({ mode, limit, id }: Party, mayQueue: boolean): string {
  return `${mode}00060000${mayQueue ? '60000' : '00000'}${String(limit).padStart(7, '0')}${id} {}`
}

function kindOf(answer: unknown): string {
  if (typeof answer === 'string') return 'granted'
  return answer === 0 ? 'held' : 'queued'
}

async function both(
  parties: readonly Party[],
  { kind, which, other }: Action,
  at: { model: Model; real: Real },
): Promise<unknown[]> {
  const party = parties[which % parties.length]
  const { model, real } = at
  if (party === undefined) return []
  switch (kind) {
    case 'acquire':
    case 'try':
      return [model.acquire(party, kind === 'acquire'), await real.acquire(party, kind === 'acquire')]
    case 'release':
      return [model.release(party), await real.release(party)]
    case 'renew':
      return [model.renew(party), await real.renew(party)]
    case 'end':
      return [model.end(party), await real.end(party)]
    case 'downgrade': {
      const readers = parties.filter(({ mode }) => mode === 'r')
      const to = readers[other % readers.length]
      // An id is of one request: what waits or holds already is not what a writer becomes.
      const isKnown = [...model.held, ...model.queue].some(({ id }) => id === to?.id)
      if (party.mode !== 'w' || to === undefined || isKnown) return []
      return [model.downgrade(party, to), await real.downgrade(party, to)]
    }
  }
}

const actions = ['acquire', 'acquire', 'acquire', 'try', 'release', 'release', 'renew', 'end', 'downgrade'] as const
const action = fc.record({ kind: fc.constantFrom(...actions), which: fc.nat(99), other: fc.nat(99) })
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

interface Compared {
  readonly expected: unknown[]
  readonly seen: unknown[]
}

/** Runs random steps on both, and tells answers, holders, queue, slots and the order of tokens after each. */
async function compare(
  kind: 'read-write' | 'permits',
  parties: readonly Party[],
  steps: readonly Action[],
): Promise<Compared> {
  const at = { model: new Model(), real: new Real(kind) }
  /** What each token of the model is in truth. */
  const tokens = new Map<number, bigint>()
  const told: Compared = { expected: [], seen: [] }
  for (const step of steps) {
    const [expected, seen] = await both(parties, step, at)
    const info = await at.real.info()
    const alive = at.model.held.filter(({ hasEnded }) => !hasEnded)
    told.expected.push(expected, alive.map(({ id, slot }) => `${id} ${slot}`).sort())
    told.seen.push(seen, info.holders.map(({ requestId, slot }) => `${requestId} ${slot ?? 0}`).sort())
    told.expected.push(at.model.queue.map(({ id }) => id))
    told.seen.push(info.waiters.map(({ requestId }) => requestId))
    for (const { requestId, token } of info.holders) {
      const known = alive.find(({ id }) => id === requestId)?.token ?? -1
      told.expected.push(tokens.get(known) ?? token.value)
      told.seen.push(token.value)
      tokens.set(known, token.value)
    }
  }
  const inOrder = [...tokens].sort(([a], [b]) => a - b).map(([, token]) => token)
  told.seen.push(inOrder)
  told.expected.push([...new Set(inOrder)].sort((a, b) => (a < b ? -1 : 1)))
  const { state, ends, queue, slots } = at.real.keys
  await redis.del(state, ends, queue, slots)
  return told
}

const steps = fc.array(action, { minLength: 10, maxLength: 60 })
const partyOf = (mode: 'r' | 'w' | 'p', name: string, limit = 1): Party => ({ id: `${name}.${mode}`, mode, limit })

describe('Whatever the order of steps', () => {
  it('readers share, writers are alone, the queue is served in order, and tokens are those of writers', async () => {
    const parties = ['live.1', 'live.2', 'live.3', 'gone.4'].flatMap(name => [partyOf('r', name), partyOf('w', name)])
    const property = fc.asyncProperty(steps, async each => {
      const { expected, seen } = await compare('read-write', parties, each)
      expect(seen).toEqual(expected)
    })
    await fc.assert(property, { seed: 11, numRuns: 150 })
  })

  it('there are no more permits than the limit of each, with slots of their own, and tokens grow', async () => {
    const parties = [3, 3, 3, 3, 3, 1, 2, 5].map((limit, index) => partyOf('p', `live.${index}`, limit))
    parties.push(partyOf('p', 'gone.1', 3), partyOf('p', 'gone.2', 3))
    const property = fc.asyncProperty(steps, async each => {
      const { expected, seen } = await compare('permits', parties, each)
      expect(seen).toEqual(expected)
    })
    await fc.assert(property, { seed: 12, numRuns: 150 })
  })
})
