import { describe, expect, it } from 'vitest'
import { harnessOf } from './broken-leases.fixture.ts'
import { inTime } from './in-time.ts'
import { Scene } from './scene.ts'

/** An attempt that fails, after a renewal that took so long and a pause, with which it ends or not. */
async function failingAfter(takesMs: readonly number[], isOver = false): Promise<readonly number[]> {
  const harness = harnessOf(() => ({}))
  await using scene = new Scene(harness)
  const client = await scene.client()
  const ttls: number[] = []
  const failing = inTime(scene, client, async haste => {
    ttls.push(haste.ttlMs)
    for (const ms of takesMs) await haste.renewing(() => harness.advance(ms))
    if (isOver) haste.over()
    await harness.advance(4_000)
    throw new Error('as it had lapsed')
  })
  await expect(failing).rejects.toThrow('as it had lapsed')
  return ttls
}

describe('inTime', () => {
  it('fails at once where the lease could not have ended', async () => {
    expect(await failingAfter([])).toEqual([5_000])
    expect(await failingAfter([900])).toEqual([5_000])
    expect(await failingAfter([900, 900, 900, 900, 900])).toEqual([5_000])
  })

  it('runs anew with twice the TTL where it could have, until that is enough, or for five times', async () => {
    expect(await failingAfter([1_000])).toEqual([5_000, 10_000])
    expect(await failingAfter([3_000, 2_500, 0])).toEqual([5_000, 10_000])
    expect(await failingAfter([80_000])).toEqual([5_000, 10_000, 20_000, 40_000, 80_000])
  })

  it('does not count what comes once the lease may end', async () => {
    expect(await failingAfter([4_000], true)).toEqual([5_000])
  })
})
