import type { Redis } from 'ioredis'
import type { Clock } from '../../clock.ts'
import { InvalidArgumentError, UnsupportedError } from '../../errors.ts'
import { show } from '../../names.ts'
import { TTL_MS, checkBoolean, checkDurationMs, checkGivenKeys } from '../../options.ts'
import type { Random } from '../../random.ts'
import { checkPrefix } from '../backend.ts'
import { checkAnyClient, checkUrl, isBehindSentinel, isCluster } from '../driver.ts'

/** One server of a quorum: with `url`, or with `client`. */
export interface RedisQuorumServer {
  /** `redis://[user:password@]host:port[/db]`, `rediss://…` for TLS, or the path of a unix socket. */
  readonly url?: string
  /** A client of ioredis (5.3 or later, 6) for one server. A connection with its settings is opened beside it; it is never closed. */
  readonly client?: Redis
}

/** How a backend on independent Redis servers is made. All clients of a quorum are to be given the same, but for the last four. */
export interface RedisQuorumOptions {
  /**
   * 3, 5 or 7 servers, Redis 7.0 or later, that know nothing of each other: no replicas of one another, no Cluster, no Sentinel. A
   * majority of them must be there.
   */
  readonly nodes: readonly RedisQuorumServer[]
  /** What every key starts with; tenants differ in it. No braces. @default 'hf' */
  readonly prefix?: string
  /**
   * The longest TTL that a lease may have, in milliseconds, 100 to 86,400,000; of one that names none, too. A server that may have forgotten a lease votes for nobody
   * for at least as long. @default 60000
   */
  readonly maxTtlMs?: number
  /** By how much the clocks of two servers may differ, in milliseconds, 0 to 60,000; fencing tokens rest on it. @default 500 */
  readonly maxClockSkewMs?: number
  /**
   * Whether leases have fencing tokens, which cost one more round trip. Without them `lease.token` throws, and an `acquire` with a guard
   * is refused. @default true
   */
  readonly fencing?: boolean
  /**
   * The part of its TTL, in [0, 0.95], that must be left of a lease when it is handed out; if answers took so long that it is less, it is
   * given back. @default 0.5
   */
  readonly validityRatioMin?: number
  /** How long a command to one server may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
  /** The longest pause before one who waits asks again, in milliseconds, 10 to 60,000. @default 500 */
  readonly retryMsMax?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** What options are left out mean. */
export const REDIS_QUORUM_DEFAULTS: Readonly<{
  prefix: string
  maxTtlMs: number
  maxClockSkewMs: number
  fencing: boolean
  validityRatioMin: number
  commandTimeoutMs: number
  retryMsMax: number
}> = Object.freeze({
  prefix: 'hf',
  maxTtlMs: 60_000,
  maxClockSkewMs: 500,
  fencing: true,
  validityRatioMin: 0.5,
  commandTimeoutMs: 2_000,
  retryMsMax: 500,
})

const KNOWN: ReadonlySet<string> = new Set(['nodes', ...Object.keys(REDIS_QUORUM_DEFAULTS), 'clock', 'random'])
const NODE_KEYS: ReadonlySet<string> = new Set(['url', 'client'])
const COUNTS: readonly number[] = [3, 5, 7]

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` @throws {UnsupportedError} `HF_UNSUPPORTED` for a client of several servers */
export function checkQuorumOptions(where: string, options: RedisQuorumOptions): void {
  checkGivenKeys(where, options, KNOWN)
  checkNodes(options.nodes)
  const { prefix, maxTtlMs, maxClockSkewMs, fencing, validityRatioMin, commandTimeoutMs, retryMsMax } = options
  if (prefix !== undefined) checkPrefix(prefix)
  if (maxTtlMs !== undefined) checkDurationMs('maxTtlMs', maxTtlMs, TTL_MS)
  if (maxClockSkewMs !== undefined) checkDurationMs('maxClockSkewMs', maxClockSkewMs, { min: 0, max: 60_000 })
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
  if (retryMsMax !== undefined) checkDurationMs('retryMsMax', retryMsMax, { min: 10, max: 60_000 })
  checkBoolean('fencing', fencing)
  if (validityRatioMin !== undefined) checkRatio(validityRatioMin)
}

function checkNodes(nodes: unknown): asserts nodes is readonly RedisQuorumServer[] {
  if (!Array.isArray(nodes) || !COUNTS.includes(nodes.length)) {
    throw new InvalidArgumentError(
      'nodes',
      `Expected \`nodes\` to be an array of 3, 5 or 7 servers, got ${show(nodes)}: of an even number one more may not fail.`,
    )
  }
  for (const [index, node] of (nodes as readonly RedisQuorumServer[]).entries()) checkNode(index, node)
  checkDistinct(nodes as readonly RedisQuorumServer[])
}

function checkNode(index: number, node: RedisQuorumServer): void {
  const name = `nodes[${index}]`
  checkGivenKeys(name, node, NODE_KEYS)
  if ((node.url === undefined) === (node.client === undefined)) {
    const seen = node.url === undefined ? 'neither' : 'both'
    throw new InvalidArgumentError(name, `Expected \`${name}\` to have either \`url\` or \`client\`, got ${seen}.`)
  }
  if (node.client === undefined) return checkUrl(node.url)
  checkAnyClient(node.client)
  if (!isCluster(node.client) && !isBehindSentinel(node.client)) return
  const what = isCluster(node.client) ? 'a Cluster' : 'sentinels'
  throw new UnsupportedError(
    `Expected \`${name}.client\` to be of one independent server, got one of ${what}: a quorum votes by servers that know nothing of each other.`,
  )
}

// What can be seen before connecting; the rest shows by the servers' run ids.
function checkDistinct(nodes: readonly RedisQuorumServer[]): void {
  for (const [index, { url, client }] of nodes.entries()) {
    const first = nodes.findIndex(node => (url === undefined ? node.client === client : node.url === url))
    if (first === index) continue
    throw sameServer(`nodes[${first}]`, `nodes[${index}]`)
  }
}

/** Two entries are one server, which would vote twice. */
export function sameServer(one: string, other: string): InvalidArgumentError {
  return new InvalidArgumentError(
    'nodes',
    `Expected \`nodes\` to be different servers, got one twice: ${one} and ${other} would give two votes.`,
  )
}

function checkRatio(value: unknown): void {
  if (typeof value === 'number' && value >= 0 && value <= 0.95) return
  throw new InvalidArgumentError(
    'validityRatioMin',
    `Expected \`validityRatioMin\` to be a number from 0 to 0.95, got ${show(value)}.`,
  )
}
