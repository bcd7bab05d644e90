import { seededRandom } from '@holdfast/core'
import { describe, expect, it } from 'vitest'
import { StartGuard } from './start-guard.ts'

describe('StartGuard', () => {
  it('sees a queue: ever longer calls that end in the order in which they came', () => {
    const guard = new StartGuard()
    const seen = Array.from({ length: 40 }, (_, index) => guard.sees(20 + index * 7, index + 1, index + 1, index * 2))
    expect(seen.indexOf(true)).toBeGreaterThan(8)
    expect(seen.indexOf(true)).toBeLessThan(24)
  })

  it('sees none where calls take the same time, though they end in order', () => {
    const guard = new StartGuard()
    const seen = Array.from({ length: 500 }, (_, index) => guard.sees(100, index + 1, index + 1, 100))
    expect(seen).not.toContain(true)
  })

  it('sees none where calls overtake one another, though the first were the fast ones', () => {
    const random = seededRandom(1)
    const guard = new StartGuard()
    const seen = Array.from({ length: 500 }, (_, index) => {
      const durationMs = (index + 5) * random.next()
      return guard.sees(durationMs, index + 1 + Math.floor(100 * random.next()), index + 1, 100)
    })
    expect(seen).not.toContain(true)
  })

  it('does not mind a few calls in flight', () => {
    const guard = new StartGuard()
    const seen = Array.from({ length: 40 }, (_, index) => guard.sees(20 + index * 7, index + 1, index + 1, 19))
    expect(seen).not.toContain(true)
  })
})
