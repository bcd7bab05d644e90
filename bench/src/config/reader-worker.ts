// A process with one reader: says when each value was in use there.
import type { StartReader } from './contestant.ts'
import type { Store } from './ours.ts'
import { ourReader } from './ours.ts'
import { rawRedisReader } from './raw-redis.ts'
import { rawZooKeeperReader } from './raw-zookeeper.ts'
import { nowMs } from './shared-clock.ts'

/** What such a process is started with. */
export interface ReaderSettings {
  readonly store: Store
  readonly contestant: 'ours' | 'raw'
  readonly address: string
}

/** A value, and when it was in use. */
export interface Applied {
  readonly value: number
  readonly atMs: number
}

function readerOf({ store, contestant }: ReaderSettings): StartReader {
  if (contestant === 'ours') return ourReader(store)
  return store === 'redis' ? rawRedisReader : rawZooKeeperReader
}

const settings = JSON.parse(process.argv[2] ?? '') as ReaderSettings
process.on('disconnect', () => process.exit(1))
await readerOf(settings)(settings.address, value => process.send?.({ value, atMs: nowMs() } satisfies Applied))
process.send?.('ready')
