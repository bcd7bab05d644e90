import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { LeaseHolder } from '../../ports/leases.ts'
import { readSharedLeaseInfo } from '../inspect.ts'
import type { SharedLeaseKeys } from '../keys.ts'
import { sharedLeaseKeys } from '../keys.ts'
import { sharedStep, sharedSteps } from './shared-steps.ts'
import type { StepStage } from './step-stage.fixture.ts'
import { openStepStage } from './step-stage.fixture.ts'

const prefix = `hf-shared-${randomUUID()}`
const TTL_MS = 5_000
const CLAIM_MS = 3_000

let stage: StepStage
let redis: Redis
let keys: SharedLeaseKeys

beforeAll(async () => {
  stage = await openStepStage(prefix)
  redis = stage.redis
})

afterAll(() => stage.close())

beforeEach(() => {
  stage.forget()
  keys = sharedLeaseKeys(prefix, randomUUID(), 'read-write')
})

interface Wish {
  readonly ttlMs?: number
  /** 0 = only try. */
  readonly claimMs?: number
  readonly meta?: string
}

/** `r`, `w`, or `p` and the limit. */
type Mode = 'r' | 'w' | `p${number}`

function record(mode: Mode, id: string, { ttlMs = TTL_MS, claimMs = CLAIM_MS, meta = '{}' }: Wish = {}): string {
  const limit = mode.slice(1) || '1'
  const claim = String(claimMs).padStart(5, '0')
  return `${mode.slice(0, 1)}${String(ttlMs).padStart(8, '0')}${claim}${limit.padStart(7, '0')}${id} ${meta}`
}

const all = (): string[] => [keys.state, keys.ends, keys.queue, keys.slots]
const step = (order: string): Promise<unknown> => redis.eval(sharedStep.lua, 4, ...all(), order)
const acquire = (mode: Mode, id: string, wish?: Wish): Promise<unknown> => step(`a${record(mode, id, wish)}`)
const attempt = (mode: Mode, id: string): Promise<unknown> => acquire(mode, id, { claimMs: 0 })
const release = (mode: 'r' | 'w' | 'p', id: string): Promise<unknown> => step(`r${mode}${id}`)
const downgrade = (from: string, to: string, wish?: Wish): Promise<unknown> => step(`d${from} ${record('r', to, wish)}`)
const renew = (mode: 'r' | 'w' | 'p', id: string, ttlMs = TTL_MS): Promise<unknown> =>
  step(`n${mode}${String(ttlMs).padStart(8, '0')}${id}`)

async function info(): Promise<ReturnType<typeof readSharedLeaseInfo>> {
  const [holders, ends, queue, time] = await Promise.all([
    redis.hgetall(keys.state),
    redis.zrange(keys.ends, 0, '-1', 'WITHSCORES'),
    redis.hgetall(keys.queue),
    redis.time(),
  ])
  return readSharedLeaseInfo('r', { holders, ends, queue }, Number(time[0]) * 1_000_000 + Number(time[1]))
}

const holders = async (): Promise<readonly string[]> => (await info()).holders.map(({ requestId }) => requestId)
const waiters = async (): Promise<readonly string[]> => (await info()).waiters.map(({ requestId }) => requestId)

async function holder(id: string): Promise<LeaseHolder | undefined> {
  return (await info()).holders.find(({ requestId }) => requestId === id)
}

const received = (): Promise<readonly string[]> => stage.received()

/** As if the time of one holder had passed. */
const end = (member: string): Promise<unknown> => redis.zadd(keys.ends, 'XX', 1, member)

const TOKEN = /^\d{20}$/

