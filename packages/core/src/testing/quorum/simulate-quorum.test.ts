import { describe, expect, it } from 'vitest'
import { describeViolation } from '../history.ts'
import type { QuorumSimulationOptions } from './simulate-quorum.ts'
import { simulateQuorum } from './simulate-quorum.ts'

const TIMEOUT_MS = 240_000

async function found(runs: number, options: Partial<QuorumSimulationOptions>): Promise<readonly string[]> {
  const kinds: string[] = []
  for (let seed = 1; seed <= runs; seed += 1) {
    const { violations } = await simulateQuorum({ seed, ...options })
    kinds.push(...violations.map(({ kind }) => kind))
  }
  return kinds
}

describe('simulateQuorum', () => {
  it(
    'finds no violation in 300 histories in which servers crash, are emptied and restored',
    { timeout: TIMEOUT_MS },
    async () => {
      let grants = 0
      let faults = 0
      for (let seed = 1; seed <= 300; seed += 1) {
        const report = await simulateQuorum({ seed, servers: seed % 5 === 0 ? 5 : 3 })
        expect(report.violations.map(describeViolation), `seed ${seed}`).toEqual([])
        grants += report.holds.length
        faults += report.faults
      }
      expect(grants).toBeGreaterThan(300 * 5)
      expect(faults).toBeGreaterThan(300 * 5)
    },
  )

  it(
    'finds leases that overlap when servers vote right after they have lost their data',
    { timeout: TIMEOUT_MS },
    async () => {
      expect(await found(40, { quarantineMs: 0, clockSkewMs: 0 })).toContain('overlap')
    },
  )

  it('finds tokens that go back when clocks differ by more than the quarantine', { timeout: TIMEOUT_MS }, async () => {
    const kinds = await found(40, { clockSkewMs: 30_000 })
    expect(kinds).toContain('token-not-greater')
    expect(kinds).not.toContain('overlap')
  })

  it('replays a seed to the same history', async () => {
    const [one, again, other] = [
      await simulateQuorum({ seed: 7 }),
      await simulateQuorum({ seed: 7 }),
      await simulateQuorum({ seed: 8 }),
    ]
    expect(again.log).toEqual(one.log)
    expect(other.log).not.toEqual(one.log)
  })
})
