import { beforeEach, describe, expect, it } from 'vitest'
import { BackendLifecycle } from '../backend.ts'
import { InvalidArgumentError, RefusedError, UnavailableError, UnsupportedError } from '../errors.ts'
import { acquireLease } from '../lease/acquire.ts'
import { TakeBacks } from '../lease/take-backs.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import { seededRandom } from '../random.ts'
import { ScriptedLeaseStore, scriptedBackend } from '../testing/index.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import type { Electorate } from './campaign.ts'
import { QuorumLeaseStore } from './leases.ts'
import type { VoteAnswer } from './node.ts'
import { ScriptedNode } from './scripted-node.fixture.ts'

const TTL_MS = 1_000
const HELD: VoteAnswer = { kind: 'held', by: 'another/1', remainingMs: 400 }

let clock: SimulatedClock
let nodes: readonly [ScriptedNode, ScriptedNode, ScriptedNode]
let store: QuorumLeaseStore

beforeEach(() => {
  clock = new SimulatedClock()
  nodes = [new ScriptedNode('one', 11), new ScriptedNode('two', 12), new ScriptedNode('three', 13)]
  store = storeOver({ isFenced: true })
})

function storeOver({
  isFenced,
  maxTtlMs = TTL_MS,
}: Pick<Electorate, 'isFenced'> & Partial<Electorate>): QuorumLeaseStore {
  let requests = 0
  return new QuorumLeaseStore({
    clock,
    random: seededRandom(1),
    lifecycle: new BackendLifecycle('test', clock),
    nodes,
    takeBacks: nodes.map(
      node =>
        new TakeBacks({
          clock,
          release: request => node.withdraw(request),
          patienceMsOf: () => TTL_MS,
          isClosed: () => false,
        }),
    ),
    isFenced,
    validityRatioMin: 0.5,
    ids: { next: () => `request-${(requests += 1)}` },
    checkNodes: () => {},
    guarantee: () => 'lease',
    maxTtlMs,
    retryMsMax: 100,
  })
}

function request(change: Partial<LeaseRequest> = {}): LeaseRequest {
  const requestId = store.newRequestId()
  return { resource: 'stock', requestId, ttlMs: TTL_MS, allowProvisional: false, meta: '{}', ...change }
}

async function take(): Promise<Grant> {
  const outcome = await store.tryGrant(request())
  if (outcome.kind === 'granted') return outcome.grant
  throw new Error('It is held.')
}

async function settled<T>(promise: Promise<T>): Promise<T | 'pending' | Error> {
  const state: { value: T | 'pending' | Error } = { value: 'pending' }
  promise.then(
    value => (state.value = value),
    (error: unknown) => (state.value = error as Error),
  )
  await clock.advance(0)
  return state.value
}

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise(resolve => void clock.setTimer(() => resolve(value), ms))
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}

function fails(): Promise<never> {
  return Promise.reject(new UnavailableError('It did not answer.'))
}

