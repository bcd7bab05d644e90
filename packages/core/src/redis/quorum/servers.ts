import type { Redis } from 'ioredis'
import type { Clock } from '../../clock.ts'
import type { Random } from '../../random.ts'
import { addressOf, connectBeside, connectTo } from '../driver.ts'
import { EventTurns } from './event-turns.ts'
import type { REDIS_QUORUM_DEFAULTS, RedisQuorumOptions, RedisQuorumServer } from './options.ts'
import { sameServer } from './options.ts'
import { RedisQuorumNode } from './redis-node.ts'

/** Options, with what was left out. */
export type QuorumSettings = Omit<RedisQuorumOptions, keyof typeof REDIS_QUORUM_DEFAULTS> &
  typeof REDIS_QUORUM_DEFAULTS & { readonly clock: Clock; readonly random: Random }

// A token is remembered for longer than clocks can differ by: then the server's own clock has passed it.
const KEEP_MS_MIN = 60_000

/** How long a server that may have forgotten what it knew votes for nobody. */
export function quarantineMsOf({ maxTtlMs, maxClockSkewMs }: QuorumSettings): number {
  return Math.max(maxTtlMs, maxClockSkewMs)
}

/** The servers, none of them connected yet. */
export function serversOf(settings: QuorumSettings, changed: () => void): readonly RedisQuorumNode[] {
  const { clock, prefix, commandTimeoutMs, maxClockSkewMs } = settings
  const nodes: RedisQuorumNode[] = []
  const turns = new EventTurns()
  for (const server of settings.nodes) {
    const node = new RedisQuorumNode({
      name: nameOf(server),
      clock,
      prefix,
      commandTimeoutMs,
      quarantineMs: quarantineMsOf(settings),
      keepMs: Math.max(KEEP_MS_MIN, maxClockSkewMs),
      open: () => clientOf(server, settings),
      admit: (one, { runId }) => {
        const twin = nodes.find(other => other !== one && runId !== '' && other.facts?.runId === runId)
        if (twin !== undefined && twin.status.kind !== 'down') throw sameServer(twin.name, one.name)
      },
      turns,
      changed,
    })
    nodes.push(node)
  }
  return nodes
}

// Never through a client that was given: it may queue commands, and send them again.
async function clientOf({ url, client }: RedisQuorumServer, settings: QuorumSettings): Promise<Redis> {
  const { random, commandTimeoutMs } = settings
  const jitter = (): number => random.next()
  if (client !== undefined) return connectBeside(client, { jitter, commandTimeoutMs })
  return await connectTo(url ?? '', jitter)
}

function nameOf({ url, client }: RedisQuorumServer): string {
  if (client !== undefined) return addressOf(client)
  if (url === undefined || url.startsWith('/')) return String(url)
  const { hostname, port } = new URL(url)
  return `${hostname}:${port === '' ? '6379' : port}`
}
