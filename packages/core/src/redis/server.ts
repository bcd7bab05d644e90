import type { Cluster, Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { RefusedError } from '../errors.ts'
import { UnsupportedError } from '../errors.ts'
import { isBehindSentinel } from './driver.ts'
import { isReplyError, refusal } from './errors.ts'
import { serverMarker } from './scripts/server-marker.ts'

/** What is known of the server behind a connection. */
export interface ServerFacts {
  /** Whether what it acknowledged survives its crash. */
  readonly guarantee: 'advisory' | 'lease'
  /** For how long grants are to be held back. */
  readonly holdBackMs: number
  /** How many replicas it has; in a Cluster the most of any master. @default unknown */
  readonly replicas?: number
  /** Why nothing can be granted at all, if so: the user may not do what grants rest on. He may still read. */
  readonly refusal?: RefusedError
}

const MAJOR_MIN = 7
const LOOKS = 3
const LOOK_MS = 200

/**
 * Asks a server, right after connecting, what it is. Tokens rest on server clocks, so after the server was replaced (restart,
 * failover) grants are held back until the new one has been in charge for `maxClockSkewMs`: whatever token the old one gave is
 * below the new one's time by then.
 *
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when it is older than Redis 7.
 */
export async function examine(
  client: Redis,
  settings: { readonly markerKey: string; readonly maxClockSkewMs: number },
): Promise<ServerFacts> {
  const [info, durability] = await Promise.all([readInfo(client), readConfig(client)])
  checkVersion(info)
  // Its identity is the old one until it follows, and the marker need not be written: that it is a replica is to be asked.
  if (info.get('role') === 'slave') throw new Error('READONLY The server is a replica.')
  const replicas = Number(info.get('connected_slaves') ?? 0)
  // Sentinels may choose a replica that is not connected just now.
  const guarantee = isDurable(info, durability) && !isBehindSentinel(client) ? 'lease' : 'advisory'
  const runId = info.get('run_id')
  // Without permission to ask there is nothing to compare: only the clocks are left to rest on.
  if (runId === undefined || settings.maxClockSkewMs === 0) return { guarantee, holdBackMs: 0, replicas }
  const identity = `${runId}:${info.get('master_replid') ?? ''}`
  const isProven = isLongUp(info, settings.maxClockSkewMs) ? '1' : '0'
  try {
    const knownUs = await client.eval(serverMarker, 1, settings.markerKey, identity, isProven)
    return { guarantee, holdBackMs: Math.max(0, settings.maxClockSkewMs - Number(knownUs) / 1_000), replicas }
  } catch (error) {
    if (!isReplyError(error)) throw error
    return { guarantee, holdBackMs: 0, replicas, refusal: refusal(error) }
  }
}

/**
 * As `examine`, for what is kept in a Cluster. Its nodes come, go and replace each other behind the driver's back, so what one of
 * them acknowledged is never more than `advisory`.
 *
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when one of the masters is older than Redis 7.
 */
export async function examineCluster(cluster: Cluster, clock: Clock): Promise<ServerFacts> {
  for (let look = 1; ; look += 1) {
    const { answered, failure, replicas } = await lookAround(cluster, clock)
    if (failure instanceof UnsupportedError) throw failure
    if (failure === undefined || (answered > 0 && look === LOOKS))
      return { guarantee: 'advisory', holdBackMs: 0, replicas }
    if (look === LOOKS) throw failure
  }
}

interface Look {
  readonly answered: number
  readonly failure: Error | undefined
  readonly replicas: number
}

// One that is silent or gone keeps nobody from the others. But right after connecting a link may be made anew, so that is looked at
// again before it counts.
async function lookAround(cluster: Cluster, clock: Clock): Promise<Look> {
  let answered = 0
  let replicas = 0
  let failure: Error | undefined
  const looks = cluster.nodes('master').map(async node => {
    try {
      const info = await readInfo(node)
      checkVersion(info)
      answered += 1
      replicas = Math.max(replicas, Number(info.get('connected_slaves') ?? 0))
    } catch (error) {
      if (!(failure instanceof UnsupportedError)) failure = error as Error
    }
  })
  if (looks.length === 0) failure = new Error('No node of the Cluster is known.')
  let isOver = false
  const pause = new Promise<void>(resolve => clock.setTimer(resolve, LOOK_MS))
  await Promise.race([Promise.all(looks).then(() => (isOver = true)), pause])
  if (isOver && failure !== undefined) await pause
  return {
    answered,
    replicas,
    failure: failure ?? (isOver ? undefined : new Error('A node of the Cluster is silent.')),
  }
}

/** What a server says of itself; empty where it may not be asked. */
export async function readInfo(client: Redis): Promise<ReadonlyMap<string, string>> {
  const text = await client.info().catch(unlessRefused(''))
  const pairs = text.split('\r\n').map(line => line.split(/:(.*)/s))
  return new Map(pairs.filter(pair => pair.length > 1).map(([key = '', value = '']) => [key, value]))
}

async function readConfig(client: Redis): Promise<ReadonlyMap<string, string>> {
  const names = ['appendonly', 'appendfsync', 'no-appendfsync-on-rewrite', 'maxmemory-policy']
  const replies = await Promise.all(names.map(name => client.config('GET', name).catch(unlessRefused([]))))
  return new Map(replies.map((reply, index) => [names[index] ?? '', settingIn(reply)]))
}

// A list of name and value, or an object of one, as the driver's option `replyMapping` has it.
function settingIn(reply: unknown): string {
  const values = typeof reply === 'object' && reply !== null ? Object.values(reply) : []
  return String(values.at(-1) ?? '')
}

// Not to be allowed to know is an answer. No answer is none: what is not known yet must be asked again.
function unlessRefused<T>(fallback: T): (error: unknown) => T {
  return error => {
    if (isReplyError(error)) return fallback
    throw error
  }
}

/** @throws {UnsupportedError} `HF_UNSUPPORTED` when it is older than Redis 7. */
export function checkVersion(info: ReadonlyMap<string, string>): void {
  const version = info.get('redis_version')
  if (version === undefined || Number.parseInt(version, 10) >= MAJOR_MIN) return
  throw new UnsupportedError(`Holdfast needs Redis 7.0 or later, and the server is ${version}.`)
}

function isDurable(info: ReadonlyMap<string, string>, config: ReadonlyMap<string, string>): boolean {
  const isAlone = info.get('role') === 'master' && info.get('connected_slaves') === '0'
  const writesAll = config.get('appendonly') === 'yes' && config.get('appendfsync') === 'always'
  // While the server saves or rewrites its file, it would not wait for the disk.
  const writesAlways = writesAll && config.get('no-appendfsync-on-rewrite') === 'no'
  return isAlone && writesAlways && config.get('maxmemory-policy') === 'noeviction'
}

/** How the scripts of leases call a node of a Cluster. */
export function nodeIdOf(info: ReadonlyMap<string, string>): string {
  return info.get('master_replid')?.slice(0, 16) ?? ''
}

/** Whether a server has been a master for longer than the skew: it never was a replica, and has been up for so long. */
export function isLongUp(info: ReadonlyMap<string, string>, maxClockSkewMs: number): boolean {
  const neverPromoted = /^0*$/.test(info.get('master_replid2') ?? '')
  // The server counts whole seconds.
  return neverPromoted && (Number(info.get('uptime_in_seconds') ?? 0) - 1) * 1_000 > maxClockSkewMs
}
