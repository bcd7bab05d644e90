import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { decodeMeta } from '../../lease/options.ts'
import { readLeaseInfo } from '../inspect.ts'
import type { LeaseKeys } from '../keys.ts'
import { leaseKeys } from '../keys.ts'
import { leaseStep, leaseSteps } from './lease-steps.ts'
import type { StepStage } from './step-stage.fixture.ts'
import { openStepStage } from './step-stage.fixture.ts'

const prefix = `hf-steps-${randomUUID()}`
const TTL_MS = 5_000
const CLAIM_MS = 3_000

let stage: StepStage
let redis: Redis
let keys: LeaseKeys

beforeAll(async () => {
  stage = await openStepStage(prefix)
  redis = stage.redis
})

afterAll(() => stage.close())

beforeEach(() => {
  stage.forget()
  keys = leaseKeys(prefix, randomUUID())
})

interface Wish {
  readonly ttlMs?: number
  /** 0 = only try. */
  readonly claimMs?: number
  readonly meta?: string
}

function acquireOrder(id: string, { ttlMs = TTL_MS, claimMs = CLAIM_MS, meta = '{}' }: Wish = {}): string {
  return `a${String(ttlMs).padStart(8, '0')}${String(claimMs).padStart(5, '0')}${id} ${meta}`
}

const step = (order: string): Promise<unknown> => redis.eval(leaseStep.lua, 2, keys.state, keys.queue, order)
const acquire = (id: string, wish?: Wish): Promise<unknown> => step(acquireOrder(id, wish))
const release = (id: string): Promise<unknown> => step(`r${id}`)
const renew = (id: string, ttlMs = TTL_MS): Promise<unknown> => step(`n${String(ttlMs).padStart(8, '0')}${id}`)

async function info(): Promise<ReturnType<typeof readLeaseInfo>> {
  const [state, queue, time] = await Promise.all([redis.get(keys.state), redis.hgetall(keys.queue), redis.time()])
  return readLeaseInfo('r', { state: state ?? '', queue }, Number(time[0]) * 1_000_000 + Number(time[1]))
}

const holder = async (): Promise<string | undefined> => (await info()).holder?.requestId
const waiters = async (): Promise<readonly string[]> => (await info()).waiters.map(({ requestId }) => requestId)

const received = (): Promise<readonly string[]> => stage.received()

/** As if the holder's time had passed. */
async function endHolding(): Promise<void> {
  await redis.setrange(keys.state, 20, '1'.padStart(20, '0'))
}

describe('Acquiring', () => {
  it('a free resource answers the time of the server in µs as the token, in 20 digits', async () => {
    const [seconds] = await redis.time()
    const token = await acquire('live.1')
    expect(token).toMatch(/^\d{20}$/)
    expect(Math.abs(Number(token) / 1_000_000 - Number(seconds))).toBeLessThan(5)
    expect(await holder()).toBe('live.1')
  })

  it('again with the same id answers the same token, and gives all of the time again', async () => {
    const token = await acquire('live.1', { ttlMs: 1_000 })
    expect(await acquire('live.1', { ttlMs: 60_000 })).toBe(token)
    expect((await info()).holder?.remainingMs).toBeGreaterThan(58_000)
  })

  it('what another holds answers 0 to one who only tries, and keeps nothing of him', async () => {
    await acquire('live.1')
    expect(await acquire('live.2', { claimMs: 0 })).toBe(0)
    expect([await waiters(), await redis.exists(keys.queue)]).toEqual([[], 0])
  })

  it('what another holds answers time, what remains and the position to one who waits', async () => {
    await acquire('live.1')
    const [seconds] = await redis.time()
    const [nowUs, remainingMs, position] = (await acquire('live.2')) as [number, number, number]
    expect(Math.abs(nowUs / 1_000_000 - Number(seconds))).toBeLessThan(5)
    expect(remainingMs).toBeGreaterThan(TTL_MS - 1_000)
    expect(remainingMs).toBeLessThanOrEqual(TTL_MS)
    expect(position).toBe(0)
    expect((await acquire('live.3')) as number[]).toMatchObject({ 2: 1 })
  })

  it('again while queued keeps the place', async () => {
    await acquire('live.1')
    for (const id of ['live.2', 'live.3', 'live.2', 'live.3', 'live.2']) await acquire(id)
    expect(await waiters()).toEqual(['live.2', 'live.3'])
    expect(await acquire('live.3')).toMatchObject({ 2: 1 })
  })

  it('does not take the id of another that only starts the same for its own', async () => {
    const token = await acquire('live.1')
    expect(await acquire('live.11', { claimMs: 0 })).toBe(0)
    expect(await release('live.11')).toBe(0)
    expect(await renew('live')).toBe(0)
    expect(await acquire('live.1')).toBe(token)
  })

  it('counts the position without those who have left', async () => {
    // Seen here: with 9 who gave up in between, the last one waited for their claim times as well.
    await acquire('live.0')
    for (let number = 1; number <= 11; number += 1) await acquire(`live.${number}`)
    for (let number = 2; number <= 10; number += 1) await release(`live.${number}`)
    expect(await acquire('live.11')).toMatchObject({ 2: 1 })
    expect(await acquire('live.12')).toMatchObject({ 2: 2 })
  })
})

