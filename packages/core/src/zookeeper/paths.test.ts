import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkName } from '../names.ts'
import { isNodePath } from './connect-string.ts'
import { namingOf } from './naming.ts'
import { checkRoot, encodeName, fencePath, lockDirectory } from './paths.ts'
import { seededRandom } from '../random.ts'

function isName(name: string): boolean {
  try {
    checkName('name', name)
    return true
  } catch {
    return false
  }
}

const step = fc.constantFrom('a', 'b', '.', '..', '', '%', '%2F', 'zookeeper', '🔒', '\ue000', 'lock-0000000001', '水')
const name = fc
  .oneof(
    fc.array(step, { minLength: 1, maxLength: 6 }).map(steps => steps.join('/')),
    fc.string({ maxLength: 40 }),
  )
  .filter(isName)

describe('encodeName', () => {
  it.each([
    ['stock:42', 'stock:42'],
    ['orders/42', 'orders/42'],
    ['order-1234567890', 'order-1234567890'],
    ['a//b', 'a/%2Fb'],
    ['/a', '%2Fa'],
    ['a/', 'a%2F'],
    ['/', '%2F'],
    ['.', '%2E'],
    ['a/../b', 'a/%2E%2E/b'],
    ['...', '...'],
    ['50%', '50%25'],
    ['zookeeper', '%7Aookeeper'],
    ['zookeeper/a', '%7Aookeeper/a'],
    ['a/zookeeper', 'a/zookeeper'],
    ['🔒', '%F0%9F%94%92'],
    ['a/_c_x-lock-0000000001', 'a/_c_x-lock-000000000%31'],
    ['a/0123__lock__-2147483648/b', 'a/0123__lock__-214748364%38/b'],
  ])('writes %j as %j', (plain, encoded) => {
    expect(encodeName(plain)).toBe(encoded)
  })

  it('is undone by decodeURIComponent, so no two names share a path', () => {
    fc.assert(
      fc.property(name, plain => {
        expect(decodeURIComponent(encodeName(plain))).toBe(plain)
      }),
      { numRuns: 500 },
    )
  })

  it('gives a path that ZooKeeper takes, in which no step passes for a contender', () => {
    const names = (['curator', 'kazoo'] as const).flatMap(kind => {
      const { exclusive, readWrite } = namingOf(kind, seededRandom(1))
      return [exclusive, readWrite]
    })
    fc.assert(
      fc.property(name, plain => {
        const path = lockDirectory({ base: '/holdfast' }, plain)
        expect(isNodePath(path)).toBe(true)
        for (const step of encodeName(plain).split('/')) {
          for (const one of names) expect(one.read(step)).toBeUndefined()
          expect(step.startsWith('%s') || step.startsWith('%g')).toBe(false)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('fencePath', () => {
  it('is one step for any name, and another for another', () => {
    expect(fencePath({ base: '/holdfast' }, 'a/b')).toBe('/holdfast/%guards/a%2Fb')
    fc.assert(
      fc.property(name, name, (one, other) => {
        const path = fencePath({ base: '' }, one)
        expect(path.split('/')).toHaveLength(3)
        expect(isNodePath(path)).toBe(true)
        expect(path === fencePath({ base: '' }, other)).toBe(one === other)
      }),
    )
  })
})

describe('checkRoot', () => {
  it.each(['/', '/holdfast', '/a/b', '/zookeepers'])('takes %j', root => {
    expect(() => checkRoot(root)).not.toThrow()
  })

  it.each(['', 'holdfast', '/a/', '//a', '/a/../b', '/.', '/zookeeper', '/zookeeper/a', '/a\u0000', 7, undefined])(
    'refuses %j with the value seen',
    root => {
      expect(() => checkRoot(root)).toThrow(/^Expected `root` to be a path like \/holdfast, .*, got /)
    },
  )
})
