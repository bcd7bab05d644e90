import { setTimeout as sleep } from 'node:timers/promises'
import { createFaultProxy } from '@holdfast/core/testing'
import { startRedis } from '@holdfast/scripts/servers'
import type { Measure } from '../suite.ts'
import { ContestantProcess } from './contestant-process.ts'
import { rows } from './rows.ts'
import type { Servers } from './servers.ts'

const NAME = 'redis/idle-50'
const PEERS = ['redlock', 'redlock-tuned', 'redis-semaphore']
const LOCK = 'idle'
const LIMIT_MS = 20_000

interface IdleSize {
  readonly processes: number
  readonly waitersOfEach: number
  /** How long what the waiters do first is left out. */
  readonly settleMs: number
  readonly oursMs: number
  readonly peersMs: number
}

const FULL: IdleSize = { processes: 10, waitersOfEach: 5, settleMs: 5_000, oursMs: 60_000, peersMs: 30_000 }
const SMOKE: IdleSize = { processes: 2, waitersOfEach: 5, settleMs: 500, oursMs: 1_000, peersMs: 1_000 }

/**
 * What waiting costs the server: fifty waiters in ten processes, behind a holder who keeps the lock, his renewals included. Nothing
 * is timed, so all contestants wait at once, each on a server of its own.
 */
export const idle: Measure<Servers> = {
  name: NAME,
  async run(_servers, settings) {
    const size = settings.isSmoke ? SMOKE : FULL
    settings.say(`${NAME}: counting for ${size.oursMs / 1_000} s`)
    const counts = await Promise.all([
      commandsPerSecond('ours', size, size.oursMs),
      ...PEERS.map(peer => commandsPerSecond(peer, size, size.peersMs)),
    ])
    const figures = new Map(['ours', ...PEERS].map((contestant, index) => [contestant, counts[index] ?? NaN]))
    return [rows.absolute({ name: NAME, unit: 'commands/s', better: 'lower' }, figures)]
  },
}

async function commandsPerSecond(contestant: string, size: IdleSize, measureMs: number): Promise<number> {
  await using server = await startRedis()
  await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  const settings = { store: 'redis', contestant, address: proxy.redisUrl, connections: 1, names: [LOCK] } as const
  const started: ContestantProcess[] = []
  const start = async (): Promise<ContestantProcess> => {
    const process = await ContestantProcess.start(settings)
    started.push(process)
    return process
  }
  try {
    const holder = await start()
    await holder.run({ kind: 'hold', name: LOCK }, LIMIT_MS)
    const waiters = await Promise.all(Array.from({ length: size.processes }, start))
    const load = { kind: 'wait', name: LOCK, waiters: size.waitersOfEach } as const
    await Promise.all(waiters.map(process => process.run(load, LIMIT_MS)))
    await sleep(size.settleMs)
    proxy.resetCounts()
    const startMs = performance.now()
    await sleep(measureMs)
    return proxy.requests / ((performance.now() - startMs) / 1_000)
  } finally {
    // Its connections are to be cut, not to be followed to their end.
    await proxy.close()
    await Promise.all(started.map(process => process.stop()))
  }
}
