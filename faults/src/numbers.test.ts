import { describe, expect, it } from 'vitest'
import { mergedNumbers } from './numbers.ts'

describe('mergedNumbers', () => {
  it('keeps the greatest, the least or the last as a name says, and adds up the rest', () => {
    const first = { lateMsMax: 3.456, slackMsMin: 10, boundMs: 1_000, grants: 2 }
    const second = { lateMsMax: 1, slackMsMin: 4, boundMs: 1_000, grants: 3, wipes: 1 }
    expect(mergedNumbers([first, second])).toEqual({
      lateMsMax: 3.46,
      slackMsMin: 4,
      boundMs: 1_000,
      grants: 5,
      wipes: 1,
    })
  })
})