describe('Releasing', () => {
  it('frees what nobody waits for, and keeps the last token for a while', async () => {
    const token = await acquire('live.1')
    expect(await release('live.1')).toBe(1)
    expect(await redis.get(keys.state)).toBe(`${String(token)}${'0'.repeat(21)}`)
    expect(await redis.pttl(keys.state)).toBeLessThanOrEqual(TTL_MS + 60_000)
  })

  it('answers 0 the second time, and for what was never held', async () => {
    await acquire('live.1')
    expect([await release('live.1'), await release('live.1'), await release('live.2')]).toEqual([1, 0, 0])
  })

  it('touches only what the id holds', async () => {
    await acquire('live.1')
    expect(await release('live.2')).toBe(0)
    expect(await holder()).toBe('live.1')
  })

  it('hands over to the first in the queue and tells him token, time and span: his claim time at most', async () => {
    const first = await acquire('live.1')
    await acquire('live.2')
    await acquire('live.3', { ttlMs: 1_000 })
    expect(await release('live.1')).toBe(1)
    expect(await holder()).toBe('live.2')
    const [token = '', nowUs, spanMs] =
      (await received())
        .find(text => text.startsWith('live.2 '))
        ?.split(' ')
        .slice(1) ?? []
    expect([token > String(first), nowUs?.length, spanMs]).toEqual([true, 20, String(CLAIM_MS)])
    await release('live.2')
    expect((await received()).filter(text => text.startsWith('live.3 ')).at(-1)).toMatch(/ 1000$/)
  })

  it('tells the one who is first now how long the new holder can take', async () => {
    for (const id of ['live.1', 'live.2', 'live.3']) await acquire(id)
    await release('live.1')
    expect(await received()).toContain(`live.3 ${CLAIM_MS}`)
  })

  it('passes over those whose inbox is closed, at no cost', async () => {
    for (const id of ['live.1', 'gone.1', 'gone.2', 'live.2', 'gone.3']) await acquire(id)
    await release('live.1')
    expect([await holder(), await waiters()]).toEqual(['live.2', ['gone.3']])
    await release('live.2')
    expect([await holder(), await redis.exists(keys.queue)]).toEqual([undefined, 0])
    expect(await acquire('live.3', { claimMs: 0 })).toMatch(/^\d{20}$/)
  })

  it('by one whose time is over hands over all the same, and says that it was over', async () => {
    await acquire('live.1')
    await acquire('live.2')
    await endHolding()
    expect(await release('live.1')).toBe(0)
    expect(await holder()).toBe('live.2')
  })
})

describe('Leaving the queue', () => {
  beforeEach(async () => {
    for (const id of ['live.1', 'live.2', 'live.3', 'live.4']) await acquire(id)
  })

  it('as the first tells the next one that he is first, and what remains', async () => {
    expect(await release('live.2')).toBe(0)
    const [told = ''] = await received()
    expect(told).toMatch(/^live\.3 \d+$/)
    expect(Number(told.split(' ')[1])).toBeGreaterThan(TTL_MS - 1_000)
    expect([await holder(), await waiters()]).toEqual(['live.1', ['live.3', 'live.4']])
  })

  it('from the middle tells nobody, and the order stays', async () => {
    await release('live.3')
    expect([await received(), await waiters()]).toEqual([[], ['live.2', 'live.4']])
    await release('live.1')
    await release('live.2')
    expect(await holder()).toBe('live.4')
  })

  it('as the last one leaves no queue, and the holder still holds', async () => {
    for (const id of ['live.4', 'live.3', 'live.2']) await release(id)
    expect([await redis.exists(keys.queue), await holder()]).toEqual([0, 'live.1'])
    expect(await release('live.1')).toBe(1)
    expect(await redis.get(keys.state)).toMatch(/^\d{20}0{21}$/)
  })

  it('twice does no harm', async () => {
    await release('live.2')
    await release('live.2')
    expect(await waiters()).toEqual(['live.3', 'live.4'])
  })
})

