import { describe, expect, it } from 'vitest'
import { readLeaseInfo, readSharedLeaseInfo } from './inspect.ts'

const NOW_US = 1_700_000_000_000_000
const TOKEN = '00001699999999000000'

function state({ sinceMs = 0, ttlMs = 5_000, record = '03000p.1 {"job":"a b"}', flag = '0' } = {}): string {
  const since = String(NOW_US - sinceMs * 1_000).padStart(20, '0')
  return `${TOKEN}${since}${flag}${String(ttlMs).padStart(8, '0')}${record}`
}

describe('readLeaseInfo', () => {
  it('reads who holds, with which token, and for how long', () => {
    const { resource, holder, waiters } = readLeaseInfo('r', { state: state({ sinceMs: 1_000 }), queue: {} }, NOW_US)
    expect([resource, waiters]).toEqual(['r', []])
    expect(holder).toMatchObject({ requestId: 'p.1', meta: { job: 'a b' }, remainingMs: 4_000 })
    expect(holder?.token.toString()).toBe(TOKEN)
  })

  it.each([
    ['nothing is kept', ''],
    ['it is free', `${TOKEN}${'0'.repeat(21)}`],
    ['the time of the holder is over', state({ sinceMs: 5_000 })],
    ['what is kept is not ours', 'something else'],
  ])('says that nobody holds when %s', (_when, text) => {
    expect(readLeaseInfo('r', { state: text, queue: {} }, NOW_US).holder).toBeUndefined()
  })

  it('reads who waits in order of tickets, not of text', () => {
    const queue = {
      a: '9',
      z: '11',
      w11: '0000500003000p.c {"n":"3"}',
      w9: '0000500003000p.a {"n":"1"}',
      w10: '0000500003000p.b two\nlines',
      'rp.a': '9',
      'rp.b': '10',
      'rp.c': '11',
    }
    const { waiters } = readLeaseInfo('r', { state: state({ flag: '1' }), queue }, NOW_US)
    expect(waiters).toEqual([
      { requestId: 'p.a', mode: 'exclusive', meta: { n: '1' } },
      { requestId: 'p.b', mode: 'exclusive', meta: { data: 'two\nlines' } },
      { requestId: 'p.c', mode: 'exclusive', meta: { n: '3' } },
    ])
  })
})

describe('readSharedLeaseInfo', () => {
  const kept = (sinceMs: number, slot: number, record: string): string =>
    `${TOKEN}${String(NOW_US - sinceMs * 1_000).padStart(20, '0')}${String(slot).padStart(7, '0')}${record}`
  const read = 'r00005000030000000001p.1 {"job":"a b"}'
  const permit = 'p00005000030000000009p.2 {}'

  it('reads all who hold, longest first, with slots of permits, and who waits', () => {
    const stored = {
      holders: { t: TOKEN, 'hp.1': kept(1_000, 0, read), 'hp.2': kept(2_000, 7, permit) },
      ends: ['rp.1', String(NOW_US + 4_000_000), 'pp.2', String(NOW_US + 9_000_000)],
      queue: { a: '1', z: '1', w1: 'w00005000030000000001p.3 {}', 'rp.3': '1' },
    }
    const { holder, holders, waiters } = readSharedLeaseInfo('r', stored, NOW_US)
    expect(holder).toBe(holders[0])
    expect(holders).toMatchObject([
      { requestId: 'p.2', mode: 'permit', slot: 7, heldMs: 2_000, remainingMs: 9_000 },
      { requestId: 'p.1', mode: 'read', slot: undefined, heldMs: 1_000, remainingMs: 4_000, meta: { job: 'a b' } },
    ])
    expect(holders.map(({ token }) => token.toString())).toEqual([TOKEN, TOKEN])
    expect(waiters).toEqual([{ requestId: 'p.3', mode: 'write', meta: {} }])
  })

  it('reads pairs of members and ends, as a client that speaks RESP3 gets them', () => {
    const stored = { holders: { 'hp.1': kept(0, 0, read) }, ends: [['rp.1', NOW_US + 1_000]], queue: {} }
    expect(readSharedLeaseInfo('r', stored, NOW_US).holder).toMatchObject({ requestId: 'p.1', remainingMs: 1 })
  })

  it('leaves out those whose time is over, or of whom nothing is known', () => {
    const ends = ['rp.1', String(NOW_US), 'rp.9', String(NOW_US + 1_000)]
    const stored = { holders: { 'hp.1': kept(0, 0, read) }, ends, queue: {} }
    expect(readSharedLeaseInfo('r', stored, NOW_US)).toMatchObject({ holder: undefined, holders: [], waiters: [] })
  })
})
