import type { Cluster, Redis } from 'ioredis'
import { untilAnswered } from '../answering.ts'
import type { Backend, BackendHealth } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { checkDurationMs, checkGivenKeys, givenOptions } from '../options.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import { dropSilentNodes } from './cluster-nodes.ts'
import type { ConnectionSettings } from './connection.ts'
import { RedisConnection } from './connection.ts'
import {
  checkAnyClient,
  checkDatabase,
  checkUrl,
  clusterBeside,
  connectBeside,
  connectTo,
  isBehindSentinel,
  isCluster,
  listeningBeside,
  listeningInside,
  listeningTo,
} from './driver.ts'
import { unavailable } from './errors.ts'
import { RedisIdempotencyStore } from './idempotency.ts'
import { markerKey } from './keys.ts'
import type { ReplicatedConnection } from './open-leases.ts'
import { openLeases } from './open-leases.ts'
import { RedisRateStore } from './rates.ts'
import { RedisRecordStore } from './records.ts'
import { checkReplicas, Replication } from './replication.ts'
import { examine, examineCluster } from './server.ts'
import { EXCLUSIVE_STEPS, SHARED_STEPS } from './steps.ts'
import { Subscriber } from './subscriber.ts'

/** How a backend on Redis is made: with `url`, or with `client`. */
export interface RedisBackendOptions {
  /** `redis://[user:password@]host:port[/db]`, `rediss://…` for TLS, or the path of a unix socket. */
  readonly url?: string
  /**
   * A client of ioredis (5.3 or later, 6), for one server, with `sentinels`, or a `Cluster`. It stays yours: it is never closed.
   * Further connections with the same settings are opened to listen on, once somebody has to. What follows a master that changes,
   * as behind Sentinel and in a Cluster, goes through connections of its own as well.
   */
  readonly client?: Redis | Cluster
  /** What every key and channel starts with; tenants differ in it. No braces. @default 'hf' */
  readonly prefix?: string
  /**
   * How long a lease that is handed to a waiter lasts before its first renewal, in milliseconds, 200 to 60,000: what a waiter that
   * does not answer costs the others. @default 3000
   */
  readonly claimMs?: number
  /** How long a command may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
  /**
   * By how much the clocks of a server and of the one that replaces it may differ, in milliseconds, 0 to 60,000. After a restart
   * or failover grants are held back for so long, so that fencing tokens keep growing. @default 500
   */
  readonly maxClockSkewMs?: number
  /**
   * How many replicas must have a lease before it counts, and each renewal of it: none, so many that they are a majority together with the
   * master (of the most replicas that this backend has seen a master with, and at least one), or a number of 1 to 100. With too few
   * within a third of `commandTimeoutMs` the lease is given back, and `HF_UNAVAILABLE` says how many acknowledged of how many needed.
   *
   * This makes it less likely that a failover forgets a lease, no more: Sentinel and a Cluster may promote a replica that did not
   * acknowledge, so `guarantee` stays `advisory`.
   *
   * @default 'none'
   */
  readonly replicas?: 'none' | 'majority' | number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

const KNOWN: ReadonlySet<string> = new Set([
  'url',
  'client',
  'prefix',
  'claimMs',
  'commandTimeoutMs',
  'maxClockSkewMs',
  'replicas',
  'clock',
  'random',
])

const STEPS = [EXCLUSIVE_STEPS, SHARED_STEPS].flatMap(({ one, many }) => [one, many])

/** What options are left out mean. */
export const REDIS_DEFAULTS: Readonly<{
  prefix: string
  claimMs: number
  commandTimeoutMs: number
  maxClockSkewMs: number
  replicas: 'none' | 'majority' | number
}> = Object.freeze({
  prefix: 'hf',
  claimMs: 3_000,
  commandTimeoutMs: 2_000,
  maxClockSkewMs: 500,
  replicas: 'none',
})

/**
 * A backend on a Redis server, 7.0 or later. No I/O: the first request connects.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function redisBackend(options: RedisBackendOptions): Backend {
  checkOptions(options)
  const settings: Settings = { ...REDIS_DEFAULTS, clock: systemClock, random: systemRandom, ...givenOptions(options) }
  const { clock, prefix, random } = settings
  const lifecycle = new BackendLifecycle('redis backend', clock)
  const onHealth = (health: BackendHealth): void => lifecycle.setHealth(health)
  const isInCluster = settings.client !== undefined && isCluster(settings.client)
  const connection = connectionWith(settings, onHealth)
  const beside = connectionBeside(connection, settings, isInCluster ? onHealth : () => {})
  const replicated = replicatedWith(settings)
  const channelPrefix = channelPrefixOf(settings)
  const { leases, stopLeases, closeLeases } = openLeases({
    ...settings,
    lifecycle,
    connection: isInCluster ? beside : connection,
    channelPrefix,
    isInCluster,
    replicated,
  })
  const jitter = (): number => random.next()
  const subscriber = new Subscriber({ clock, jitter, open: listeningOn(connection, settings) })
  const records = new RedisRecordStore({ clock, random, lifecycle, connection, subscriber, prefix, channelPrefix })
  const close = (): Promise<void> => {
    stopLeases()
    records.close()
    return lifecycle.close(async () => {
      closeLeases()
      replicated?.connection.close()
      beside.close()
      connection.close()
    })
  }
  return {
    kind: 'redis',
    clock,
    leases,
    records,
    rates: new RedisRateStore({ lifecycle, connection: beside, prefix, isInCluster }),
    idempotency: new RedisIdempotencyStore({ random, lifecycle, connection, prefix }),
    health: lifecycle.health,
    ready: (readyOptions = {}) =>
      untilAnswered(
        clock,
        readyOptions,
        () => connection.ask(client => client.ping()),
        (timeoutMs, cause) => unavailable(connection.address, timeoutMs, cause ?? connection.lastError),
      ),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Settings = RedisBackendOptions & typeof REDIS_DEFAULTS & { readonly clock: Clock; readonly random: Random }

function connectionWith(settings: Settings, onHealth: (health: BackendHealth) => void): RedisConnection {
  const { url, client, random, commandTimeoutMs } = settings
  return new RedisConnection({
    ...asked(settings),
    isOurs: client === undefined || isBehindSentinel(client),
    open: async () => {
      if (client === undefined) return await connectTo(url ?? '', () => random.next())
      // A Cluster has the commands, events and states of a Redis, as far as they are used here.
      if (isCluster(client)) return client as unknown as Redis
      return isBehindSentinel(client)
        ? connectBeside(client, { jitter: () => random.next(), commandTimeoutMs })
        : client
    },
    scripts: () => (client !== undefined && isCluster(client) ? [] : STEPS),
    onHealth,
  })
}

/**
 * What rates go through, and in a Cluster leases. A client that was given may send a command again when its connection broke, as its
 * options say, so they have one of their own beside it. The backend's health is that of the given one, but where leases go as well.
 */
function connectionBeside(
  connection: RedisConnection,
  settings: Settings,
  onHealth: (health: BackendHealth) => void,
): RedisConnection {
  const { client } = settings
  if (client === undefined || isBehindSentinel(client)) return connection
  return new RedisConnection({ ...asked(settings), ...ours(settings), scripts: () => [], onHealth })
}

// `WAIT` holds up whatever else goes through its connection.
function replicatedWith(settings: Settings): ReplicatedConnection | undefined {
  const { client, replicas, commandTimeoutMs } = settings
  if (replicas === 'none') return undefined
  const replication = new Replication(replicas, Math.floor(commandTimeoutMs / 3))
  const { examine: look, ...rest } = asked(settings)
  const connection = new RedisConnection({
    ...rest,
    ...ours(settings),
    examine: async redis => {
      const facts = await look(redis)
      replication.see(facts.replicas ?? 0)
      return facts
    },
    scripts: () => (client !== undefined && isCluster(client) ? [] : STEPS),
    onHealth: () => {},
  })
  return { connection, replication }
}

// A connection of its own to where the settings say.
function ours(settings: Settings): Pick<ConnectionSettings, 'isOurs' | 'open' | 'onSilence'> {
  const { url, client, clock, random, commandTimeoutMs } = settings
  const jitter = (): number => random.next()
  const isOurs = true
  if (client === undefined) return { isOurs, open: () => connectTo(url ?? '', jitter) }
  if (!isCluster(client)) return { isOurs, open: async () => connectBeside(client, { jitter, commandTimeoutMs }) }
  return {
    isOurs,
    open: async () => clusterBeside(client, jitter) as unknown as Redis,
    // A node that is silent says nothing of the others.
    onSilence: silent => dropSilentNodes(silent as unknown as Cluster, clock),
  }
}

// A connection's time, and how it asks a server what it is.
function asked(settings: Settings): Pick<ConnectionSettings, 'clock' | 'commandTimeoutMs' | 'examine'> {
  const { client, clock, commandTimeoutMs, maxClockSkewMs } = settings
  return {
    clock,
    commandTimeoutMs,
    examine: async redis => {
      if (isCluster(redis)) return await examineCluster(redis, clock)
      if (client === undefined) await checkDatabase(redis)
      return await examine(redis, { markerKey: markerKey(settings.prefix), maxClockSkewMs })
    },
  }
}

// The driver puts the client's own prefix before keys, from which scripts make channels, and not before channels.
function channelPrefixOf({ client }: Settings): string {
  return String(client?.options.keyPrefix ?? '')
}

function listeningOn(connection: RedisConnection, { url, client, random }: Settings): () => Promise<Redis> {
  if (client === undefined) return () => listeningTo(url ?? '')
  if (!isCluster(client)) return async () => listeningBeside(client)
  let turn = Math.floor(random.next() * 16_384)
  return async () => {
    // The nodes are known once the client has connected.
    await connection.ask(async () => undefined)
    return listeningInside(client, (turn += 1))
  }
}

function checkOptions(options: RedisBackendOptions): void {
  checkGivenKeys('redisBackend', options, KNOWN)
  if ((options.url === undefined) === (options.client === undefined)) {
    throw new InvalidArgumentError(
      'url',
      `Expected redisBackend to be given either \`url\` or \`client\`, got ${options.url === undefined ? 'neither' : 'both'}.`,
    )
  }
  if (options.client === undefined) checkUrl(options.url)
  else checkAnyClient(options.client)
  const { prefix, claimMs, commandTimeoutMs, maxClockSkewMs } = options
  if (prefix !== undefined) checkPrefix(prefix)
  if (claimMs !== undefined) checkDurationMs('claimMs', claimMs, { min: 200, max: 60_000 })
  if (options.replicas !== undefined) checkReplicas(options.replicas)
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
  if (maxClockSkewMs !== undefined) checkDurationMs('maxClockSkewMs', maxClockSkewMs, { min: 0, max: 60_000 })
}

export function checkPrefix(prefix: string): void {
  checkName('prefix', prefix)
  if (!/[{}]/.test(prefix)) return
  throw new InvalidArgumentError('prefix', `Expected \`prefix\` to have no braces, got ${show(prefix)}.`)
}
