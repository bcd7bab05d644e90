import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { DriverError, InvalidArgumentError, UnsupportedError } from '../errors.ts'
import { show } from '../names.ts'

/**
 * How our own connections are set. The driver must neither queue nor repeat anything behind our back: a command that waits in
 * its queue outlives the caller's patience, and its default of 20 retries takes 73 s to say no.
 */
const OURS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  connectTimeout: 2_000,
  // A half-open socket never closes by itself; this is how long a polite end may take before it is cut.
  disconnectTimeout: 100,
} satisfies RedisOptions & { disconnectTimeout: number }

const RECONNECT_MS_MAX = 1_000

/** @throws {DriverError} `HF_DRIVER` when ioredis is not installed. */
export async function connectTo(url: string, jitter: () => number): Promise<Redis> {
  return await clientOf(url, optionsWith(jitter))
}

async function clientOf(
  url: string,
  options: typeof OURS & Pick<RedisOptions, 'retryStrategy' | 'enableReadyCheck' | 'readOnly'>,
): Promise<Redis> {
  const { Redis: Client } = await import('ioredis').catch((cause: unknown) => {
    throw new DriverError('redisBackend({ url }) needs the package ioredis (^5.3 or ^6): npm install ioredis', {
      cause,
    })
  })
  return new Client(url, options)
}

/** Only listens, so it need not ask whether the server is done loading; whoever opens it opens the next one. */
const LISTENING = {
  ...OURS,
  retryStrategy: () => null,
  enableReadyCheck: false,
  readOnly: false,
} satisfies RedisOptions

/** A client to listen with, for once. @throws {DriverError} `HF_DRIVER` when ioredis is not installed. */
export async function listeningTo(url: string): Promise<Redis> {
  return await clientOf(url, LISTENING)
}

/** The same with the settings of another client. */
export function listeningBeside(client: Redis): Redis {
  return client.duplicate(LISTENING)
}

/**
 * The same to one of the nodes of a Cluster: what is published on one of them is heard on all. The driver has a subscriber of its
 * own for that, which says nothing when it fails. `turn` chooses the node.
 *
 * @throws when no node is known.
 */
export function listeningInside(cluster: Cluster, turn: number): Redis {
  const nodes = cluster.nodes('all')
  const node = nodes[turn % nodes.length]
  if (node === undefined) throw new Error('No node of the Cluster is known.')
  return node.duplicate(LISTENING)
}

/** A second connection to the same server, with the same credentials, set as ours are. */
export function connectBeside(
  client: Redis,
  settings: { readonly jitter: () => number; readonly commandTimeoutMs: number },
): Redis {
  return client.duplicate({ ...optionsWith(settings.jitter), commandTimeout: settings.commandTimeoutMs })
}

/**
 * The same for a Cluster, whose driver would otherwise send a command again when the connection to a node broke, and later when no
 * node has the slot just now.
 */
export function clusterBeside(cluster: Cluster, jitter: () => number): Cluster {
  // Those of ioredis 5 are not merged by the driver. What is not named here is of no concern to its types.
  const redisOptions: object = cluster.options.redisOptions ?? {}
  return cluster.duplicate([], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: (attempt: number) => reconnectDelayMs(attempt, jitter),
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    redisOptions: {
      ...redisOptions,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: OURS.connectTimeout,
    },
  } satisfies ClusterOptions)
}

function optionsWith(jitter: () => number): typeof OURS & { readonly retryStrategy: (attempt: number) => number } {
  return { ...OURS, retryStrategy: attempt => reconnectDelayMs(attempt, jitter) }
}

// Full jitter on a doubling delay, so that a fleet does not come back in one millisecond.
export function reconnectDelayMs(attempt: number, jitter: () => number): number {
  const ceiling = Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(attempt - 1, 10))
  return Math.round(ceiling / 2 + (jitter() * ceiling) / 2)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything but a redis:, rediss: or unix socket address. */
export function checkUrl(url: unknown): asserts url is string {
  if (typeof url === 'string') {
    if (url.startsWith('/')) return
    if (URL.canParse(url) && isServerUrl(new URL(url))) return
  }
  // Without a protocol nobody knows where the user's name ends.
  const seen = typeof url === 'string' && !url.includes('://') ? url.replace(/^[^]*@/, '***@') : url
  throw new InvalidArgumentError(
    'url',
    `Expected \`url\` to be like redis://127.0.0.1:6379 or rediss://host:6380, got ${show(seen)}.`,
  )
}

// The driver takes whatever the path is for the number of a database.
function isServerUrl({ protocol, pathname }: URL): boolean {
  return ['redis:', 'rediss:'].includes(protocol) && /^\/?\d{0,9}$/.test(pathname)
}

/**
 * Makes sure that a connection of ours stands in the database that its address names: a driver that may not select it goes on in
 * database 0, and says so to nobody.
 */
export async function checkDatabase(client: Redis): Promise<void> {
  const { db } = client.options
  if (db !== undefined && Number(db) !== 0) await client.select(db)
}

/** `user` wants it. @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything but a standalone client of ioredis. */
export function checkClient(client: unknown, user: string): asserts client is Redis {
  checkAnyClient(client)
  if (!isCluster(client)) return
  throw new UnsupportedError(`${user} does not work in a Redis Cluster: give a client of one server instead.`)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything but a client of ioredis, for a standalone server or a Cluster. */
export function checkAnyClient(client: unknown): asserts client is Redis | Cluster {
  const candidate = client as Partial<Redis | Cluster> | undefined
  if (typeof candidate?.evalsha !== 'function' || typeof candidate.duplicate !== 'function') {
    throw new InvalidArgumentError(
      'client',
      `Expected \`client\` to be a Redis client of ioredis, got ${show(client)}.`,
    )
  }
  const keyPrefix = String(candidate.options?.keyPrefix ?? '')
  if (/[{}]/.test(keyPrefix)) {
    throw new InvalidArgumentError(
      'client',
      `Expected \`client\` to have a \`keyPrefix\` without braces, got ${show(keyPrefix)}.`,
    )
  }
  if (!isCluster(candidate)) return
  const { scaleReads } = candidate.options
  if (scaleReads === undefined || scaleReads === 'master') return
  // A replica is behind: a client would be answered something older than what it wrote.
  throw new InvalidArgumentError(
    'client',
    `Expected \`client\` to have \`scaleReads\` 'master', got ${show(scaleReads)}.`,
  )
}

export function isCluster(client: Partial<Redis | Cluster>): client is Cluster {
  return client.isCluster === true
}

/** Whether a client asks sentinels where its server is. */
export function isBehindSentinel(client: Redis | Cluster): boolean {
  return !isCluster(client) && (client.options.sentinels?.length ?? 0) > 0
}

/** Where a client connects to, as an error message shows it. */
export function addressOf(client: Redis | Cluster): string {
  if (isCluster(client)) return 'the given Cluster'
  const { host, port, path, name } = client.options
  if (isBehindSentinel(client)) return `the master ${name ?? ''} of the given sentinels`
  return path ?? `${host ?? '127.0.0.1'}:${port ?? 6379}`
}
