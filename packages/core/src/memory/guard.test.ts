import { describe, expect, it } from 'vitest'
import type { Fenced } from '../fencing/guard.ts'
import { FencingToken } from '../fencing/token.ts'
import { memoryFence } from './index.ts'

const token = (value: bigint): FencingToken => new FencingToken(value)

describe('memoryFence', () => {
  it.each([
    [undefined, 'Expected a lease, or { resource, token }, got undefined.'],
    [{ resource: 'r', token: 9n }, 'Expected `token` to be a FencingToken, got 9n.'],
    [{ resource: 'r', token: '9' }, 'Expected `token` to be a FencingToken, got "9".'],
    [{ resource: 'r' }, 'Expected `token` to be a FencingToken, got undefined.'],
    [{ resource: '', token: token(9n) }, 'Expected `resource` to be a name of 1 to 200 bytes of UTF-8, got "".'],
  ])(
    'refuses what is no token, and goes on refusing stale ones (seen: it refused nobody any more): case %#',
    async (given, message) => {
      const fence = memoryFence()
      await fence.raise({ resource: 'r', token: token(5n) })
      expect(() => fence.run(given as Fenced, () => expect.unreachable())).toThrow(message)
      await expect(fence.raise(given as Fenced)).rejects.toThrow(message)
      await expect(fence.raise({ resource: 'r', token: token(4n) })).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    },
  )

  it('refuses work that is none, before the token is recorded', async () => {
    const fence = memoryFence()
    const run = fence.run as (fenced: Fenced, write?: unknown) => unknown
    for (const [work, shown] of [
      [undefined, 'undefined'],
      ['write', '"write"'],
    ]) {
      expect(() => run({ resource: 'r', token: token(9n) }, work)).toThrow(
        `Expected \`write\` to be a function, got ${shown}.`,
      )
    }
    expect(fence.run({ resource: 'r', token: token(1n) }, () => 'written')).toBe('written')
  })
})
