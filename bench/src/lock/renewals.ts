import { setTimeout as sleep } from 'node:timers/promises'
import { createFaultProxy } from '@holdfast/core/testing'
import { startRedis } from '@holdfast/scripts/servers'
import type { Measured } from '../row.ts'
import type { Measure } from '../suite.ts'
import { ContestantProcess } from './contestant-process.ts'
import { rows } from './rows.ts'
import type { Servers } from './servers.ts'

const NAME = 'redis/renew-10000'
const PEERS = ['redis-semaphore']
const LIMIT_MS = 60_000
/** As long as a TTL, in which each lock is renewed three times. */
const FULL = { locks: 10_000, settleMs: 15_000, measureMs: 30_000 }
const SMOKE = { locks: 100, settleMs: 100, measureMs: 1_000 }

type Size = typeof FULL

/** What ten thousand locks cost that one process keeps: requests on the wire and CPU, by renewals alone. */
export const renewals: Measure<Servers> = {
  name: NAME,
  async run(_servers, settings) {
    const size = settings.isSmoke ? SMOKE : FULL
    const requests = new Map<string, number>()
    const cpu = new Map<string, number>()
    for (const contestant of ['ours', ...PEERS]) {
      settings.say(`${NAME}: ${contestant}, for ${(size.settleMs + size.measureMs) / 1_000} s`)
      const cost = await costOf(contestant, size)
      requests.set(contestant, cost.requestsPerSecond)
      cpu.set(contestant, cost.cpuRatio)
    }
    const measured: Measured[] = [
      rows.absolute({ name: NAME, unit: 'requests/s', better: 'lower' }, requests),
      rows.absolute({ name: `${NAME}:cpu`, unit: 'of a core', better: 'lower' }, cpu),
    ]
    return measured
  },
}

async function costOf(
  contestant: string,
  { locks, settleMs, measureMs }: Size,
): Promise<{ readonly requestsPerSecond: number; readonly cpuRatio: number }> {
  await using server = await startRedis()
  await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  const settings = { store: 'redis', contestant, address: proxy.redisUrl, connections: 1, names: [] } as const
  await using holder = await ContestantProcess.start(settings)
  // Disposed first: its connections are to be cut, not to be followed to their end.
  await using counted = proxy
  await holder.run({ kind: 'hold-many', name: 'many', count: locks }, LIMIT_MS)
  await sleep(settleMs)
  await holder.run({ kind: 'busy' }, LIMIT_MS)
  counted.resetCounts()
  const startMs = performance.now()
  await sleep(measureMs)
  const elapsedMs = performance.now() - startMs
  const cpuUs = await holder.run({ kind: 'busy' }, LIMIT_MS)
  return { requestsPerSecond: counted.requests / (elapsedMs / 1_000), cpuRatio: cpuUs / 1_000 / elapsedMs }
}
