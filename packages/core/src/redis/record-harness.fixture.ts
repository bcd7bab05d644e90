import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import type { Backend } from '../backend.ts'
import type { FaultProxy, RecordHarness } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { directoryKeys } from './keys.ts'
import { Links, proxiesTo } from './links.fixture.ts'

/** Where records are kept: in one server, or in a Cluster. */
export interface RecordStage {
  readonly nodes: readonly { readonly port: number }[]
  readonly admin: Redis | Cluster
  /** Goes through one proxy for each node to ask, and through another to listen. */
  readonly connect: (asking: readonly FaultProxy[], listening: readonly FaultProxy[]) => Redis | Cluster
  /** How many listen to a channel, on each node. */
  readonly listeners: (channel: string) => Promise<readonly number[]>
  readonly restart: () => Promise<void>
}

/** What the suite of records can do to Redis. */
export function recordHarness(stage: () => RecordStage): RecordHarness {
  const links = new Links()
  const listeningOf = new WeakMap<Backend, readonly FaultProxy[]>()

  async function openBackend(): Promise<Backend> {
    const { nodes, connect } = stage()
    const [asking, listening] = [await proxiesTo(nodes), await proxiesTo(nodes)]
    const client = connect(asking, listening)
    const backend = redisBackend({ client, commandTimeoutMs: 5_000 })
    listeningOf.set(backend, listening)
    return links.keep(backend, [...asking, ...listening], client)
  }

  // What it listens on carries nothing else, but for answers to pings.
  async function muffle(backend: Backend): Promise<() => Promise<void>> {
    const listening = listeningOf.get(backend) ?? []
    for (const proxy of listening) proxy.blackHole({ direction: 'to-client' })
    return async () => {
      for (const proxy of listening) {
        proxy.heal()
        proxy.dropConnections()
      }
    }
  }

  async function loseData(directory: string): Promise<void> {
    await stage().admin.del(...keysOf(directory))
  }

  async function backUp(directory: string): Promise<() => Promise<void>> {
    const { admin } = stage()
    const keys = keysOf(directory)
    const dumps = await Promise.all(keys.map(key => admin.dumpBuffer(key)))
    return async () => {
      await loseData(directory)
      await Promise.all(keys.map((key, index) => dumps[index] && admin.restore(key, 0, dumps[index])))
    }
  }

  async function leftovers(directory: string): Promise<readonly string[]> {
    const { admin, listeners } = stage()
    const { channel, ephemerals, deadlines } = directoryKeys('hf', directory)
    const [fields, living, counts] = await Promise.all([
      admin.hkeys(ephemerals),
      admin.zrangebyscore(deadlines, Date.now(), '+inf'),
      listeners(channel),
    ])
    const ended = new Set(await admin.zrangebyscore(deadlines, '-inf', Date.now()))
    // Those whose time is over are swept away by the next one who joins or beats.
    const records = fields.filter(field => field.startsWith('r:') && !ended.has(field.slice(2)))
    return [...records, ...living, ...counts.flatMap(count => (count > 0 ? [`${count} listeners`] : []))]
  }

  return {
    openBackend,
    directory: () => randomUUID(),
    advance: ms => sleep(ms),
    ttlMs: 2_000,
    slackMs: 10_000,
    leftovers,
    loseData: { kind: 'supported', run: loseData },
    backUp: { kind: 'supported', run: backUp },
    silence: { kind: 'supported', run: backend => links.silence(backend) },
    cut: { kind: 'supported', run: backend => links.cut(backend) },
    muffle: { kind: 'supported', run: muffle },
    restart: { kind: 'supported', run: () => stage().restart() },
    endSession: { kind: 'unsupported', why: 'a client has no session' },
  }
}

function keysOf(directory: string): readonly string[] {
  const { records, commits, ephemerals, deadlines } = directoryKeys('hf', directory)
  return [records, commits, ephemerals, deadlines]
}