describe('A campaign', () => {
  it('is won by two votes of three, with the highest of their tokens, which is written before the lease is used', async () => {
    nodes[2].onVote = never
    const grant = await take()
    expect(grant.token.value).toBe(12n)
    for (const node of nodes) expect(node.asked).toEqual(['vote 1', 'raise to 12 1'])
  })

  it('writes no token, and says that it has none, where it is not to', async () => {
    store = storeOver({ isFenced: false })
    const grant = await take()
    expect(grant.isUnfenced).toBe(true)
    expect(nodes[0].asked).toEqual(['vote 1'])
  })

  it('is over as soon as no majority is possible, and gives back what it got, also what comes later', async () => {
    nodes[0].onVote = async () => HELD
    nodes[1].onVote = async () => HELD
    nodes[2].onVote = () => later(300, { kind: 'yes', token: '0'.repeat(20) } as const)
    expect(await settled(store.tryGrant(request()))).toEqual({ kind: 'held' })
    expect(nodes[0].asked).toEqual(['vote 1'])
    await clock.advance(300)
    expect(nodes[2].asked).toEqual(['vote 1', 'withdraw 1', 'withdraw 1'])
  })

  it('asks again after a tie, a few times, with nothing left of it in between', async () => {
    nodes[0].onVote = async () => HELD
    nodes[1].onVote = async () => ({ ...HELD, by: 'a third/1' })
    const tried = store.tryGrant(request())
    await clock.advance(1_000)
    expect(await tried).toEqual({ kind: 'held' })
    expect(nodes[2].asked).toEqual([
      'vote 1',
      'withdraw 1',
      'vote 2',
      'withdraw 2',
      'vote 3',
      'withdraw 3',
      'vote 4',
      'withdraw 4',
      'vote 5',
      'withdraw 5',
    ])
  })

  it('gives back what came so late that less than half of it is left, after the votes', async () => {
    for (const node of nodes) node.onVote = () => later(490, { kind: 'yes', token: '1'.padStart(20, '0') } as const)
    const tried = store.tryGrant(request())
    tried.catch(() => {})
    await clock.advance(490)
    await expect(tried).rejects.toThrow('answered so late that 498 ms of the 1000 ms')
    expect(nodes[0].asked).toEqual(['vote 1', 'withdraw 1'])
  })

  it('gives back what came so late that less than half of it is left, after the token was written', async () => {
    for (const node of nodes) node.onRaise = () => later(500, true)
    const tried = store.tryGrant(request())
    tried.catch(() => {})
    await clock.advance(500)
    await expect(tried).rejects.toThrow('answered so late')
    expect(nodes[0].asked).toEqual(['vote 1', 'raise to 13 1', 'withdraw 1'])
  })

  it('is lost where the votes do not stand any more when the token is written', async () => {
    for (const node of nodes.slice(1)) node.onRaise = async () => false
    await expect(store.tryGrant(request())).rejects.toThrow(
      'Fewer than 2 of the 3 servers of the quorum can serve: two does not have the vote. three does not have the vote.',
    )
    expect(nodes[0].asked).toContain('withdraw 1')
  })

  it('says of two servers that are away, and of one that may not vote, why it failed', async () => {
    nodes[0].onVote = fails
    nodes[1].onVote = async () => ({ kind: 'quarantined', remainingMs: 1_234.5 })
    await expect(store.tryGrant(request())).rejects.toThrow(
      'Fewer than 2 of the 3 servers of the quorum can serve: It did not answer. two may vote in 1235 ms',
    )
  })

  it('is refused with a mode, and with a TTL that is too long', async () => {
    await expect(store.tryGrant(request({ mode: { kind: 'permit', limit: 2 } }))).rejects.toThrow(UnsupportedError)
    await expect(store.grant(request({ ttlMs: TTL_MS + 1 }))).rejects.toThrow(InvalidArgumentError)
    await expect(store.downgrade()).rejects.toThrow(UnsupportedError)
    await expect(store.inspect('r', 'permits')).rejects.toThrow(UnsupportedError)
    expect(nodes[0].asked).toEqual([])
  })

  it('without a TTL is for 30 s, or for as long as the quorum serves one where that is less', async () => {
    const first = await store.tryGrant(request({ ttlMs: undefined }))
    const again = await store.grant(request({ resource: 'other', ttlMs: undefined }))
    expect([first, again.ttlMs]).toMatchObject([{ kind: 'granted', grant: { ttlMs: TTL_MS } }, TTL_MS])
    store = storeOver({ isFenced: true, maxTtlMs: 60_000 })
    expect((await store.grant(request({ resource: 'third', ttlMs: undefined }))).ttlMs).toBe(30_000)
  })

  it('without a TTL leaves of the longest what others are to be kept out for', async () => {
    const backend = { ...scriptedBackend(new ScriptedLeaseStore(clock)), leases: store }
    const lease = await acquireLease(backend, 'stock', { lockDelayMs: 300, waitMs: 0 })
    expect([lease.ttlMs, lease.remainingMs()]).toEqual([700, 691])
    await lease.release()
  })

  it('has votes of its own: one that is taken back late is not that of the next round of the same request', async () => {
    // Seen in the simulation, seed 4: the first round failed, the second was won, and then its votes were taken back for the first.
    nodes[0].onVote = async ({ requestId }) =>
      requestId.endsWith('/1') ? HELD : { kind: 'yes', token: '5'.padStart(20, '0') }
    nodes[1].onVote = nodes[0].onVote
    nodes[2].onWithdraw = () => later(200, true)
    const granted = store.grant(request())
    await clock.advance(150)
    expect(await settled(granted)).toHaveProperty('token')
    await clock.advance(1_000)
    expect(nodes[2].asked).toEqual(['vote 1', 'withdraw 1', 'vote 2', 'raise to 13 2'])
  })
})