describe('Renewing', () => {
  it('gives the holder time from now on, and nobody else', async () => {
    await acquire('live.1', { ttlMs: 1_000 })
    expect([await renew('live.2'), await renew('live.1', 60_000)]).toEqual([0, 1])
    expect((await info()).holder?.remainingMs).toBeGreaterThan(58_000)
  })

  it('keeps those who wait', async () => {
    await acquire('live.1')
    await acquire('live.2')
    await renew('live.1')
    await release('live.1')
    expect(await holder()).toBe('live.2')
  })

  it('for a shorter time than it had tells the first who waits', async () => {
    await acquire('live.1', { ttlMs: 60_000 })
    for (const id of ['live.2', 'live.3']) await acquire(id)
    await renew('live.1', 61_000)
    expect(await received()).toEqual([])
    expect(await renew('live.1', 1_000)).toBe(1)
    expect(await received()).toEqual(['live.2 1000'])
  })

  it('answers 0 once the time is over, also when nobody else took it', async () => {
    await acquire('live.1')
    await endHolding()
    expect([await renew('live.1'), await holder()]).toEqual([0, undefined])
  })

  it('answers 0 for what was never held', async () => {
    expect(await renew('live.1')).toBe(0)
    expect(await redis.exists(keys.state)).toBe(0)
  })
})

describe('When the holder died', () => {
  beforeEach(async () => {
    await acquire('live.1')
  })

  it('whoever comes takes it when nobody waits', async () => {
    await endHolding()
    expect(await acquire('live.2', { claimMs: 0 })).toMatch(/^\d{20}$/)
    expect(await holder()).toBe('live.2')
  })

  it('the first in the queue who asks gets all of his time', async () => {
    await acquire('live.2')
    await endHolding()
    expect(await acquire('live.2')).toMatch(/^\d{20}$/)
    expect((await info()).holder?.remainingMs).toBeGreaterThan(CLAIM_MS)
    expect(await redis.exists(keys.queue)).toBe(0)
  })

  it('one who comes later gets it for the first in the queue, not for himself', async () => {
    await acquire('live.2')
    await endHolding()
    expect(await acquire('live.3', { claimMs: 0 })).toBe(0)
    expect(await holder()).toBe('live.2')
    expect(await received()).toEqual([expect.stringMatching(/^live\.2 \d{20} \d{20} 3000$/)])
  })

  it('one who asks from behind those who are gone takes it', async () => {
    for (const id of ['gone.1', 'gone.2', 'live.2', 'live.3']) await acquire(id)
    await endHolding()
    expect(await acquire('live.2')).toMatch(/^\d{20}$/)
    expect([await holder(), await waiters()]).toEqual(['live.2', ['live.3']])
  })

  it('one who only tries takes it when all who waited are gone', async () => {
    for (const id of ['gone.1', 'gone.2']) await acquire(id)
    await endHolding()
    expect(await acquire('live.2', { claimMs: 0 })).toMatch(/^\d{20}$/)
    expect(await redis.exists(keys.queue)).toBe(0)
  })

  it('a first one who stays silent costs its claim time, then it is the turn of the next', async () => {
    await acquire('live.2')
    await acquire('live.3')
    await release('live.1')
    await endHolding()
    expect(await acquire('live.3')).toMatch(/^\d{20}$/)
    expect(await renew('live.2')).toBe(0)
  })

  it('he can come back and take it again with a greater token, if nobody else did', async () => {
    const first = String(await acquire('live.1'))
    await endHolding()
    expect(String(await acquire('live.1')) > first).toBe(true)
  })
})

describe('Tokens', () => {
  /** A server whose clock was set back: the last token lies an hour ahead. */
  async function setAhead(rest: string): Promise<string> {
    const [seconds = 0] = await redis.time()
    const last = `${BigInt(seconds) + 3_600n}000000`.padStart(20, '0')
    await redis.set(keys.state, last + rest, 'PX', 60_000)
    return last
  }

  const next = (token: string): string => String(BigInt(token) + 1n).padStart(20, '0')

  it('go on from the last one when the clock of the server is behind it', async () => {
    const last = await setAhead('0'.repeat(21))
    const first = String(await acquire('live.1'))
    expect(first).toBe(next(last))
    await release('live.1')
    expect(await acquire('live.2')).toBe(next(first))
  })

  it('go on from it in a hand-off, too', async () => {
    const last = await setAhead('0'.repeat(21))
    await acquire('live.1')
    await acquire('live.2')
    await release('live.1')
    expect(await received()).toEqual([expect.stringContaining(`live.2 ${next(next(last))} `)])
  })

  it('stay the same in a renewal', async () => {
    await setAhead('0'.repeat(21))
    const token = await acquire('live.1')
    await renew('live.1')
    expect(await acquire('live.1')).toBe(token)
  })

  it('differ, though many are granted within one microsecond', async () => {
    const ids = Array.from({ length: 30 }, (_, index) => `live.${index}`)
    const orders = ids.flatMap(id => [acquireOrder(id, { claimMs: 0 }), `r${id}`])
    const pairs = orders.flatMap(() => [keys.state, keys.queue])
    const answers = (await redis.eval(leaseSteps.lua, pairs.length, ...pairs, ...orders)) as (string | number)[]
    const tokens = answers.filter(answer => typeof answer === 'string')
    expect(tokens).toEqual([...new Set(tokens)].sort())
    expect(tokens).toHaveLength(30)
  })

  it('grow when the state was lost', async () => {
    const first = String(await acquire('live.1'))
    await redis.del(keys.state)
    expect(String(await acquire('live.2')) > first).toBe(true)
  })
})

