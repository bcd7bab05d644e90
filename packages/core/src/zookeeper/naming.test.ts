import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../random.ts'
import { namingOf } from './naming.ts'
import { poolOf, queueOf, writerMarkPath } from './queues.ts'

const curator = namingOf('curator', seededRandom(7))
const kazoo = namingOf('kazoo', seededRandom(7))
const layout = { base: '/holdfast' }
const UUID = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'
const HEX = 'f47ac10b58cc4372a5670e02b2c3d479'

describe('namingOf', () => {
  it('makes ids as Curator and kazoo do, each once', () => {
    expect(curator.newRequestId()).toMatch(/^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/)
    expect(kazoo.newRequestId()).toMatch(/^[\da-f]{32}$/)
    expect(new Set(Array.from({ length: 1_000 }, () => curator.newRequestId())).size).toBe(1_000)
  })

  it('names nodes as Curator and kazoo do', () => {
    expect(curator.exclusive.prefixOf(UUID, 'alone')).toBe(`_c_${UUID}-lock-`)
    expect(curator.readWrite.prefixOf(UUID, 'alone')).toBe(`_c_${UUID}-__WRIT__`)
    expect(curator.readWrite.prefixOf(UUID, 'shared')).toBe(`_c_${UUID}-__READ__`)
    expect(curator.permits.prefixOf(UUID, 'shared')).toBe(`_c_${UUID}-lease-`)
    expect(kazoo.exclusive.prefixOf(HEX, 'alone')).toBe(`${HEX}__lock__`)
    expect(kazoo.readWrite.prefixOf(HEX, 'alone')).toBe(`${HEX}__lock__`)
    expect(kazoo.readWrite.prefixOf(HEX, 'shared')).toBe(`${HEX}__rlock__`)
    expect(kazoo.permits.prefixOf(HEX, 'shared')).toBe(HEX)
  })

  it('reads id, number and side back out of a name', () => {
    for (const naming of [curator, kazoo]) {
      for (const names of [naming.exclusive, naming.readWrite]) {
        for (const side of ['alone', 'shared'] as const) {
          if (names === naming.exclusive && side === 'shared') continue
          const requestId = naming.newRequestId()
          const prefix = names.prefixOf(requestId, side)
          expect(names.read(`${prefix}0000000042`)).toMatchObject({ requestId, side, sequence: 42 })
          expect(names.read(`${prefix}-2147483648`)).toMatchObject({ requestId, side, sequence: -2_147_483_648 })
        }
      }
    }
  })

  it.each([
    [`_c_${UUID}-lock-0000000042`, 42],
    ['_c_x-lock-2147483647', 2_147_483_647],
    ['_c_x-lock--2147483648', -2_147_483_648],
    ['lock-0000000007', 7],
    ['b', undefined],
    ['42', undefined],
    ['0000000042', undefined],
    ['_c_x-lock-42', undefined],
    ['_c_x-lease-0000000042', undefined],
    ['_c_x-__WRIT__0000000042', undefined],
    ['0123__lock__0000000042', undefined],
  ])('for a mutex of Curator %j has the number %j', (node, sequence) => {
    expect(curator.exclusive.read(node)?.sequence).toBe(sequence)
  })

  it.each([
    ['0123__lock__0000000042', 42],
    ['0123__lock__-2147483648', -2_147_483_648],
    ['0123__rlock__0000000042', undefined],
    ['_c_x-lock-0000000042', undefined],
  ])('for a Lock of kazoo %j has the number %j', (node, sequence) => {
    expect(kazoo.exclusive.read(node)?.sequence).toBe(sequence)
  })

  it('takes for permits only what the library names so', () => {
    expect(curator.permits.read(`_c_${UUID}-lease-0000000042`)).toMatchObject({ requestId: UUID })
    expect(curator.permits.read(`_c_${UUID}-lock-0000000042`)).toBeUndefined()
    expect(kazoo.permits.read(HEX)).toMatchObject({ requestId: HEX })
    for (const node of [`${HEX}__lock__0000000000`, `${HEX}0`, UUID, 'b']) {
      expect(kazoo.permits.read(node)).toBeUndefined()
    }
  })
})

describe('The nodes of a lock', () => {
  it('stand where Curator looks for them', () => {
    const locks = { naming: curator, layout }
    expect(queueOf(locks, 'a/b', 'exclusive').directory).toBe('/holdfast/a/b')
    expect(queueOf(locks, 'a/b', 'read-write').directory).toBe('/holdfast/a/b')
    expect(queueOf(locks, 'a/b', 'permits').directory).toBe('/holdfast/a/b/locks')
    expect(poolOf(locks, 'a/b').directory).toBe('/holdfast/a/b/leases')
    expect(writerMarkPath(locks, 'a/b')).toBe('/holdfast/a/b')
  })

  it('stand where kazoo looks for them', () => {
    const locks = { naming: kazoo, layout }
    expect(queueOf(locks, 'a/b', 'read-write').directory).toBe('/holdfast/a/b')
    expect(queueOf(locks, 'a/b', 'permits').directory).toBe('/holdfast/a/b-__lock__')
    expect(poolOf(locks, 'a/b').directory).toBe('/holdfast/a/b')
    expect(writerMarkPath(locks, 'a/b')).toBe('/holdfast/a/b-__lock__')
  })

  it('are those of one name only, also of a name that looks like a part of another lock', () => {
    const steps = fc.constantFrom('a', 'locks', 'leases', 'a-__lock__', 'a-__lock_%5F', HEX, 'lock%73')
    const name = fc.array(steps, { minLength: 1, maxLength: 4 }).map(all => all.join('/'))
    fc.assert(
      fc.property(name, name, fc.constantFrom(curator, kazoo), (one, other, naming) => {
        const locks = { naming, layout }
        const directory = queueOf(locks, one, 'exclusive').directory
        expect(decodeURIComponent(directory)).toBe(`/holdfast/${one}`)
        if (one === other) return
        const ofOther = [queueOf(locks, other, 'exclusive'), queueOf(locks, other, 'permits'), poolOf(locks, other)]
        expect(ofOther.map(queue => queue.directory)).not.toContain(directory)
        expect(queueOf(locks, one, 'permits').directory).not.toBe(queueOf(locks, other, 'permits').directory)
      }),
    )
  })

  it('below another lock pass for none of its permits', () => {
    const below = queueOf({ naming: kazoo, layout }, `a/${HEX}`, 'exclusive').directory
    expect(kazoo.permits.read(below.slice('/holdfast/a/'.length))).toBeUndefined()
  })
})
