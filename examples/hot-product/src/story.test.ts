import { describe, expect, it } from 'vitest'
import { Tally } from './tally.ts'

describe('a tally', () => {
  it('counts each end of a visit once, and how long the served ones took', () => {
    const tally = new Tally()
    for (let visit = 1; visit <= 100; visit += 1) tally.add({ kind: 'served', tookMs: visit })
    tally.add({ kind: 'refused', isPolite: true })
    tally.add({ kind: 'refused', isPolite: false })
    tally.add({ kind: 'failed' })
    expect(tally).toMatchObject({ served: 100, refused: 2, rude: 1, failed: 1, all: 103, slowMs: 100 })
  })

  it('of nobody has no time', () => {
    expect(new Tally().slowMs).toBeUndefined()
  })
})

describe('the story', () => {
  it('is told of both shops, and ends what it started', async () => {
    // The built one, for a shop is a process of its own.
    const { tellStory } = (await import('../dist/story.js')) as typeof import('./story.ts')
    const lines: string[] = []
    await tellStory(line => lines.push(line), { workMs: 1, measureMs: 200, stepMs: 200, loads: [0.5, 2] })
    const text = lines.join('\n')
    expect(text).toMatch(/^The unprotected shop serves \d+ visitors a second at most\.$/m)
    expect(text).toMatch(/^The protected shop serves \d+ visitors a second at most\.$/m)
    expect(text.match(/^ {2}(un)?protected +\d+ % of what it can serve, within /gm)).toHaveLength(2)
    expect(text).not.toContain('not told when')
  })
})
