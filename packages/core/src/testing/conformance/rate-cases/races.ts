import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { RateQuota } from '../../../ports/rates.ts'
import type { RateCase, RateScene } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

const HAMMERED_MS = 1_500

/** Many at once. */
export const raceCases: readonly RateCase[] = [
  {
    promise: 'Q1',
    name: 'Of takes from four clients that race exactly the burst is granted.',
    body: async scene => {
      const clients = await scene.clients(4)
      const [key, quota] = [scene.key(), stillQuota(37)]
      const takes = clients.flatMap(client =>
        Array.from({ length: 50 }, () => scene.take(client, { key, quota, cost: 1 })),
      )
      const granted = (await Promise.all(takes)).filter(({ kind }) => kind === 'granted')
      assert.equal(granted.length, 37)
    },
  },
  {
    promise: 'Q1',
    name: 'Takes that race for what is left, and would have less, are granted exactly all of it.',
    body: async scene => {
      const clients = await scene.clients(3)
      const [key, quota] = [scene.key(), stillQuota(95)]
      const takes = clients.flatMap(client =>
        Array.from({ length: 10 }, () => scene.take(client, { key, quota, cost: 10, least: 1 })),
      )
      const counts = (await Promise.all(takes)).map(decision => (decision.kind === 'granted' ? decision.granted : 0))
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        95,
      )
    },
  },
  {
    promise: 'Q1',
    name: 'A caller that uses one object for many takes is answered for what it was at each call.',
    body: async scene => {
      const client = await scene.client()
      const keys = [scene.key(), scene.key(), scene.key()]
      const take = { key: '', quota: { ...stillQuota(9) }, cost: 0 }
      const takes = keys.map((key, index) => {
        Object.assign(take, { key, cost: index + 1 })
        return scene.take(client, take)
      })
      Object.assign(take.quota, { burst: 1 })
      const decisions = await Promise.all(takes)
      assert.deepEqual(
        decisions.map(({ remaining }) => remaining),
        [8, 7, 6],
      )
      for (const key of keys) {
        assert.equal(await scene.remaining(client, key, stillQuota(9)), 8 - keys.indexOf(key))
      }
    },
  },
  {
    promise: 'Q1',
    name: 'Hammered from three clients a key grants what its quota says: no more, and not 1 % less.',
    body: async scene => await hammers(scene, { limit: 100, periodMs: 1_000, burst: 400 }),
  },
  {
    promise: 'Q1',
    name: 'A quota whose permits come at fractions of a microsecond is kept to as well.',
    body: async scene => await hammers(scene, { limit: 7_000_001, periodMs: 1_000, burst: 28_000_000 }, 70_000),
  },
]

/** A round of takes of which one was refused: the key had nothing left at some moment of it. */
interface Dry {
  readonly askedMs: number
  readonly answeredMs: number
  readonly grantedBefore: number
  readonly grantedAfter: number
}

async function hammers(scene: RateScene, quota: RateQuota, cost = 1): Promise<void> {
  const clients = await scene.clients(3)
  const key = scene.key()
  // Connects, without taking anything.
  for (const client of clients) await scene.remaining(client, key, quota)
  const { clock } = clients[0] as Backend
  const startMs = clock.monotonicMs()
  let granted = 0
  const round = async (): Promise<Dry | undefined> => {
    const [askedMs, grantedBefore] = [clock.monotonicMs(), granted]
    const takes = clients.flatMap(client => [0, 1, 2, 3].map(() => scene.take(client, { key, quota, cost })))
    const decisions = await Promise.all(takes)
    for (const decision of decisions) if (decision.kind === 'granted') granted += decision.granted
    const dry = { askedMs, answeredMs: clock.monotonicMs(), grantedBefore, grantedAfter: granted }
    await scene.harness.advance(1)
    return decisions.some(({ kind }) => kind === 'refused') ? dry : undefined
  }
  let first: Dry | undefined
  let last: Dry | undefined
  while (first === undefined || last === undefined || last.askedMs - first.answeredMs < HAMMERED_MS) {
    const dry = await round()
    first ??= dry
    last = dry ?? last
  }
  const permits = (ms: number): number => (quota.limit * ms) / quota.periodMs
  const most = quota.burst + permits(clock.monotonicMs() - startMs)
  assert.ok(granted <= most, `${granted} were granted, and ${most} at most could be.`)
  const burst = first.grantedAfter
  assert.ok(burst > quota.burst - cost, `${burst} were granted at first, of ${quota.burst} at least.`)
  // Between two moments at which nothing was left all that came is granted. The last of it may have been too little for one more.
  const [since, least] = [last.grantedAfter - first.grantedBefore, permits(last.askedMs - first.answeredMs)]
  assert.ok(since >= 0.99 * least - cost, `${since} were granted, of ${least} at least.`)
}
