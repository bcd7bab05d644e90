import { describe, expect, it } from 'vitest'
import { readLeaseInfo } from './inspect.ts'

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