describe('When the state was lost but not the queue', () => {
  beforeEach(async () => {
    for (const id of ['live.1', 'live.2', 'live.3']) await acquire(id)
    await redis.del(keys.state)
  })

  it('nobody overtakes those who wait', async () => {
    expect(await acquire('live.4')).toMatchObject({ 2: 1 })
    expect([await holder(), await waiters()]).toEqual(['live.2', ['live.3', 'live.4']])
  })

  it('the first takes it when he asks', async () => {
    expect(await acquire('live.2')).toMatch(/^\d{20}$/)
    expect(await waiters()).toEqual(['live.3'])
  })

  it('the old holder holds nothing, and his release does no harm', async () => {
    expect([await renew('live.1'), await release('live.1')]).toEqual([0, 0])
    expect(await waiters()).toEqual(['live.2', 'live.3'])
  })

  it('those who leave are gone, and nothing is left of them', async () => {
    await release('live.2')
    await release('live.3')
    expect(await redis.exists(keys.queue, keys.state)).toBe(0)
  })
})

describe('When the queue was lost but not the state', () => {
  it('those who waited queue up again, and the lease goes on from hand to hand', async () => {
    for (const id of ['live.1', 'live.2', 'live.3']) await acquire(id)
    await redis.del(keys.queue)
    expect(await acquire('live.3')).toMatchObject({ 2: 0 })
    expect(await acquire('live.2')).toMatchObject({ 2: 1 })
    await release('live.1')
    expect(await holder()).toBe('live.3')
  })

  it('a release frees it, though the state says that somebody is queued', async () => {
    await acquire('live.1')
    await acquire('live.2')
    await redis.del(keys.queue)
    expect(await release('live.1')).toBe(1)
    expect(await acquire('live.3', { claimMs: 0 })).toMatch(/^\d{20}$/)
  })
})

describe('What is kept', () => {
  it.each(['{"a":"b c"}', '{"line":"one\\ntwo"}', '{"where":"水 🔒"}', '{}', '', '  ', 'plain\ntext', '{"a":"1.2 3"}'])(
    'shows the metadata of holder and waiter as it was given: %j',
    async meta => {
      await acquire('live.1', { meta })
      await acquire('live.2', { meta })
      await release('live.1')
      await acquire('live.1', { meta })
      await renew('live.2')
      const { holder: held, waiters: waiting } = await info()
      expect([held?.requestId, waiting[0]?.requestId]).toEqual(['live.2', 'live.1'])
      expect([held?.meta, waiting[0]?.meta]).toEqual([decodeMeta(meta), decodeMeta(meta)])
    },
  )

  it.each(['a{b}c', '{}', '{', '}{', '%', 'a:b', ' ', '水', 'q', 'inbox'])(
    'is in one slot of a Cluster, and messages find their inbox, for the name %j',
    async name => {
      keys = leaseKeys(prefix, name)
      expect(keys.queue.match(/\{([^}]+)\}/)?.[1]).toBe(keys.state.match(/\{([^}]+)\}/)?.[1])
      await acquire('live.1')
      await acquire('live.2')
      await release('live.1')
      expect([await holder(), (await received()).length]).toEqual(['live.2', 1])
      await release('live.2')
      await redis.del(keys.state)
    },
  )

  it('goes by itself: every key has a time to live, however it came about', async () => {
    for (const id of ['live.1', 'live.2', 'gone.1', 'live.3']) await acquire(id)
    const ttlsMs: number[] = []
    const look = async (): Promise<void> => {
      for (const key of [keys.state, keys.queue]) ttlsMs.push(await redis.pttl(key))
    }
    await look()
    for (const id of ['live.1', 'live.2', 'live.3']) {
      await renew(id)
      await look()
      await release(id)
      await look()
    }
    // -2 = no such key, -1 = a key without an end.
    expect(ttlsMs.filter(ms => ms !== -2).every(ms => ms > 0)).toBe(true)
    expect(await redis.exists(keys.queue)).toBe(0)
  })

  it('stays for as long as a waiter may take to ask again', async () => {
    await acquire('live.1', { ttlMs: 86_400_000 })
    await acquire('live.2')
    expect(await redis.pttl(keys.queue)).toBeGreaterThan(86_400_000)
    await renew('live.1', 1_000)
    await acquire('live.2')
    expect(await redis.pttl(keys.queue)).toBeGreaterThan(60_000)
  })
})

