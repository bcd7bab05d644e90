import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { placed } from '../lock/placement.ts'
import type { Servers } from '../lock/servers.ts'
import { runInterleaved } from '../rounds.ts'
import { quantile } from '../statistics.ts'
import type { Measure } from '../suite.ts'
import type { Contestant } from './contestant.ts'
import { ours } from './ours.ts'
import { rawRedis } from './raw-redis.ts'
import { rawZooKeeper } from './raw-zookeeper.ts'
import { rows } from './rows.ts'

const SIZE_BYTES = 500
const FULL = { rounds: 11, slices: 5, publishes: 300 }
const SMOKE = { rounds: 2, slices: 1, publishes: 20 }
// So many rounds: what is run for the first thousand times is still being compiled, and there is more of ours.
const WARM_UP = 4

/** From the call of publish to its value being in use by one reader: the median. */
export function publishApplied(store: 'redis' | 'zookeeper'): Measure<Servers> {
  const name = `${store}/publish-applied-1`
  return {
    name,
    async run(servers, { isSmoke }) {
      const { rounds, slices, publishes } = isSmoke ? SMOKE : FULL
      const address = await servers.addressOf(store)
      using _ = placed('contestant', process.pid)
      await using our = await ours(() => backendAt(store, address), SIZE_BYTES)
      await using raw = await (store === 'redis' ? rawRedis : rawZooKeeper)(address, SIZE_BYTES)
      let value = 0
      const runner = (contestant: Contestant) => async (share: number) => {
        const times: number[] = []
        for (let left = Math.ceil(publishes * share); left > 0; left -= 1) {
          const startedMs = performance.now()
          await contestant.publish((value += 1))
          times.push(performance.now() - startedMs)
        }
        return times
      }
      await runner(our)(WARM_UP)
      await runner(raw)(WARM_UP)
      const results = await runInterleaved(
        [
          { name: 'ours', run: runner(our) },
          { name: 'raw', run: runner(raw) },
        ],
        { rounds, slices, merge: turns => turns.flat() },
      )
      const figure = (times: readonly number[]): number => quantile(times, 0.5)
      return [rows.compared({ name, unit: 'ms', better: 'lower' }, results, { reference: 'raw', figure })]
    },
  }
}

function backendAt(store: 'redis' | 'zookeeper', address: string): ReturnType<typeof redisBackend> {
  return store === 'redis' ? redisBackend({ url: address }) : zookeeperBackend({ connect: address })
}
