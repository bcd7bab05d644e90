import { describe, expect, it } from 'vitest'
import type { LeaseMode } from '../../ports/leases.ts'
import type { Claim, FreeLock } from './lease-table.ts'
import { LeaseTable } from './lease-table.ts'

const MS = 1_000

/** What a table says of locks that were free, in turn; `at` is in ms. */
class Place {
  readonly found: FreeLock[] = []
  readonly #table = new LeaseTable({
    publish: () => true,
    granted: () => {},
    free: found => this.found.push(found),
    tokenAfter: last => last + 1,
  })

  asks(at: number, id: string, mode?: LeaseMode, ttlMs: number = 1_000): string {
    return this.#table.claim(claimOf(id, mode, ttlMs), at * MS).kind
  }

  releases(at: number, id: string, mode?: LeaseMode): void {
    this.#table.release(claimOf(id, mode), at * MS)
  }

  get last(): FreeLock | undefined {
    return this.found.at(-1)
  }
}

function claimOf(id: string, mode: LeaseMode | undefined, ttlMs: number = 1_000): Claim {
  return { resource: 'r', id, mode, ttlMs, claimMs: 500, meta: '{}' }
}

const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }
const TWO: LeaseMode = { kind: 'permit', limit: 2 }

describe('The table of a simulated store says of a lock that could have been granted', () => {
  it('that one whom nobody ever held always could', () => {
    const place = new Place()
    place.asks(5, 'a')
    expect(place.found).toEqual([{ resource: 'r', waiting: ['a'], sinceUs: -Infinity }])
  })

  it('nothing while it is held, and nothing when it is handed on in time', () => {
    const place = new Place()
    place.asks(0, 'a')
    place.asks(1, 'b')
    place.releases(900, 'a')
    place.asks(950, 'c')
    expect(place.found).toHaveLength(1)
  })

  it('since when its holder is dead, and who of those that waited asks at last', () => {
    const place = new Place()
    place.asks(0, 'a')
    place.asks(1, 'b')
    place.asks(2, 'c')
    place.asks(7_000, 'c')
    expect(place.last).toEqual({ resource: 'r', waiting: ['b', 'c', 'c'], sinceUs: 1_000 * MS })
  })

  it('as much when the only one who waits leaves', () => {
    const place = new Place()
    place.asks(0, 'a')
    place.asks(1, 'b')
    place.releases(7_000, 'b')
    expect(place.last).toEqual({ resource: 'r', waiting: ['b'], sinceUs: 1_000 * MS })
  })

  it('of permits, since when one was free, whatever was released later', () => {
    const place = new Place()
    place.asks(0, 'a', TWO)
    place.asks(0, 'b', TWO, 9_000)
    place.asks(1, 'c', TWO)
    place.releases(7_000, 'b', TWO)
    expect(place.last).toEqual({ resource: 'r', waiting: ['c'], sinceUs: 1_000 * MS })
  })

  it('of readers, that they need only wait for writers', () => {
    const place = new Place()
    place.asks(0, 'w', WRITE)
    place.releases(10, 'w', WRITE)
    place.asks(20, 'a', READ, 50)
    place.asks(2_000, 'b', READ)
    expect(place.last?.sinceUs).toBe(10 * MS)
    place.asks(2_001, 'v', WRITE)
    place.asks(9_000, 'v', WRITE)
    expect(place.last?.sinceUs).toBe(3_000 * MS)
  })

  it('of those behind one who waited in vain, that they could not be served before that one left', () => {
    const place = new Place()
    place.asks(0, 'a', READ, 60_000)
    place.asks(1, 'w', WRITE)
    expect(place.asks(2, 'b', READ)).toBe('queued')
    place.releases(7_000, 'w', WRITE)
    expect(place.found).toHaveLength(1)
    place.asks(7_010, 'c', READ)
    expect(place.last?.sinceUs).toBe(7_000 * MS)
  })
})
