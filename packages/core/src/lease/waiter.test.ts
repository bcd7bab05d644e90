import { beforeEach, describe, expect, it } from 'vitest'
import { RefusedError, UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { answeredDeadline, driftMs, momentOf } from './deadline.ts'
import type { Grant, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { SimulatedClock } from '../testing/index.ts'
import { Lines } from './lines.ts'
import { Waiter } from './waiter.ts'
import type { AcquireOutcome, HandOff, WaitingCommands, WaitingInbox } from './waiting.ts'

const TTL_MS = 10_000
const CLAIM_MS = 3_000
/** The server's clock is its own: 7 s ahead of the client's start. */
const SERVER_AHEAD_MS = 6_000

let clock: SimulatedClock
let server: FakeServer
let outcome: { readonly grant?: Grant; readonly error?: unknown } | undefined

/** Stands for the steps of a lease and the inbox; a test settles what was asked. */
class FakeServer {
  epoch = 1
  inboxEpoch = 1
  trustMs = Infinity
  confirmsHandOffs = false
  readonly asked: string[] = []
  readonly listening = new Set<string>()
  readonly lines = new Lines()
  probes = 0
  acquire: () => Promise<AcquireOutcome> = () => new Promise(() => {})
  renew: (renewal: Renewal) => Promise<RenewOutcome> = async ({ ttlMs }) => this.renewed(ttlMs)

  nowUs(): number {
    return (clock.monotonicMs() + SERVER_AHEAD_MS) * 1_000
  }

  queued(position = 0, remainingMs = TTL_MS, isNew = false): AcquireOutcome {
    return { kind: 'queued', sent: momentOf(clock), serverUs: this.nowUs(), remainingMs, position, isNew }
  }

  granted(request: LeaseRequest): AcquireOutcome {
    const deadline = answeredDeadline(clock, momentOf(clock), TTL_MS)
    const token = new FencingToken(77n)
    return { kind: 'granted', grant: { request, token, ttlMs: TTL_MS, deadline, isProvisional: false } }
  }

  renewed(ttlMs: number): RenewOutcome {
    return { kind: 'renewed', deadline: answeredDeadline(clock, momentOf(clock), ttlMs), ttlMs }
  }
}

function commandsOf(server: FakeServer): WaitingCommands {
  return {
    get epoch() {
      return server.epoch
    },
    get confirmsHandOffs() {
      return server.confirmsHandOffs
    },
    ttlMsOf: (request: LeaseRequest) => request.ttlMs ?? TTL_MS,
    acquire: () => {
      server.asked.push(`acquire at ${clock.monotonicMs() - 1_000}`)
      return server.acquire()
    },
    renew: async ([renewal]: readonly [Renewal]) => {
      server.asked.push(`renew for ${renewal.ttlMs}`)
      return [await server.renew(renewal)]
    },
    takeBack: () => void server.asked.push('take back'),
  } as unknown as WaitingCommands
}

function inboxOf(server: FakeServer): WaitingInbox {
  return {
    get trustMs() {
      return server.trustMs
    },
    get epoch() {
      return server.inboxEpoch
    },
    add: (id: string) => void server.listening.add(id),
    remove: (id: string) => void server.listening.delete(id),
    probe: () => void server.probes++,
  }
}

beforeEach(() => {
  clock = new SimulatedClock()
  server = new FakeServer()
  outcome = undefined
})

function requestOf(change: Partial<LeaseRequest> = {}): LeaseRequest {
  return { resource: 'r', requestId: 'p.1', ttlMs: TTL_MS, allowProvisional: true, meta: '{}', ...change }
}

function waiting(change: Partial<LeaseRequest> = {}): Waiter {
  const waiter = new Waiter(
    requestOf(change),
    { commands: commandsOf(server), inbox: inboxOf(server), lines: server.lines, clock },
    {
      queued: () => {},
      resolve: grant => (outcome = { grant }),
      reject: error => (outcome = { error }),
    },
  )
  waiter.ask()
  return waiter
}

/** Queued at once, at this instant. */
async function queuedAt(position: number, remainingMs = TTL_MS, change: Partial<LeaseRequest> = {}): Promise<Waiter> {
  server.acquire = async () => server.queued(position, remainingMs)
  const waiter = waiting(change)
  await clock.advance(0)
  server.asked.length = 0
  return waiter
}

/** Handed over at this instant of the server. */
function handOff(spanMs = CLAIM_MS): HandOff {
  return { token: '00000000000000000042', nowUs: server.nowUs(), spanMs }
}

describe('A lease that comes by message', () => {
  it('counts from when it was handed over by the clock of the server, which says nothing of the own one', async () => {
    const waiter = await queuedAt(0)
    await clock.advance(4_000)
    const message = handOff()
    await clock.advance(100)
    waiter.onHandOff(message)
    const lengthMs = CLAIM_MS - driftMs(CLAIM_MS + 4_000)
    expect(outcome?.grant?.deadline.remainingMs()).toBeCloseTo(lengthMs - 100, 6)
    expect(outcome?.grant).toMatchObject({ ttlMs: TTL_MS, isProvisional: true })
    expect(outcome?.grant?.token.value).toBe(42n)
    expect(server.asked).toEqual([])
  })

  it('ends sooner the longer was waited: the clocks may have drifted apart', async () => {
    const waiter = await queuedAt(0, 86_400_000)
    await clock.advance(100_000)
    waiter.onHandOff(handOff())
    expect(outcome?.grant?.deadline.remainingMs()).toBeCloseTo(CLAIM_MS - (30 + 1_000 + 2), 6)
  })

  it('never counts from later than its receipt, should the clock of the server have been set forward', async () => {
    const waiter = await queuedAt(0)
    await clock.advance(1_000)
    const message = { ...handOff(), nowUs: server.nowUs() + 1_500_000 }
    waiter.onHandOff(message)
    expect(outcome?.grant?.deadline.remainingMs()).toBeCloseTo(CLAIM_MS - driftMs(CLAIM_MS + 2_500), 6)
  })

  it('counts from before the question when the clock of the server was set back, so it is asked for again', async () => {
    const waiter = await queuedAt(0)
    await clock.advance(1_000)
    waiter.onHandOff({ ...handOff(), nowUs: server.nowUs() - 3_600_000_000 })
    await clock.advance(0)
    expect(server.asked).toEqual(['acquire at 1000'])
  })

  it('is asked for when its time is over: a renewal may keep another one, with another token (seen in simulation)', async () => {
    const waiter = await queuedAt(0)
    const message = handOff()
    await clock.advance(CLAIM_MS)
    server.acquire = async () => server.granted(requestOf())
    waiter.onHandOff(message)
    await clock.advance(0)
    expect(server.asked).toEqual([`acquire at ${CLAIM_MS}`])
    expect(outcome?.grant?.token.value).toBe(77n)
  })

  it('is asked for when its time was over by the answer to the renewal', async () => {
    const waiter = await queuedAt(0)
    server.epoch += 1
    server.renew = async ({ ttlMs }) => {
      await clock.advance(CLAIM_MS)
      return server.renewed(ttlMs)
    }
    waiter.onHandOff(handOff())
    await clock.advance(CLAIM_MS)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`, `acquire at ${CLAIM_MS}`])
  })

  it('is renewed first when it came late: less than half is left', async () => {
    const waiter = await queuedAt(0)
    await clock.advance(1_000)
    const message = handOff()
    await clock.advance(1_500)
    waiter.onHandOff(message)
    await clock.advance(0)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`])
    expect(outcome?.grant?.deadline.remainingMs()).toBe(TTL_MS - driftMs(TTL_MS))
    expect(outcome?.grant).toMatchObject({ ttlMs: TTL_MS, isProvisional: false })
  })

  it('is taken as it is when half is left', async () => {
    const waiter = await queuedAt(0)
    const message = handOff()
    await clock.advance(1_500 - driftMs(CLAIM_MS))
    waiter.onHandOff(message)
    expect([server.asked, outcome?.grant?.deadline.remainingMs()]).toEqual([[], 1_500])
  })

  it('is renewed first when the machine slept: the wall clock says that it is old', async () => {
    const waiter = await queuedAt(0)
    const message = handOff()
    clock.sleepMachine(2_000)
    waiter.onHandOff(message)
    await clock.advance(0)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`])
  })

  it.each([
    ['the connection', () => (server.epoch += 1)],
    ['the inbox', () => (server.inboxEpoch += 1)],
  ])('is renewed first when %s was made anew since the question', async (_what, remake) => {
    const waiter = await queuedAt(0)
    remake()
    waiter.onHandOff(handOff())
    await clock.advance(0)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`])
    expect(outcome?.grant?.isProvisional).toBe(false)
  })

  it('is renewed first when the caller wants all of its time at once', async () => {
    const waiter = await queuedAt(0, TTL_MS, { allowProvisional: false })
    waiter.onHandOff(handOff())
    await clock.advance(0)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`])
    expect(outcome?.grant).toMatchObject({ ttlMs: TTL_MS, isProvisional: false })
  })

  it('is not provisional when all of its time is shorter than the claim time', async () => {
    const waiter = await queuedAt(0, TTL_MS, { ttlMs: 1_000, allowProvisional: false })
    waiter.onHandOff(handOff(1_000))
    expect([server.asked, outcome?.grant?.isProvisional]).toEqual([[], false])
  })

  it('is renewed first where only that makes it count, however short its time is', async () => {
    server.confirmsHandOffs = true
    const waiter = await queuedAt(0, TTL_MS, { ttlMs: 1_000 })
    waiter.onHandOff(handOff(1_000))
    expect(outcome).toBeUndefined()
    await clock.advance(0)
    expect([server.asked, outcome?.grant?.isProvisional]).toEqual([['renew for 1000'], false])
  })

  it('says which slot a permit has', async () => {
    const waiter = await queuedAt(0)
    waiter.onHandOff({ ...handOff(), slot: 3 })
    expect(outcome?.grant?.slot).toBe(3)
  })

  it('is taken when it comes before the answer that says since when we wait', async () => {
    let answer: (outcome: AcquireOutcome) => void = () => {}
    server.acquire = () => new Promise(resolve => (answer = resolve))
    const waiter = waiting()
    const queued = server.queued()
    await clock.advance(40)
    waiter.onHandOff(handOff())
    expect(outcome).toBeUndefined()
    await clock.advance(60)
    answer(queued)
    await clock.advance(0)
    expect(outcome?.grant?.deadline.remainingMs()).toBeCloseTo(CLAIM_MS - driftMs(CLAIM_MS + 40) - 60, 6)
  })

  it('is not taken when the renewal says that it is gone: the waiter asks again', async () => {
    const waiter = await queuedAt(0)
    server.renew = async () => ({ kind: 'lost', reason: 'revoked' })
    const message = handOff()
    await clock.advance(2_500)
    waiter.onHandOff(message)
    await clock.advance(0)
    expect(server.asked).toEqual([`renew for ${TTL_MS}`, 'acquire at 2500'])
    expect(outcome).toBeUndefined()
  })

  it('is never taken with nothing left, however late the renewal is answered', async () => {
    const waiter = await queuedAt(0)
    const message = handOff()
    await clock.advance(2_500)
    server.renew = async ({ ttlMs }) => {
      const renewed = server.renewed(ttlMs)
      clock.stall(TTL_MS)
      return renewed
    }
    waiter.onHandOff(message)
    await clock.advance(0)
    expect(outcome).toBeUndefined()
    expect(server.asked.at(-1)).toMatch(/^acquire/)
  })

  it('is asked for again when the renewal is not answered', async () => {
    const waiter = await queuedAt(0)
    server.epoch += 1
    server.renew = () => Promise.reject(new UnavailableError('no answer'))
    waiter.onHandOff(handOff())
    await clock.advance(0)
    server.acquire = async () => server.granted(requestOf())
    await clock.advance(250)
    expect(outcome?.grant?.token.value).toBe(77n)
  })

  it('ends the waiting: no timer and no listener is left', async () => {
    const waiter = await queuedAt(0)
    expect([clock.holdingTimers, [...server.listening]]).toEqual([1, ['p.1']])
    waiter.onHandOff(handOff())
    expect([clock.pendingTimers, [...server.listening]]).toEqual([0, []])
  })
})

describe('A waiter whose message is lost', () => {
  /** When it asked by itself, from the start. */
  async function asksWithin(ms: number): Promise<readonly string[]> {
    await clock.advance(ms)
    return server.asked
  }

  it('asks when the lease of the holder ends, if it is the first', async () => {
    await queuedAt(0, 5_000)
    expect(await asksWithin(5_019)).toEqual([])
    expect(await asksWithin(1)).toEqual(['acquire at 5020'])
  })

  it.each([
    [1, 5_520],
    [5, 5_600],
    [500, 5_900],
  ])(
    'at position %i asks after %i ms: soon after the head should have, however many died before it',
    async (position, atMs) => {
      await queuedAt(position, 5_000)
      expect(await asksWithin(atMs - 1)).toEqual([])
      expect(await asksWithin(1)).toEqual([`acquire at ${atMs}`])
    },
  )

  it('asks again and again where its inbox may be deaf, long before the lease of the holder ends', async () => {
    server.trustMs = 700
    await queuedAt(0, 5_000)
    expect(await asksWithin(1_400)).toEqual(['acquire at 700', 'acquire at 1400'])
  })

  it('asks for all of its client that wait for the resource: those behind it keep quiet', async () => {
    await queuedAt(3, 5_000, { requestId: 'p.1' })
    await queuedAt(4, 5_000, { requestId: 'p.2' })
    expect(await asksWithin(5_560)).toEqual(['acquire at 5560'])
    expect(server.probes).toBe(1)
  })

  it('keeps its own time beside those who wait for another lock of the same name', async () => {
    await queuedAt(0, 5_000, { requestId: 'p.1' })
    await queuedAt(0, 5_000, { requestId: 'p.2', mode: { kind: 'read' } })
    await queuedAt(0, 5_000, { requestId: 'p.3', mode: { kind: 'permit', limit: 2 } })
    await queuedAt(1, 5_000, { requestId: 'p.4', mode: { kind: 'write' } })
    expect(await asksWithin(5_020)).toEqual(['acquire at 5020', 'acquire at 5020', 'acquire at 5020'])
  })

  it('leaves the time to the next in line when it gives up', async () => {
    const first = await queuedAt(3, 5_000, { requestId: 'p.1' })
    await queuedAt(4, 5_000, { requestId: 'p.2' })
    await clock.advance(1_000)
    first.giveUp(new Error('enough'))
    server.asked.length = 0
    expect(await asksWithin(4_580)).toEqual(['acquire at 5580'])
  })

  it('lets the others ask as well when the server had forgotten its place', async () => {
    await queuedAt(0, 5_000, { requestId: 'p.1' })
    await queuedAt(1, 5_000, { requestId: 'p.2' })
    server.acquire = async () => server.queued(0, 5_000, true)
    expect(await asksWithin(5_020)).toEqual(['acquire at 5020', 'acquire at 5020'])
  })

  it('lets the others ask as well when it was granted without a message', async () => {
    await queuedAt(0, 5_000, { requestId: 'p.1' })
    await queuedAt(1, 5_000, { requestId: 'p.2' })
    server.acquire = async () => server.granted(requestOf())
    expect(await asksWithin(5_020)).toEqual(['acquire at 5020', 'acquire at 5020'])
  })

  it('takes what the answer then says', async () => {
    await queuedAt(0, 5_000)
    server.acquire = async () => server.granted(requestOf())
    await clock.advance(5_020)
    expect(outcome?.grant).toMatchObject({ ttlMs: TTL_MS, isProvisional: false })
  })

  it('goes by the news that it is the first now', async () => {
    const waiter = await queuedAt(7, 60_000)
    waiter.onFirst(2_000)
    expect(await asksWithin(2_019)).toEqual([])
    expect(await asksWithin(1)).toEqual(['acquire at 2020'])
  })

  it('goes by that news also when it overtakes the answer with its place', async () => {
    // Seen here: the answer, which was older, set the timer back to that of its place.
    let answer: (outcome: AcquireOutcome) => void = () => {}
    server.acquire = () => new Promise(resolve => (answer = resolve))
    const waiter = waiting()
    await clock.advance(0)
    const queued = server.queued(5, 2_000)
    waiter.onFirst(2_000)
    answer(queued)
    expect(await asksWithin(2_019)).toEqual(['acquire at 0'])
    expect(await asksWithin(1)).toEqual(['acquire at 0', 'acquire at 2020'])
  })

  it('goes by that news also when the answer is of a holder before, who had more time', async () => {
    let answer: (outcome: AcquireOutcome) => void = () => {}
    server.acquire = () => new Promise(resolve => (answer = resolve))
    const waiter = waiting()
    await clock.advance(0)
    const queued = server.queued(0, 30_000)
    waiter.onFirst(500)
    answer(queued)
    expect(await asksWithin(519)).toEqual(['acquire at 0'])
    expect(await asksWithin(1)).toEqual(['acquire at 0', 'acquire at 520'])
  })

  it('asks at once when messages may have been missed', async () => {
    const waiter = await queuedAt(3)
    await clock.advance(100)
    waiter.onGap()
    expect(server.asked).toEqual(['acquire at 100'])
  })

  it('asks one question at a time, and again when it was told to meanwhile', async () => {
    let answer: (outcome: AcquireOutcome) => void = () => {}
    server.acquire = () => new Promise(resolve => (answer = resolve))
    const waiter = waiting()
    waiter.onGap()
    waiter.onGap()
    expect(server.asked).toHaveLength(1)
    answer(server.queued())
    await clock.advance(0)
    expect(server.asked).toHaveLength(2)
  })

  it('asks again soon when a lease was granted of which nothing is left', async () => {
    await queuedAt(0, 1_000)
    server.acquire = async () => {
      const late = server.granted(requestOf())
      clock.stall(TTL_MS)
      server.acquire = async () => server.granted(requestOf())
      return late
    }
    await clock.advance(1_020)
    expect(outcome?.grant?.deadline.remainingMs()).toBe(TTL_MS - driftMs(TTL_MS))
  })
})

describe('A waiter whose server is away', () => {
  it('keeps its place and asks again, for as long as a lease would last', async () => {
    await queuedAt(0, 1_000)
    server.acquire = () => Promise.reject(new UnavailableError('no answer'))
    await clock.advance(1_020 + TTL_MS - 250)
    expect(outcome).toBeUndefined()
    await clock.advance(500)
    expect(outcome?.error).toBeInstanceOf(UnavailableError)
    expect([server.asked.at(-1), clock.pendingTimers, server.listening.size]).toEqual(['take back', 0, 0])
  })

  it('takes its turn when the server is back in time', async () => {
    await queuedAt(0, 1_000)
    server.acquire = () => Promise.reject(new UnavailableError('no answer'))
    await clock.advance(5_000)
    server.acquire = async () => server.granted(requestOf())
    await clock.advance(250)
    expect(outcome?.grant?.token.value).toBe(77n)
  })

  it('counts its patience anew after each answer', async () => {
    await queuedAt(0, 1_000)
    for (let round = 0; round < 3; round += 1) {
      server.acquire = () => Promise.reject(new UnavailableError('no answer'))
      await clock.advance(8_000)
      server.acquire = async () => server.queued(0, 1_000)
      await clock.advance(250)
    }
    expect(outcome).toBeUndefined()
  })

  it('tells the caller at once when the very first question fails', async () => {
    server.acquire = () => Promise.reject(new UnavailableError('no answer'))
    waiting()
    await clock.advance(0)
    expect(outcome?.error).toBeInstanceOf(UnavailableError)
    expect(server.asked).toEqual(['acquire at 0', 'take back'])
  })

  it('tells the caller at once that the server refuses, also later', async () => {
    await queuedAt(0, 1_000)
    server.acquire = () => Promise.reject(new RefusedError('no permission'))
    await clock.advance(1_020)
    expect(outcome?.error).toBeInstanceOf(RefusedError)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('A question that is answered after the lease came by message', () => {
  async function answeredLate(answer: () => AcquireOutcome): Promise<readonly string[]> {
    let settle: (outcome: AcquireOutcome) => void = () => {}
    const waiter = await queuedAt(1)
    server.acquire = () => new Promise(resolve => (settle = resolve))
    waiter.ask()
    await clock.advance(1)
    waiter.onHandOff(handOff())
    await clock.advance(1)
    expect(outcome?.grant?.token.value).toBe(42n)
    settle(answer())
    await clock.advance(0)
    return server.asked.filter(asked => asked === 'take back')
  }

  it('is taken back when it made a place in the queue again (seen by reading: a ghost for a TTL)', async () => {
    expect(await answeredLate(() => server.queued(3, TTL_MS, true))).toEqual(['take back'])
  })

  it('is passed over when the news overtook it (seen in simulation: the lease was freed while it was held)', async () => {
    const beforeUs = server.nowUs()
    const early = (): AcquireOutcome => ({ ...server.queued(3, TTL_MS, true), serverUs: beforeUs }) as AcquireOutcome
    expect(await answeredLate(early)).toEqual([])
  })

  it('is passed over when it tells of the place that was served, whatever the clock of the server says', async () => {
    expect(await answeredLate(() => server.queued(3))).toEqual([])
  })

  it('is taken back when it got the lease again, under another token', async () => {
    expect(await answeredLate(() => server.granted(requestOf()))).toEqual(['take back'])
  })
})

describe('A message that cannot be read', () => {
  it('only makes the waiter ask', async () => {
    const waiter = await queuedAt(1)
    waiter.onHandOff({ token: 'x', nowUs: 0, spanMs: 1 })
    await clock.advance(0)
    expect(server.asked).toEqual(['acquire at 0'])
  })
})

describe('A waiter that gives up', () => {
  it('rejects with the reason, takes back what was asked for, and leaves nothing', async () => {
    const waiter = await queuedAt(0)
    const reason = new Error('enough')
    waiter.giveUp(reason)
    expect(outcome?.error).toBe(reason)
    expect([server.asked, clock.pendingTimers, server.listening.size]).toEqual([['take back'], 0, 0])
  })

  it('does so once, and hears nothing any more', async () => {
    const waiter = await queuedAt(0)
    waiter.giveUp(new Error('enough'))
    waiter.giveUp(new Error('more than enough'))
    waiter.onHandOff(handOff())
    waiter.onFirst(10)
    waiter.onGap()
    await clock.advance(60_000)
    expect(outcome?.error).toMatchObject({ message: 'enough' })
    expect([server.asked, clock.pendingTimers]).toEqual([['take back'], 0])
  })

  it('does not hand out what is answered after that', async () => {
    let answer: (outcome: AcquireOutcome) => void = () => {}
    server.acquire = () => new Promise(resolve => (answer = resolve))
    const waiter = waiting()
    waiter.giveUp(new Error('enough'))
    answer(server.granted(requestOf()))
    await clock.advance(0)
    expect([outcome?.grant, clock.pendingTimers]).toEqual([undefined, 0])
  })
})
