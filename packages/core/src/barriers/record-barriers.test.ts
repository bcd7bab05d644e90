import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { UnavailableError } from '../errors.ts'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import type { Membership } from '../ports/barriers.ts'
import type { RecordStore } from '../ports/records.ts'
import { SimulatedClock } from '../testing/index.ts'
import { recordBarriers } from './record-barriers.ts'

const TTL_MS = 3_000

let clock: SimulatedClock
let world: MemoryWorld

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
})

/** A backend whose store counts what is asked, and does not answer while it is away. */
class Client {
  readonly backend: Backend
  isAway = false
  /** How long the store takes to hear that somebody leaves. */
  leavesAfterMs = 0
  /** By name of the call. */
  readonly calls: Record<string, number> = {}

  constructor() {
    const backend = memoryBackend({ world })
    this.backend = { ...backend, records: this.#watched(backend.records) }
  }

  enter(parties: number, barrier = 'b'): Promise<Membership> {
    return recordBarriers(this.backend).enter({ barrier, parties, ttlMs: TTL_MS, meta: '{}' })
  }

  get asked(): number {
    return Object.values(this.calls).reduce((sum, count) => sum + count, 0)
  }

  #watched(store: RecordStore): RecordStore {
    return new Proxy(store, {
      get: (_, name) => {
        const value: unknown = Reflect.get(store, name)
        if (typeof value !== 'function') return value
        const call = value.bind(store) as (...args: readonly unknown[]) => unknown
        if (!['read', 'commit', 'join', 'beat', 'leave'].includes(String(name))) return call
        return async (...args: readonly unknown[]) => {
          this.calls[String(name)] = (this.calls[String(name)] ?? 0) + 1
          if (this.isAway) throw new UnavailableError('The store is away.')
          if (name === 'leave' && this.leavesAfterMs > 0) {
            await new Promise<void>(resolve => void clock.setTimer(resolve, this.leavesAfterMs))
          }
          return await call(...args)
        }
      },
    })
  }
}

/** What has become of it. */
function followed(work: Promise<unknown>): { outcome: string } {
  const seen = { outcome: 'waits' }
  work.then(
    () => (seen.outcome = 'done'),
    (error: unknown) => (seen.outcome = String(error)),
  )
  return seen
}

async function inside(...clients: readonly Client[]): Promise<readonly Membership[]> {
  const entering = clients.map(client => client.enter(clients.length))
  await clock.advance(100)
  return await Promise.all(entering)
}

