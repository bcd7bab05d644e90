import { place, placed } from '../lock/placement.ts'
import type { Servers } from '../lock/servers.ts'
import { runInterleaved } from '../rounds.ts'
import { quantile } from '../statistics.ts'
import type { Measure } from '../suite.ts'
import type { Publisher } from './contestant.ts'
import type { Store } from './ours.ts'
import { ourPublisher } from './ours.ts'
import { rawRedisPublisher } from './raw-redis.ts'
import { rawZooKeeperPublisher } from './raw-zookeeper.ts'
import { ReaderProcess } from './reader-process.ts'
import { rows } from './rows.ts'
import { nowMs } from './shared-clock.ts'

const SIZE_BYTES = 500
const FULL = { rounds: 11, slices: 5, publishes: 300 }
const SMOKE = { rounds: 2, slices: 1, publishes: 20 }
// So many rounds: what is run for the first thousand times is still being compiled, and there is more of ours.
const WARM_UP = 4

/** From the call of publish to its value being in use by one reader, in another process: the median. */
export function publishApplied(store: Store): Measure<Servers> {
  const name = `${store}/publish-applied-1`
  return {
    name,
    async run(servers, { isSmoke }) {
      const { rounds, slices, publishes } = isSmoke ? SMOKE : FULL
      const address = await servers.addressOf(store)
      using _ = placed('contestant', process.pid)
      await using ours = await ourPublisher(store, address, SIZE_BYTES)
      await using raw = await (store === 'redis' ? rawRedisPublisher : rawZooKeeperPublisher)(address, SIZE_BYTES)
      await using ourReader = await startReader(store, 'ours', address)
      await using rawReader = await startReader(store, 'raw', address)
      let value = 0
      const runner = (publisher: Publisher, reader: ReaderProcess) => async (share: number) => {
        const times: number[] = []
        for (let left = Math.ceil(publishes * share); left > 0; left -= 1) {
          const applied = reader.has((value += 1))
          const startedMs = nowMs()
          await publisher.publish(value)
          times.push((await applied) - startedMs)
        }
        return times
      }
      const pair = [
        { name: 'ours', run: runner(ours, ourReader) },
        { name: 'raw', run: runner(raw, rawReader) },
      ] as const
      for (const { run } of pair) await run(WARM_UP)
      const results = await runInterleaved(pair, { rounds, slices, merge: turns => turns.flat() })
      const figure = (times: readonly number[]): number => quantile(times, 0.5)
      return [rows.compared({ name, unit: 'ms', better: 'lower' }, results, { reference: 'raw', figure })]
    },
  }
}

// Beside the server, whose turn it never is when it is the reader's: the publisher reads its answer meanwhile.
async function startReader(store: Store, contestant: 'ours' | 'raw', address: string): Promise<ReaderProcess> {
  const reader = await ReaderProcess.start({ store, contestant, address })
  place('server', reader.pid)
  return reader
}
