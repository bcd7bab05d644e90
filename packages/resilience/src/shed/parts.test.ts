import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cpuLimit } from './cpu-limit.ts'
import { COHORTS, cohortOf, LEVELS, tierOf } from './priority-level.ts'
import { RefuseRatio } from './refuse-ratio.ts'
import { ShedLevel } from './shed-level.ts'

describe('the limit of CPUs', () => {
  const files = (all: Readonly<Record<string, string>>) => (path: string) => all[path]

  it('is the quota of the cgroup, of version 2 or 1, and never more than the machine has', () => {
    expect(cpuLimit(files({ '/sys/fs/cgroup/cpu.max': '50000 100000\n' }), 4)).toBe(0.5)
    expect(cpuLimit(files({ '/sys/fs/cgroup/cpu.max': '800000 100000\n' }), 4)).toBe(4)
    const v1 = { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '150000\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' }
    expect(cpuLimit(files(v1), 4)).toBe(1.5)
  })

  it('is all of the machine where there is no quota, or none that can be read', () => {
    expect(cpuLimit(files({ '/sys/fs/cgroup/cpu.max': 'max 100000\n' }), 4)).toBe(4)
    expect(
      cpuLimit(
        files({ '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' }),
        4,
      ),
    ).toBe(4)
    expect(cpuLimit(files({}), 4)).toBe(4)
    expect(cpuLimit(files({ '/sys/fs/cgroup/cpu.max': 'nonsense' }), 4)).toBe(4)
  })
})

describe('levels', () => {
  it('rise with the priority', () => {
    expect(['background', 'low', 'normal', 'high', 'critical'].map(priority => tierOf(priority as never))).toEqual([
      0, 1, 2, 3, 4,
    ])
    expect(LEVELS).toBe(5 * COHORTS)
  })

  it('give a key one cohort for an hour, and spread keys evenly', () => {
    expect(cohortOf('user-7', 11)).toBe(cohortOf('user-7', 11))
    const counts = Array.from({ length: COHORTS }, () => 0)
    for (let user = 0; user < 64_000; user += 1) counts[cohortOf(`user-${user}`, 11)]! += 1
    // 500 each; five standard deviations.
    expect(Math.min(...counts)).toBeGreaterThan(390)
    expect(Math.max(...counts)).toBeLessThan(610)
    const moved = Array.from(
      { length: 1_000 },
      (_, user) => cohortOf(`user-${user}`, 11) !== cohortOf(`user-${user}`, 12),
    )
    expect(moved.filter(Boolean).length).toBeGreaterThan(950)
  })
})

describe('the level below which calls are refused', () => {
  it('refuses the wanted ratio of what came, lowest priorities first', () => {
    const level = new ShedLevel()
    for (let count = 0; count < 100; count += 1) level.saw(0)
    for (let count = 0; count < 300; count += 1) level.saw(2)
    level.set(0.25)
    expect(level.current).toBe(2 * COHORTS)
    level.set(0.625)
    expect(level.current).toBe(2.5 * COHORTS)
    level.set(0)
    expect(level.current).toBe(0)
  })

  it('is nothing when nothing came', () => {
    const level = new ShedLevel()
    level.set(0.5)
    expect(level.current).toBe(0)
  })

  it('always refuses about the wanted ratio', () => {
    const traffic = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 5, maxLength: 5 })
    fc.assert(
      fc.property(traffic, fc.double({ min: 0.01, max: 0.97, noNaN: true }), (counts, wanted) => {
        const total = counts.reduce((sum, count) => sum + count, 0)
        fc.pre(total > 0)
        const level = new ShedLevel()
        for (const [tier, count] of counts.entries()) for (let seen = 0; seen < count; seen += 1) level.saw(tier)
        level.set(wanted)
        const refused = counts.reduce((sum, count, tier) => {
          const share = Math.min(1, Math.max(0, level.current / COHORTS - tier))
          return sum + count * share
        }, 0)
        expect(Math.abs(refused / total - wanted)).toBeLessThan(1 / COHORTS + 1e-9)
      }),
    )
  })
})

describe('the ratio to refuse', () => {
  it('is 0 as long as the delay is below the target, also when it grows', () => {
    const ratio = new RefuseRatio()
    for (const error of [-1, -0.9, -0.5, -0.1, 0, -1]) expect(ratio.next(error)).toBe(0)
  })

  it('rises while the delay is above the target, and goes back to 0 when it is gone', () => {
    const ratio = new RefuseRatio()
    let last = 0
    for (let step = 0; step < 5; step += 1) {
      const next = ratio.next(2)
      expect(next).toBeGreaterThan(last)
      last = next
    }
    for (let step = 0; step < 40; step += 1) ratio.next(-1)
    expect(ratio.current).toBe(0)
  })

  it('never refuses all, however long it lasts', () => {
    const ratio = new RefuseRatio()
    for (let step = 0; step < 1_000; step += 1) ratio.next(1_000)
    expect(ratio.current).toBe(0.97)
  })
})
