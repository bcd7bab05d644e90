import type { Redis } from 'ioredis'
import type { Backend, ReadyOptions } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import { orAborted } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError, UnavailableError } from '../errors.ts'
import { withinWait } from '../lease/wait-limit.ts'
import { checkName, show } from '../names.ts'
import { WAIT_MS, checkDurationMs, checkKeys, checkSignal, givenOptions } from '../options.ts'
import { unsupportedRecords } from '../ports/unsupported.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import { RequestIds } from '../request-ids.ts'
import { RedisConnection } from './connection.ts'
import { checkClient, checkDatabase, checkUrl, connectBeside, connectTo } from './driver.ts'
import { unavailable } from './errors.ts'
import { Inbox } from './inbox.ts'
import { inboxPrefix, markerKey } from './keys.ts'
import { LeaseCommands } from './lease-commands.ts'
import { RedisLeaseStore } from './leases.ts'
import { leaseStep, leaseSteps } from './scripts/lease-steps.ts'
import { examine } from './server.ts'
import { StepSender } from './steps.ts'

/** How a backend on Redis is made: with `url`, or with `client`. */
export interface RedisBackendOptions {
  /** `redis://[user:password@]host:port[/db]`, `rediss://…` for TLS, or the path of a unix socket. */
  readonly url?: string
  /**
   * A client of ioredis (5.3 or later, 6) for a standalone server. It stays yours: it is never closed. A second connection with
   * the same settings is opened to listen on, once somebody has to wait.
   */
  readonly client?: Redis
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
  'clock',
  'random',
])

/** What options are left out mean. */
export const REDIS_DEFAULTS: Readonly<{
  prefix: string
  claimMs: number
  commandTimeoutMs: number
  maxClockSkewMs: number
}> = Object.freeze({
  prefix: 'hf',
  claimMs: 3_000,
  commandTimeoutMs: 2_000,
  maxClockSkewMs: 500,
})

/**
 * A backend on a Redis server, 7.0 or later. No I/O: the first request connects.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function redisBackend(options: RedisBackendOptions): Backend {
  checkOptions(options)
  const settings = { ...REDIS_DEFAULTS, clock: systemClock, random: systemRandom, ...givenOptions(options) }
  const { clock, prefix } = settings
  const lifecycle = new BackendLifecycle('redis backend', clock)
  const jitter = (): number => settings.random.next()
  const { url, client } = options
  const connection = new RedisConnection({
    clock,
    commandTimeoutMs: settings.commandTimeoutMs,
    isOurs: client === undefined,
    open: () => (client === undefined ? connectTo(url ?? '', jitter) : Promise.resolve(client)),
    examine: async redis => {
      if (client === undefined) await checkDatabase(redis)
      return await examine(redis, { markerKey: markerKey(prefix), maxClockSkewMs: settings.maxClockSkewMs })
    },
    scripts: [leaseStep, leaseSteps],
    onHealth: health => lifecycle.setHealth(health),
  })
  const ids = new RequestIds()
  const sender = new StepSender(connection, clock)
  const commands = new LeaseCommands({ clock, connection, sender }, { prefix, claimMs: settings.claimMs })
  const inbox = new Inbox({
    clock,
    open: redis => connectBeside(redis, { jitter, commandTimeoutMs: settings.commandTimeoutMs }),
    // The driver puts the client's own prefix before keys, from which the script makes channels, and not before channels.
    channel: `${String(client?.options.keyPrefix ?? '')}${inboxPrefix(prefix)}${ids.source}`,
  })
  const leases = new RedisLeaseStore({ clock, lifecycle, connection, commands, inbox, ids, prefix })
  // Bounded, as everything that is given back: what the server does not answer by then ends with its TTL.
  lifecycle.onClose(() => commands.idle())
  const close = (): Promise<void> => {
    leases.close()
    return lifecycle.close(async () => {
      inbox.close()
      connection.close()
    })
  }
  return {
    kind: 'redis',
    clock,
    leases,
    records: unsupportedRecords('redis'),
    health: lifecycle.health,
    ready: (readyOptions = {}) => ready(connection, clock, readyOptions),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function ready(connection: RedisConnection, clock: Clock, options: ReadyOptions): Promise<void> {
  checkKeys('ready', options, new Set(['timeoutMs', 'signal']))
  const timeoutMs = options.timeoutMs ?? 5_000
  checkDurationMs('timeoutMs', timeoutMs, WAIT_MS)
  checkSignal(options.signal)
  let cause: unknown
  const answer = await withinWait(clock, { waitMs: timeoutMs, signal: options.signal }, async signal => {
    for (;;) {
      try {
        return await orAborted(
          connection.within(client => client.ping()),
          signal,
        )
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error
        cause = error.cause
      }
    }
  })
  if (answer === undefined) throw unavailable(connection.address, timeoutMs, cause ?? connection.lastError)
}

function checkOptions(options: RedisBackendOptions): void {
  checkKeys('redisBackend', options ?? null, KNOWN)
  if ((options.url === undefined) === (options.client === undefined)) {
    throw new InvalidArgumentError(
      'url',
      `Expected redisBackend to be given either \`url\` or \`client\`, got ${options.url === undefined ? 'neither' : 'both'}.`,
    )
  }
  if (options.client === undefined) checkUrl(options.url)
  else checkClient(options.client)
  const { prefix, claimMs, commandTimeoutMs, maxClockSkewMs } = options
  if (prefix !== undefined) checkPrefix(prefix)
  if (claimMs !== undefined) checkDurationMs('claimMs', claimMs, { min: 200, max: 60_000 })
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
  if (maxClockSkewMs !== undefined) checkDurationMs('maxClockSkewMs', maxClockSkewMs, { min: 0, max: 60_000 })
}

export function checkPrefix(prefix: string): void {
  checkName('prefix', prefix)
  if (!/[{}]/.test(prefix)) return
  throw new InvalidArgumentError('prefix', `Expected \`prefix\` to have no braces, got ${show(prefix)}.`)
}