describe('A renewal', () => {
  it('counts from before it was sent, and rests on a majority', async () => {
    const grant = await take()
    nodes[0].onRenew = fails
    nodes[1].onRenew = () => later(300, true)
    const renewal = store.renew([{ grant, ttlMs: TTL_MS }])
    await clock.advance(300)
    const [outcome] = await renewal
    if (outcome?.kind !== 'renewed') throw new Error('It was not renewed.')
    expect(outcome.deadline.remainingMs()).toBe(TTL_MS - 300 - 12)
  })

  it('is lost where a majority has other votes, and what is left is given back', async () => {
    const grant = await take()
    for (const node of nodes.slice(1)) node.onRenew = async () => false
    expect(await store.renew([{ grant, ttlMs: TTL_MS }])).toEqual([{ kind: 'lost', reason: 'revoked' }])
    await clock.advance(0)
    expect(nodes[0].asked).toContain('withdraw 1')
    expect(await store.renew([{ grant, ttlMs: TTL_MS }])).toEqual([{ kind: 'lost', reason: 'revoked' }])
  })

  it('is neither renewed nor lost where too few answer', async () => {
    const grant = await take()
    for (const node of nodes.slice(1)) node.onRenew = fails
    await expect(store.renew([{ grant, ttlMs: TTL_MS }])).rejects.toThrow(UnavailableError)
  })

  it('asks a server that has lost the vote for it again, but not once the lease is being given back', async () => {
    const grant = await take()
    nodes[2].onRenew = async () => false
    await store.renew([{ grant, ttlMs: TTL_MS }])
    await clock.advance(0)
    expect(nodes[2].asked.slice(2)).toEqual(['renew 1', 'vote 1'])
    nodes[2].onRenew = () => later(100, false)
    await store.renew([{ grant, ttlMs: TTL_MS }])
    await store.release(grant)
    await clock.advance(100)
    expect(nodes[2].asked.slice(4)).toEqual(['renew 1', 'withdraw 1'])
  })
})

describe('A release', () => {
  it('settles by a majority, and goes on in the background where there was no answer', async () => {
    const grant = await take()
    nodes[2].onWithdraw = fails
    expect(await store.release(grant)).toBe('released')
    nodes[2].onWithdraw = async () => true
    await clock.advance(200)
    expect(nodes[2].asked.filter(asked => asked === 'withdraw 1').length).toBeGreaterThan(1)
    expect(await store.release(grant)).toBe('lost')
  })

  it('that is tried again counts the servers that freed it the first time', async () => {
    const grant = await take()
    for (const node of nodes.slice(1)) node.onWithdraw = fails
    await expect(store.release(grant)).rejects.toThrow(UnavailableError)
    nodes[0].onWithdraw = async () => false
    nodes[1].onWithdraw = async () => true
    expect(await store.release(grant)).toBe('released')
  })

  it('takes back a vote that is still on its way', async () => {
    nodes[2].onVote = () => later(300, { kind: 'yes', token: '1'.padStart(20, '0') } as const)
    const grant = await take()
    nodes[2].onWithdraw = async () => false
    expect(await store.release(grant)).toBe('released')
    await clock.advance(0)
    const before = nodes[2].asked.length
    await clock.advance(300)
    expect(nodes[2].asked.slice(before)).toEqual(['withdraw 1'])
  })
})

describe('A release of a lease whose vote on a server is asked for anew', () => {
  it('takes it back, also where the server freed the one before it', async () => {
    const grant = await take()
    nodes[2].onRenew = async () => false
    // It is asked in two steps where the server is not what it was known as: the release comes in between.
    nodes[2].onVote = () => later(300, { kind: 'yes', token: '2'.padStart(20, '0') } as const)
    await store.renew([{ grant, ttlMs: TTL_MS }])
    await clock.advance(0)
    expect(await store.release(grant)).toBe('released')
    await clock.advance(0)
    const before = nodes[2].asked.length
    await clock.advance(300)
    expect(nodes[2].asked.slice(before)).toEqual(['withdraw 1'])
  })

  it('asks no more of it where the vote was answered before', async () => {
    const grant = await take()
    nodes[2].onRenew = async () => false
    await store.renew([{ grant, ttlMs: TTL_MS }])
    await clock.advance(0)
    await store.release(grant)
    await clock.advance(TTL_MS)
    expect(nodes[2].asked.slice(2)).toEqual(['renew 1', 'vote 1', 'withdraw 1'])
  })
})