describe('Readers and writers', () => {
  it('readers share it and have one token, the time of the server where no writer is known', async () => {
    const [seconds] = await redis.time()
    const tokens = [await acquire('r', 'live.1'), await acquire('r', 'live.2')]
    expect(tokens).toEqual([expect.stringMatching(TOKEN), tokens[0]])
    expect(Math.abs(Number(tokens[0]) / 1_000_000 - Number(seconds))).toBeLessThan(5)
    expect(await holders()).toEqual(['live.1', 'live.2'])
  })

  it('a writer is kept out by readers, and readers by a writer', async () => {
    await acquire('r', 'live.1')
    expect([await attempt('w', 'live.2'), await attempt('r', 'live.3')]).toEqual([0, expect.stringMatching(TOKEN)])
    await release('r', 'live.1')
    expect(await attempt('w', 'live.2')).toBe(0)
    await release('r', 'live.3')
    expect(await attempt('w', 'live.2')).toMatch(TOKEN)
    expect([await attempt('w', 'live.4'), await attempt('r', 'live.5')]).toEqual([0, 0])
  })

  it('a reader has the token of the last writer, and the next writer a greater one', async () => {
    const first = String(await acquire('w', 'live.1'))
    await release('w', 'live.1')
    expect(await acquire('r', 'live.2')).toBe(first)
    await release('r', 'live.2')
    expect(String(await acquire('w', 'live.3')) > first).toBe(true)
  })

  it('no reader overtakes a writer that waits', async () => {
    await acquire('r', 'live.1')
    await acquire('w', 'live.2')
    expect(await attempt('r', 'live.3')).toBe(0)
    expect(await acquire('r', 'live.4')).toMatchObject({ 2: 1 })
    await release('r', 'live.1')
    expect([await holders(), await waiters()]).toEqual([['live.2'], ['live.4']])
  })

  it('readers next to each other are handed it together, and the writer behind them is told when to ask', async () => {
    await acquire('w', 'live.1')
    for (const id of ['live.2', 'live.3', 'gone.4', 'live.5']) await acquire('r', id)
    await acquire('w', 'live.6')
    await acquire('r', 'live.7')
    await release('w', 'live.1')
    expect([await holders(), await waiters()]).toEqual([
      ['live.2', 'live.3', 'live.5'],
      ['live.6', 'live.7'],
    ])
    const [writer, ...handed] = [...(await received())].reverse()
    expect(handed.reverse().map(text => text.split(' ')[0])).toEqual(['live.2', 'live.3', 'live.5'])
    expect(writer).toBe(`live.6 ${CLAIM_MS}`)
  })

  it('a writer behind several readers is told anew when the one whose time ends last releases', async () => {
    await acquire('r', 'live.1', { ttlMs: 1_000 })
    await acquire('r', 'live.2', { ttlMs: 60_000 })
    const answer = await acquire('w', 'live.3')
    expect((answer as number[])[1]).toBeGreaterThan(58_000)
    await release('r', 'live.2')
    const [told = ''] = await received()
    expect(told.split(' ')[0]).toBe('live.3')
    expect(Number(told.split(' ')[1])).toBeLessThanOrEqual(1_000)
  })

  it('a writer is told anew when the reader whose time ends last renews for a shorter one', async () => {
    await acquire('r', 'live.1', { ttlMs: 10_000 })
    await acquire('r', 'live.2', { ttlMs: 60_000 })
    await acquire('w', 'live.3')
    await renew('r', 'live.1', 9_000)
    expect(await received()).toEqual([])
    expect(await renew('r', 'live.2', 1_000)).toBe(1)
    const [told = '', ...more] = await received()
    expect([told.split(' ')[0], more]).toEqual(['live.3', []])
    expect(Number(told.split(' ')[1])).toBeLessThanOrEqual(9_000)
    expect(Number(told.split(' ')[1])).toBeGreaterThan(8_000)
    expect(await renew('r', 'live.1', 500)).toBe(1)
    const last = Number((await received()).at(-1)?.split(' ')[1])
    expect([last > 500, last <= 1_000]).toEqual([true, true])
    expect(await acquire('r', 'live.2', { ttlMs: 100 })).toMatch(TOKEN)
    expect(await received()).toHaveLength(2)
  })

  it('readers behind a writer that leaves the queue are handed it at once', async () => {
    await acquire('r', 'live.1')
    await acquire('w', 'live.2')
    await acquire('r', 'live.3')
    await acquire('r', 'live.4')
    await release('w', 'live.2')
    expect([await holders(), await redis.exists(keys.queue)]).toEqual([['live.1', 'live.3', 'live.4'], 0])
  })

  it('again with the same id answers the same token, and gives all of the time again', async () => {
    const token = await acquire('r', 'live.1', { ttlMs: 1_000 })
    expect(await acquire('r', 'live.1', { ttlMs: 60_000 })).toBe(token)
    expect((await holder('live.1'))?.remainingMs).toBeGreaterThan(58_000)
  })

  it('a release is answered once, by a stranger not at all, and renewals are of those who hold', async () => {
    await acquire('r', 'live.1')
    expect([await release('r', 'live.2'), await renew('r', 'live.2'), await renew('r', 'live.1', 60_000)]).toEqual([
      0, 0, 1,
    ])
    expect((await holder('live.1'))?.remainingMs).toBeGreaterThan(58_000)
    expect([await release('r', 'live.1'), await release('r', 'live.1'), await renew('r', 'live.1')]).toEqual([1, 0, 0])
  })

  it('one step hands over to 200 at most, and the next of them is told to ask at once', async () => {
    await acquire('w', 'live.0')
    for (let number = 1; number <= 203; number += 1) await acquire('r', `live.${number}`)
    await release('w', 'live.0')
    expect([(await holders()).length, await waiters()]).toEqual([200, ['live.201', 'live.202', 'live.203']])
    expect((await received()).at(-1)).toBe('live.201 0')
    expect(await acquire('r', 'live.201')).toMatch(TOKEN)
    expect([(await holders()).length, await redis.exists(keys.queue)]).toEqual([203, 0])
  })
})

