import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Chained } from './chain.ts'
import { Chain } from './chain.ts'

class Member implements Chained<Member> {
  previous: Member | undefined
  next: Member | undefined
}

const LINKS = { previous: undefined, next: undefined }

describe('A chain', () => {
  it('has the members of a set to which the same was done, in the same order, and lets go of who is gone', () => {
    const step = fc.record({ index: fc.nat({ max: 7 }), isDelete: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const members = Array.from({ length: 8 }, () => new Member())
        const [chain, set] = [new Chain<Member>(), new Set<Member>()]
        for (const { index, isDelete } of steps) {
          const member = members[index] as Member
          if (isDelete) {
            chain.delete(member)
            set.delete(member)
          } else if (!set.has(member)) {
            chain.add(member)
            set.add(member)
          }
          expect(chain.members()).toEqual([...set])
          expect(chain.first).toBe([...set][0])
          for (const other of members.filter(one => !set.has(one))) expect(other).toEqual(LINKS)
        }
      }),
    )
  })
})