describe('A party that leaves while the store is away', () => {
  it('waits on, and has left once the others have', async () => {
    const [one, other] = [new Client(), new Client()]
    const [first, second] = await inside(one, other)
    one.isAway = true
    const leaving = followed(first?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(60_000)
    expect(leaving.outcome).toBe('waits')
    one.isAway = false
    await clock.advance(6_000)
    expect(leaving.outcome).toBe('waits')
    const left = followed(second?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(100)
    expect([leaving.outcome, left.outcome]).toEqual(['done', 'done'])
  })

  it('does not wait for those who have come for the next time meanwhile', async () => {
    const [one, other, third] = [new Client(), new Client(), new Client()]
    const [first, second] = await inside(one, other)
    one.isAway = true
    const leaving = followed(first?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(2 * TTL_MS)
    const left = followed(second?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(100)
    expect(left.outcome).toBe('done')
    const next = await inside(other, third)
    one.isAway = false
    await clock.advance(6_000)
    expect(leaving.outcome).toBe('done')
    const leavingNext = next.map(party => party.leave())
    await clock.advance(100)
    await Promise.all(leavingNext)
  })

  it('is out when its caller gives up, though it was never told', async () => {
    const [one, other] = [new Client(), new Client()]
    const [first, second] = await inside(one, other)
    one.isAway = true
    const abort = new AbortController()
    const leaving = followed(first?.leave({ signal: abort.signal }) ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(100)
    abort.abort(new Error('enough'))
    await clock.advance(0)
    expect(leaving.outcome).toBe('Error: enough')
    one.isAway = false
    const left = followed(second?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(TTL_MS + 2_000)
    expect(left.outcome).toBe('done')
  })
})

describe('A party that fell silent for longer than its TTL', () => {
  it('has left, and does not count for the next time before it enters again', async () => {
    const [one, other] = [new Client(), new Client()]
    const [first, second] = await inside(one, other)
    // As a process that is stopped, the others go on.
    one.isAway = true
    const left = followed(second?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(2 * TTL_MS)
    expect(left.outcome).toBe('done')
    one.isAway = false
    await clock.advance(2 * TTL_MS)
    const early = other.enter(2)
    const entering = followed(early)
    await clock.advance(2 * TTL_MS)
    expect(entering.outcome).toBe('waits')
    // It may say that it leaves; nobody is in whom it would have to wait for.
    const leaving = followed(first?.leave() ?? Promise.reject(new Error('Nobody is in.')))
    await clock.advance(100)
    expect([entering.outcome, leaving.outcome]).toEqual(['waits', 'done'])
    const again = one.enter(2)
    await clock.advance(100)
    expect(entering.outcome).toBe('done')
    const leavingBoth = [(await early).leave(), (await again).leave()]
    await clock.advance(100)
    await Promise.all(leavingBoth)
  })
})

describe('A party that gave up entering', () => {
  it('does not count beside the next one of its process, however late the store hears of it', async () => {
    const client = new Client()
    const abort = new AbortController()
    const barriers = recordBarriers(client.backend)
    const request = { barrier: 'b', parties: 2, ttlMs: TTL_MS, meta: '{}' }
    const first = followed(barriers.enter(request, { signal: abort.signal }))
    await clock.advance(100)
    // As on another connection, where what was sent later is heard earlier.
    client.leavesAfterMs = 500
    abort.abort(new Error('enough'))
    await clock.advance(0)
    expect(first.outcome).toBe('Error: enough')
    const second = barriers.enter(request)
    const entering = followed(second)
    await clock.advance(2 * TTL_MS)
    expect(entering.outcome).toBe('waits')
    const other = new Client().enter(2)
    await clock.advance(100)
    const leaving = [await second, await other].map(party => party.leave())
    await clock.advance(1_000)
    await Promise.all(leaving)
  })

  it('keeps the next one of its process for no longer than that one waits', async () => {
    const client = new Client()
    const [given, next] = [new AbortController(), new AbortController()]
    const barriers = recordBarriers(client.backend)
    const request = { barrier: 'b', parties: 2, ttlMs: TTL_MS, meta: '{}' }
    const first = followed(barriers.enter(request, { signal: given.signal }))
    await clock.advance(100)
    client.leavesAfterMs = 60_000
    given.abort(new Error('enough'))
    await clock.advance(0)
    const second = followed(barriers.enter(request, { signal: next.signal }))
    await clock.advance(100)
    next.abort(new Error('enough as well'))
    await clock.advance(0)
    expect([first.outcome, second.outcome]).toEqual(['Error: enough', 'Error: enough as well'])
    expect(client.calls['join']).toBe(1)
    await clock.advance(60_000)
  })
})

describe('Parties of one process', () => {
  it('ask the store so many times for each who comes and goes, however many they are', async () => {
    const perParty: number[] = []
    for (const count of [10, 80]) {
      const client = new Client()
      const entering: Promise<Membership>[] = []
      for (let index = 0; index < count; index += 1) {
        entering.push(client.enter(count, `of ${count}`))
        await clock.advance(1)
      }
      const parties = await Promise.all(entering)
      const leaving: Promise<void>[] = []
      for (const party of parties) {
        leaving.push(party.leave())
        await clock.advance(1)
      }
      await Promise.all(leaving)
      perParty.push(client.asked / count)
    }
    const [few, many] = perParty as [number, number]
    expect(few).toBeLessThan(8)
    expect(many).toBeLessThan(8)
  })

  it('have one watch, which ends with the last who waits', async () => {
    const client = new Client()
    const abort = new AbortController()
    const waiting = Array.from({ length: 5 }, () =>
      recordBarriers(client.backend)
        .enter({ barrier: 'b', parties: 9, ttlMs: TTL_MS, meta: '{}' }, { signal: abort.signal })
        .catch(() => 'given up'),
    )
    await clock.advance(100)
    abort.abort(new Error('enough'))
    await clock.advance(100)
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'given up'))
    expect(clock.pendingTimers).toBe(0)
  })

  it('wait at a barrier by what was read since they came, and not by what others of them saw before', async () => {
    const [client, other] = [new Client(), new Client()]
    const [barriers, elsewhere] = [recordBarriers(client.backend), recordBarriers(other.backend)]
    await barriers.shut('gate')
    const first = followed(barriers.untilOpen('gate'))
    await clock.advance(100)
    client.isAway = true
    await elsewhere.open('gate')
    await clock.advance(100)
    await elsewhere.shut('gate')
    const second = followed(barriers.untilOpen('gate'))
    await clock.advance(100)
    client.isAway = false
    await clock.advance(6_000)
    // The one has it that it was open in between; the other came when it was shut again.
    expect([first.outcome, second.outcome]).toEqual(['done', 'waits'])
    await elsewhere.open('gate')
    await clock.advance(6_000)
    expect(second.outcome).toBe('done')
  })
})
