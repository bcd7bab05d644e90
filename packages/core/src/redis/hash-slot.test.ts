import { describe, expect, it } from 'vitest'
import { hashSlot } from './hash-slot.ts'

describe('hashSlot', () => {
  // 0x31C3 is the check value of the specification; the others were asked of a server (CLUSTER KEYSLOT).
  it.each([
    ['123456789', 0x31c3],
    ['foo', 12_182],
    ['0', 13_907],
    ['grün', 14_522],
  ])('of %s is %i', (tag, slot) => {
    expect(hashSlot(tag)).toBe(slot % 16_384)
  })
})