describe('When holders died', () => {
  it('their time is over for each alone', async () => {
    await acquire('r', 'live.1')
    await acquire('r', 'live.2')
    await end('rlive.1')
    expect([await renew('r', 'live.1'), await renew('r', 'live.2'), await attempt('w', 'live.3')]).toEqual([0, 1, 0])
    await end('rlive.2')
    expect(await attempt('w', 'live.3')).toMatch(TOKEN)
    expect(await redis.hkeys(keys.state)).toEqual(expect.arrayContaining(['t', 'hlive.3']))
    expect(await redis.hlen(keys.state)).toBe(2)
  })

  it('whoever asks makes it go to those who wait, in turn', async () => {
    await acquire('w', 'live.1')
    await acquire('r', 'live.2')
    await acquire('r', 'live.3')
    await acquire('w', 'live.4')
    await end('wlive.1')
    expect(await acquire('r', 'live.3')).toMatch(TOKEN)
    expect([await holders(), await waiters()]).toEqual([['live.2', 'live.3'], ['live.4']])
    expect((await holder('live.2'))?.remainingMs).toBeLessThanOrEqual(CLAIM_MS)
    expect((await holder('live.3'))?.remainingMs).toBeGreaterThan(CLAIM_MS)
    expect(await attempt('r', 'live.5')).toBe(0)
  })

  it('a release drops the others whose time is over as well', async () => {
    for (const id of ['live.1', 'live.2']) await acquire('r', id)
    await acquire('w', 'live.3')
    await end('rlive.1')
    expect(await release('r', 'live.2')).toBe(1)
    expect(await holders()).toEqual(['live.3'])
  })

  it('a release by one whose time is over says so, and hands over all the same', async () => {
    await acquire('w', 'live.1')
    await acquire('w', 'live.2')
    await end('wlive.1')
    expect([await release('w', 'live.1'), await holders()]).toEqual([0, ['live.2']])
  })
})

describe('Downgrading', () => {
  it('makes the writer a reader with its token, lets in readers right behind it, and tells the next writer', async () => {
    const token = await acquire('w', 'live.1', { ttlMs: 60_000 })
    await acquire('r', 'live.3')
    await acquire('w', 'live.4')
    expect(await downgrade('live.1', 'live.2')).toBe(token)
    expect([[...(await holders())].sort(), await waiters()]).toEqual([['live.2', 'live.3'], ['live.4']])
    expect((await info()).holders.map(held => held.token.toString())).toEqual([token, token])
    expect((await received()).at(-1)).toBe(`live.4 ${TTL_MS}`)
    expect([await renew('w', 'live.1'), await renew('r', 'live.2')]).toEqual([0, 1])
  })

  it('again with the same two answers the same, until it was released', async () => {
    const token = await acquire('w', 'live.1')
    expect([await downgrade('live.1', 'live.2'), await downgrade('live.1', 'live.2')]).toEqual([token, token])
    expect([await release('r', 'live.2'), await downgrade('live.1', 'live.2')]).toEqual([1, 0])
    expect(await holders()).toEqual([])
  })

  it('of what is not held, or not any more, answers 0 and changes nothing', async () => {
    expect(await downgrade('live.1', 'live.2')).toBe(0)
    await acquire('w', 'live.1')
    await end('wlive.1')
    expect(await downgrade('live.1', 'live.2')).toBe(0)
    await acquire('r', 'live.3')
    expect([await downgrade('live.3', 'live.2'), await holders()]).toEqual([0, ['live.3']])
  })
})