describe('Steps that share a call', () => {
  it('are answered each, and one that fails touches no other', async () => {
    const names = ['one', 'two', 'three'].map(name => leaseKeys(prefix, `${name}-${randomUUID()}`))
    const [, broken] = names
    await redis.lpush(broken?.state ?? '', 'not a state')
    const pairs = names.flatMap(({ state, queue }) => [state, queue])
    const orders = ['live.1', 'live.2', 'live.3'].map(id => acquireOrder(id))
    const answers = (await redis.eval(leaseSteps.lua, pairs.length, ...pairs, ...orders)) as unknown[]
    expect([answers[0], answers[2]]).toEqual([expect.stringMatching(/^\d{20}$/), expect.stringMatching(/^\d{20}$/)])
    expect(answers[1]).toBeInstanceOf(Error)
    expect((answers[1] as Error).message).toContain('WRONGTYPE')
    expect(await redis.lrange(broken?.state ?? '', 0, -1)).toEqual(['not a state'])
  })

  it('mean what they mean alone, one after the other', async () => {
    const orders = [acquireOrder('live.1'), acquireOrder('live.2'), 'rlive.1', 'n00005000live.9', 'rlive.2']
    const pairs = orders.flatMap(() => [keys.state, keys.queue])
    const answers = await redis.eval(leaseSteps.lua, pairs.length, ...pairs, ...orders)
    expect(answers).toEqual([expect.any(String), expect.any(Array), 1, 0, 1])
  })
})

/** What the steps of one resource should answer, kept as plainly as can be. */
class Model {
  held: string | undefined
  queue: string[] = []

  acquire(id: string, mayQueue: boolean): 'granted' | 'held' | 'queued' {
    this.held ??= id
    if (this.held === id) return 'granted'
    if (mayQueue && !this.queue.includes(id)) this.queue.push(id)
    return mayQueue ? 'queued' : 'held'
  }

  release(id: string): 0 | 1 {
    if (this.held !== id) {
      this.queue = this.queue.filter(name => name !== id)
      return 0
    }
    this.held = this.queue.find(name => name.startsWith('live'))
    this.queue = this.held === undefined ? [] : this.queue.slice(this.queue.indexOf(this.held) + 1)
    return 1
  }
}

function kindOf(answer: unknown): string {
  if (typeof answer === 'string') return 'granted'
  return answer === 0 ? 'held' : 'queued'
}

describe('Whatever the order of steps', () => {
  const ids = ['live.1', 'live.2', 'live.3', 'live.4', 'gone.1']
  const action = fc.record({
    kind: fc.constantFrom('acquire' as const, 'try' as const, 'release' as const, 'renew' as const),
    id: fc.constantFrom(...ids),
  })

  it('there is one holder, the queue is served in order, and tokens grow', async () => {
    const property = fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async actions => {
      keys = leaseKeys(prefix, randomUUID())
      const model = new Model()
      const expected: unknown[] = []
      const seen: unknown[] = []
      const tokens: string[] = []
      for (const { kind, id } of actions) {
        if (kind === 'renew') {
          expected.push(model.held === id ? 1 : 0)
          seen.push(await renew(id))
        } else if (kind === 'release') {
          expected.push(model.release(id))
          seen.push(await release(id))
        } else {
          expected.push(model.acquire(id, kind === 'acquire'))
          seen.push(kindOf(await acquire(id, { claimMs: kind === 'try' ? 0 : CLAIM_MS })))
        }
        expected.push(model.held, [...model.queue])
        seen.push(await holder(), await waiters())
        const state = (await redis.get(keys.state)) ?? ''
        if (state !== '') tokens.push(state.slice(0, 20))
      }
      await redis.del(keys.state, keys.queue)
      expect(seen).toEqual(expected)
      expect(tokens).toEqual([...tokens].sort())
    })
    await fc.assert(property, { seed: 7, numRuns: 60 })
  })
})