describe('One who waits', () => {
  it('is told so, asks with pauses, and no later than the holder ends', async () => {
    for (const node of nodes) node.onVote = async () => ({ ...HELD, remainingMs: 30 })
    let told = 0
    const granted = store.grant(request(), undefined, () => (told += 1))
    await clock.advance(0)
    expect(told).toBe(1)
    for (const node of nodes) node.onVote = async () => ({ kind: 'yes', token: '7'.padStart(20, '0') })
    await clock.advance(31)
    expect(await settled(granted)).toHaveProperty('token')
    expect(told).toBe(1)
  })

  it('asks for all others of this client, and the next asks when it is gone', async () => {
    for (const node of nodes) node.onVote = async () => HELD
    const aborts = [new AbortController(), new AbortController()]
    const told: number[] = []
    const waiting = aborts.map(({ signal }, index) => store.grant(request(), signal, () => told.push(index)))
    for (const one of waiting) one.catch(() => {})
    await clock.advance(0)
    expect(told).toEqual([0, 1])
    expect(nodes[0].asked).toEqual(['vote 1'])
    aborts[0]?.abort(new Error('enough'))
    await clock.advance(0)
    expect(nodes[0].asked).toEqual(['vote 1', 'vote 2'])
    aborts[1]?.abort(new Error('enough'))
    await clock.advance(1_000)
    expect(nodes[0].asked).toEqual(['vote 1', 'vote 2'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('asks at once when this client releases', async () => {
    const grant = await take()
    for (const node of nodes) node.onVote = async () => HELD
    const waiting = store.grant(request())
    await clock.advance(0)
    for (const node of nodes) node.onVote = async () => ({ kind: 'yes', token: '7'.padStart(20, '0') })
    await store.release(grant)
    expect(await settled(waiting)).toHaveProperty('token')
  })

  it('is rejected at once where too few servers answer, and bears with that for as long as its lease would last once it was told to wait', async () => {
    for (const node of nodes) node.onVote = fails
    await expect(store.grant(request())).rejects.toThrow(UnavailableError)
    for (const node of nodes) node.onVote = async () => HELD
    const waiting = store.grant(request())
    waiting.catch(() => {})
    await clock.advance(0)
    for (const node of nodes) node.onVote = fails
    await clock.advance(TTL_MS - 50)
    expect(await settled(waiting)).toBe('pending')
    await clock.advance(300)
    await expect(waiting).rejects.toThrow(UnavailableError)
  })

  it('bears with that for as long as its own lease would last, whoever is before it', async () => {
    for (const node of nodes) node.onVote = async () => HELD
    const waiting = [TTL_MS, TTL_MS / 4, TTL_MS / 4].map(ttlMs => store.grant(request({ ttlMs })))
    for (const one of waiting) one.catch(() => {})
    await clock.advance(0)
    for (const node of nodes) node.onVote = fails
    await clock.advance(TTL_MS / 4 - 50)
    for (const one of waiting) expect(await settled(one)).toBe('pending')
    await clock.advance(250)
    for (const one of waiting.slice(1)) expect(await settled(one)).toBeInstanceOf(UnavailableError)
    for (const node of nodes) node.onVote = async () => ({ kind: 'yes', token: '7'.padStart(20, '0') })
    await clock.advance(100)
    expect(await settled(waiting[0] as Promise<Grant>)).toHaveProperty('token')
  })

  it('is rejected at once by servers that refuse, also once it was told to wait', async () => {
    for (const node of nodes) node.onVote = async () => HELD
    const waiting = [store.grant(request()), store.grant(request())]
    for (const one of waiting) one.catch(() => {})
    await clock.advance(0)
    for (const node of nodes) node.onVote = () => Promise.reject(new RefusedError('out of memory'))
    await clock.advance(100)
    for (const one of waiting) expect(await settled(one)).toBeInstanceOf(RefusedError)
    expect(clock.pendingTimers).toBe(0)
  })
})
