import { describe, expect, it } from 'vitest'
import type { Row } from './row.ts'
import { isGood } from './row.ts'

const good: Row = { scenario: 's', backend: 'redis', runs: 1, violations: 0, control: { violations: 1 }, detail: {} }

describe('isGood', () => {
  it('wants no violation, a control that shows one, and runs that came to their end', () => {
    expect(isGood(good)).toBe(true)
    expect(isGood({ ...good, control: null })).toBe(true)
    expect(isGood({ ...good, violations: 1 })).toBe(false)
    expect(isGood({ ...good, control: { violations: 0 } })).toBe(false)
    expect(isGood({ ...good, detail: { failure: 'It hung.' } })).toBe(false)
  })
})