describe('Permits', () => {
  beforeEach(() => {
    keys = sharedLeaseKeys(prefix, randomUUID(), 'permits')
  })

  const slots = async (): Promise<readonly (number | undefined)[]> => (await info()).holders.map(({ slot }) => slot)

  it('are granted up to the limit, each with the lowest free slot and a greater token', async () => {
    const answers = []
    for (const id of ['live.1', 'live.2', 'live.3']) answers.push(String(await attempt('p3', id)))
    expect(answers.map(answer => answer.split(' ')[1])).toEqual(['0', '1', '2'])
    expect(answers.every(answer => /^\d{20} \d$/.test(answer))).toBe(true)
    expect(answers).toEqual([...answers].sort())
    expect(await attempt('p3', 'live.4')).toBe(0)
    await release('p', 'live.2')
    expect(await attempt('p3', 'live.4')).toMatch(/^\d{20} 1$/)
    expect(await acquire('p3', 'live.4')).toMatch(/^\d{20} 1$/)
  })

  it('with different limits go each by its own, and who is first waits until so many have ended', async () => {
    for (const [index, id] of ['live.1', 'live.2', 'live.3'].entries()) {
      await acquire('p5', id, { ttlMs: (index + 1) * 10_000 })
    }
    expect(((await acquire('p2', 'live.4')) as number[])[1]).toBeGreaterThan(18_000)
    expect(await attempt('p5', 'live.5')).toBe(0)
    await release('p', 'live.1')
    expect(await received()).toEqual([])
    await release('p', 'live.3')
    expect([await holders(), await slots()]).toEqual([
      ['live.2', 'live.4'],
      [1, 0],
    ])
  })

  it('who is first is told anew when one leaves whose time ended later than it was to wait', async () => {
    for (const [index, id] of ['live.1', 'live.2', 'live.3'].entries()) {
      await acquire('p5', id, { ttlMs: (index + 1) * 10_000 })
    }
    await acquire('p2', 'live.4')
    await release('p', 'live.3')
    const [told = '', ...more] = await received()
    expect([told.split(' ')[0], more]).toEqual(['live.4', []])
    expect(Number(told.split(' ')[1])).toBeLessThanOrEqual(10_000)
  })

  it('a message that hands one over says which slot', async () => {
    await acquire('p2', 'live.1')
    await acquire('p2', 'live.2')
    await acquire('p2', 'live.3')
    await release('p', 'live.1')
    expect(await received()).toEqual([expect.stringMatching(/^live\.3 \d{20} \d{20} 3000 0$/)])
  })

  it('the slot of one whose time is over is free', async () => {
    await acquire('p2', 'live.1')
    await acquire('p2', 'live.2')
    await end('plive.1')
    expect(await attempt('p2', 'live.3')).toMatch(/^\d{20} 0$/)
    expect(await redis.zrange(keys.slots, 0, '-1')).toEqual(['live.3', 'live.2'])
  })

  it('find the lowest of many slots', async () => {
    for (let number = 0; number < 40; number += 1) await acquire('p50', `live.${number}`)
    for (const number of [31, 7, 22]) await release('p', `live.${number}`)
    const found = []
    for (const id of ['a', 'b', 'c', 'd']) found.push(String(await attempt('p50', `live.${id}`)).split(' ')[1])
    expect(found).toEqual(['7', '22', '31', '40'])
  })
})

