import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fenceKey, hashTag, inboxPrefix, leaseKeys, markerKey, sharedLeaseKeys } from './keys.ts'

/** As the specification of Redis Cluster has it: the first `{`, and the first `}` behind it, if something is between. */
function clusterTag(key: string): string {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key
}

const name = fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom('{', '}', '%', ':', 'a', 'q', ' ', '水') })

describe('The keys of a lease', () => {
  it('are the name as it stands, where nothing in it is reserved', () => {
    expect(leaseKeys('hf', 'stock:42')).toEqual({ state: 'hf:{stock:42}', queue: 'hf:{stock:42}:q' })
  })

  it('encode braces, so that the hash tag is the whole name', () => {
    expect(leaseKeys('hf', 'a{b}c%').state).toBe('hf:{a%7Bb%7Dc%25}')
  })

  it('lie in one slot, differ for different names, and give the name back', () => {
    const property = fc.property(name, name, (one, other) => {
      const [first, second] = [leaseKeys('hf', one), leaseKeys('hf', other)]
      expect(clusterTag(first.queue)).toBe(clusterTag(first.state))
      expect(decodeURIComponent(clusterTag(first.state))).toBe(one)
      const keys = new Set([first.state, first.queue, second.state, second.queue])
      expect(keys.size).toBe(one === other ? 2 : 4)
      for (const key of keys) expect([markerKey('hf'), inboxPrefix('hf')]).not.toContain(key)
    })
    fc.assert(property, { seed: 3, numRuns: 500 })
  })
})

describe('The hash tag of a key', () => {
  it.each([
    ['{user1000}.following', 'user1000'],
    ['foo{}{bar}', 'foo{}{bar}'],
    ['foo{{bar}}zap', '{bar'],
    ['foo{bar}{zap}', 'bar'],
    ['foo', 'foo'],
    ['}{', '}{'],
    ['{', '{'],
    ['a}b{c}', 'c'],
  ])('of %j is %j, as Redis Cluster has it', (key, tag) => {
    expect(hashTag(key)).toBe(tag)
  })

  it('is that of Redis Cluster for any key', () => {
    fc.assert(
      fc.property(name, key => {
        expect(hashTag(key)).toBe(clusterTag(key))
      }),
      { seed: 5, numRuns: 1_000 },
    )
  })
})

describe('The keys of readers and writers, and of permits', () => {
  it('lie in the slot of the lease of that name, and are neither that one nor each other', () => {
    fc.assert(
      fc.property(name, resource => {
        const { state, queue } = leaseKeys('hf', resource)
        const shared = (['read-write', 'permits'] as const).map(kind => sharedLeaseKeys('hf', resource, kind))
        const keys = [state, queue, ...shared.flatMap(of => [of.state, of.ends, of.queue, of.slots])]
        expect(new Set(keys).size).toBe(keys.length)
        expect(new Set(keys.map(clusterTag)).size).toBe(1)
      }),
      { seed: 6, numRuns: 1_000 },
    )
  })
})

describe('The key of a fence record', () => {
  it.each([
    ['stock:42', 'hf:fence:{stock:42}:stock:42'],
    ['order:{7}:lines', 'hf:fence:{7}:order:{7}:lines'],
  ])('of %j is in the slot of the resource', (resource, key) => {
    expect(fenceKey('hf', resource)).toBe(key)
    expect(clusterTag(key)).toBe(clusterTag(resource))
  })

  it('differs for different resources under one tag', () => {
    expect(fenceKey('hf', 'a{t}')).not.toBe(fenceKey('hf', 'b{t}'))
  })
})
