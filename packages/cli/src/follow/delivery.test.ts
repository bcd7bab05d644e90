import { Secret } from '@holdfast/config-client'
import { describe, expect, it } from 'vitest'
import { contentJson, environmentOf } from './delivery.ts'
import { Inbox } from './inbox.ts'

const CONTENT = { db: { password: new Secret('hunter2'), pool: new Secret({ max: 3 }), hosts: ['a'] } }

describe('what is delivered', () => {
  it('hides secrets unless they are to be revealed', () => {
    expect(contentJson(CONTENT, { isRevealing: false })).toBe(
      '{"db":{"password":"[secret]","pool":"[secret]","hosts":["a"]}}',
    )
    expect(contentJson(CONTENT, { isRevealing: true })).toBe(
      '{"db":{"password":"hunter2","pool":{"max":3},"hosts":["a"]}}',
    )
  })

  it('hides what is encrypted and nobody has named a secret', () => {
    const content = { db: { password: { $secret: { keyId: 'k1', iv: 'a', data: 'b', tag: 'c' } } } }
    expect(contentJson(content, { isRevealing: true })).toBe('{"db":{"password":"[secret]"}}')
  })

  it('tells which release it is, and which one was before', () => {
    const [release, previous] = [
      { number: 42, hash: 'abc' },
      { number: 40, hash: 'def' },
    ]
    const scope = { app: 'shop', env: 'prod' }
    const first = { HF_REVISION: '42', HF_PREVIOUS_REVISION: '', HF_HASH: 'abc', HF_APP: 'shop', HF_ENV: 'prod' }
    expect(environmentOf({ release, previous: undefined, content: {} }, scope)).toEqual(first)
    expect(environmentOf({ release, previous, content: {} }, scope)).toEqual({ ...first, HF_PREVIOUS_REVISION: '40' })
  })
})

describe('an inbox', () => {
  it('gives out in order, waits for what comes, and ends with its signal', async () => {
    const inbox = new Inbox<number>()
    const end = new AbortController()
    inbox.put(1)
    inbox.put(2)
    expect([await inbox.next(end.signal), await inbox.next(end.signal)]).toEqual([1, 2])
    const waiting = inbox.next(end.signal)
    inbox.put(3)
    expect(await waiting).toBe(3)
    const ending = inbox.next(end.signal)
    end.abort()
    expect(await ending).toBeUndefined()
    inbox.put(4)
    expect(await inbox.next(end.signal)).toBeUndefined()
  })
})