describe('What is kept', () => {
  it('shows metadata as it was given', async () => {
    const meta = '{"line":"one\\ntwo 水 {}"}'
    await acquire('w', 'live.1', { meta })
    await acquire('r', 'live.2', { meta })
    await downgrade('live.1', 'live.3', { meta })
    const { holders: held } = await info()
    expect(held.map(party => party.meta)).toEqual([{ line: 'one\ntwo 水 {}' }, { line: 'one\ntwo 水 {}' }])
  })

  it('goes by itself: every key has a time to live, however it came about', async () => {
    keys = sharedLeaseKeys(prefix, randomUUID(), 'permits')
    const ttlsMs: number[] = []
    const look = async (): Promise<void> => void ttlsMs.push(...(await Promise.all(all().map(key => redis.pttl(key)))))
    for (const id of ['live.1', 'live.2', 'live.3', 'gone.4', 'live.5']) await acquire('p2', id)
    await look()
    for (const id of ['live.1', 'live.2', 'live.3', 'live.5']) {
      await renew('p', id)
      await look()
      await release('p', id)
      await look()
    }
    // -2 = no such key, -1 = a key without an end.
    expect(ttlsMs.filter(ms => ms !== -2).every(ms => ms > 0)).toBe(true)
    expect([await redis.hkeys(keys.state), await redis.exists(keys.ends, keys.queue, keys.slots)]).toEqual([['t'], 0])
  })

  it('lives for as long as the longest of its holders', async () => {
    await acquire('r', 'live.1', { ttlMs: 3_600_000 })
    await acquire('r', 'live.2', { ttlMs: 1_000 })
    await renew('r', 'live.2', 1_000)
    for (const key of [keys.state, keys.ends]) expect(await redis.pttl(key)).toBeGreaterThan(3_600_000)
  })

  it('lets tokens go on when the clock of the server is behind the last one', async () => {
    const [seconds = 0] = await redis.time()
    const last = BigInt(seconds) * 1_000_000n + 3_600_000_000n
    await redis.hset(keys.state, 't', String(last).padStart(20, '0'))
    await redis.pexpire(keys.state, 60_000)
    expect(BigInt(String(await acquire('r', 'live.1')))).toBe(last)
    await release('r', 'live.1')
    expect(BigInt(String(await acquire('w', 'live.2')))).toBe(last + 1n)
    await acquire('w', 'live.3')
    await release('w', 'live.2')
    expect((await received()).at(-1)).toContain(`live.3 ${String(last + 2n).padStart(20, '0')} `)
  })

  it.each(['state', 'ends', 'queue'] as const)(
    'when the %s is lost, it goes on, and nothing stays behind',
    async lost => {
      await acquire('w', 'live.1')
      for (const id of ['live.2', 'live.3']) await acquire('w', id)
      await redis.del(keys[lost])
      expect(await renew('w', 'live.1')).toBe(lost === 'queue' ? 1 : 0)
      await release('w', 'live.1')
      for (const id of ['live.2', 'live.3']) {
        expect(['string', 'object']).toContain(typeof (await acquire('w', id)))
        await release('w', id)
      }
      expect(await attempt('w', 'live.4')).toMatch(TOKEN)
      await release('w', 'live.4')
      expect([await redis.hkeys(keys.state), await redis.exists(keys.ends, keys.queue)]).toEqual([['t'], 0])
    },
  )
})

describe('Steps that share a call', () => {
  it('are answered each, and one that fails touches no other', async () => {
    const names = ['one', 'two', 'three'].map(name => sharedLeaseKeys(prefix, `${name}-${randomUUID()}`, 'permits'))
    await redis.set(names[1]?.state ?? '', 'no hash')
    const orders = ['live.1', 'live.2', 'live.3'].map(id => `a${record('p1', id)}`)
    const words = names.flatMap(({ state, ends, queue, slots }) => [state, ends, queue, slots])
    const answers = (await redis.eval(sharedSteps.lua, words.length, ...words, ...orders)) as unknown[]
    expect([answers[0], answers[2]]).toEqual([expect.stringMatching(/^\d{20} 0$/), expect.stringMatching(/^\d{20} 0$/)])
    expect(String(answers[1])).toContain('WRONGTYPE')
  })
})
