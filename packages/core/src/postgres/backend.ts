import type { Socket } from 'node:net'
import type { Pool } from 'pg'
import { untilAnswered } from '../answering.ts'
import type { Backend } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import { checkDurationMs, checkGivenKeys, givenOptions } from '../options.ts'
import type { LeaseStore } from '../ports/leases.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import { RequestIds } from '../request-ids.ts'
import { watchKeyOf } from './closed-inboxes.ts'
import { PostgresConnection } from './connection.ts'
import { checkPool, checkUrl, connectBeside, poolFor } from './driver.ts'
import { unavailable } from './errors.ts'
import { PostgresIdempotencyStore } from './idempotency.ts'
import { LeaseCommands } from './lease-commands.ts'
import { LeaseInbox } from './lease-inbox.ts'
import { inboxOf } from './lease-sql.ts'
import { PostgresLeaseStore } from './leases.ts'
import { Notices } from './notices.ts'
import { PostgresRateStore } from './rates.ts'
import { PostgresRecordStore } from './records.ts'
import type { Schema } from './schema.ts'
import { checkSchema, schemaOf } from './schema.ts'
import { prepare } from './server.ts'

/** How a backend on PostgreSQL is made: with `url`, or with `pool`. */
export interface PostgresBackendOptions {
  /** `postgres://[user:password@]host[:port]/database`, with the parameters that pg knows, such as `?sslmode=verify-full`. */
  readonly url?: string
  /**
   * A pool of pg (8). It stays yours: it is never ended. A connection beside it, with the same settings, is opened to listen on
   * once somebody follows a directory, or waits for a lease.
   */
  readonly pool?: Pool
  /**
   * Where the tables are, at most 63 bytes; tenants differ in it. What is missing of it is made on first use, by whoever may, and
   * functions of an earlier release are brought up to date, by who owns them. `ready` at start does it before anybody waits for it.
   *
   * @default 'holdfast'
   */
  readonly schema?: string
  /**
   * How long a lease that was handed to a waiter lasts before its first renewal, and so for how long a waiter that fell silent can hold
   * up the others: milliseconds from 200 to 60,000. One whose process was killed costs nothing: the server sees its connection closed.
   *
   * @default 3000
   */
  readonly claimMs?: number
  /** How long a command may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

const KNOWN: ReadonlySet<string> = new Set(['url', 'pool', 'schema', 'claimMs', 'commandTimeoutMs', 'clock', 'random'])

/** What options are left out mean. */
export const POSTGRES_DEFAULTS: Readonly<{ schema: string; claimMs: number; commandTimeoutMs: number }> = Object.freeze(
  {
    schema: 'holdfast',
    claimMs: 3_000,
    commandTimeoutMs: 2_000,
  },
)

const POLITE_MS = 250

/**
 * A backend on a PostgreSQL server, 13 or later. No I/O: the first request connects.
 *
 * `guarantee` is `lease` when the server writes what it acknowledges to disk (`fsync`, `synchronous_commit`), is a
 * primary, and has no replicas or waits for one (`synchronous_standby_names`). Replicas that are not connected at the time, and
 * what a failover does beyond that, cannot be seen from here.
 *
 * PgBouncer in transaction mode loses notices without a word, for LISTEN belongs to a session: give this the address of the server
 * itself. Through PgBouncer changes are seen only by those who look, as `watchDirectory` does now and then.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function postgresBackend(options: PostgresBackendOptions): Backend {
  checkOptions(options)
  const settings = { ...POSTGRES_DEFAULTS, clock: systemClock, random: systemRandom, ...givenOptions(options) }
  const { url, pool, clock, random, commandTimeoutMs } = settings
  const lifecycle = new BackendLifecycle('postgres backend', clock)
  const schema = schemaOf(settings.schema)
  const sockets = new Set<Socket>()
  const ours = { connectTimeoutMs: commandTimeoutMs, sockets }
  let epoch = 0
  const connection: PostgresConnection = new PostgresConnection({
    clock,
    commandTimeoutMs,
    isOurs: pool === undefined,
    // An error of a connection that nobody uses just now: nobody would hear of it otherwise, and that ends the process.
    open: async () => pool ?? (await poolFor(url ?? '', ours)).on('error', error => connection.lost(error)),
    prepare: client => {
      epoch += 1
      return prepare(client, schema)
    },
    onHealth: health => {
      lifecycle.setHealth(health)
      if (health.kind === 'suspended') notices.suspect()
    },
  })
  const notices = new Notices({ clock, random, open: async () => connectBeside(await connection.pool(), ours) })
  const records = new PostgresRecordStore({ clock, random, lifecycle, connection, notices, schema })
  const { leases, stopLeases, closeLeases } = leasesOn({
    ...settings,
    lifecycle,
    connection,
    notices,
    schema,
    epoch: () => epoch,
  })
  const close = (): Promise<void> => {
    stopLeases()
    records.close()
    return lifecycle.close(async () => {
      closeLeases()
      notices.close()
      // A polite end waits for the server's, for ever on a silent link.
      const cut = clock.setTimer(() => destroyAll(sockets), POLITE_MS, { background: false })
      await connection.close()
      cut.cancel()
      destroyAll(sockets)
    })
  }
  return {
    kind: 'postgres',
    clock,
    leases,
    records,
    rates: new PostgresRateStore({ lifecycle, connection, schema }),
    idempotency: new PostgresIdempotencyStore({ random, lifecycle, connection, schema }),
    health: lifecycle.health,
    ready: (readyOptions = {}) =>
      untilAnswered(
        clock,
        readyOptions,
        () => connection.within(client => client.query('SELECT 1')),
        (timeoutMs, cause) => unavailable(connection.address, timeoutMs, cause ?? connection.lastError),
      ),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface LeaseParts {
  readonly clock: Clock
  readonly random: Random
  readonly claimMs: number
  readonly lifecycle: BackendLifecycle
  readonly connection: PostgresConnection
  readonly notices: Notices
  readonly schema: Schema
  readonly epoch: () => number
}

interface Leases {
  readonly leases: LeaseStore
  /** Rejects everybody who waits. */
  readonly stopLeases: () => void
  readonly closeLeases: () => void
}

function leasesOn(parts: LeaseParts): Leases {
  const { lifecycle, connection, schema } = parts
  const ids = new RequestIds()
  const channel = inboxOf(ids.source)
  const inbox = new LeaseInbox({
    ...parts,
    channel,
    watchKey: watchKeyOf(schema.name, channel),
    say: (channel, text) => connection.within(client => client.query('SELECT pg_notify($1, $2)', [channel, text])),
  })
  const commands = new LeaseCommands({ ...parts, inbox: () => inbox })
  const leases = new PostgresLeaseStore({ ...parts, commands, inbox, ids })
  // Bounded, as everything that is given back: what the server does not answer by then ends with its TTL. A server that was never
  // reached has nothing of ours.
  lifecycle.onClose(async () => (parts.epoch() > 0 ? await commands.idle() : undefined))
  const closeLeases = (): void => {
    commands.close()
    inbox.close()
  }
  return { leases, stopLeases: () => leases.close(), closeLeases }
}

function destroyAll(sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) socket.destroy()
}

function checkOptions(options: PostgresBackendOptions): void {
  checkGivenKeys('postgresBackend', options, KNOWN)
  if ((options.url === undefined) === (options.pool === undefined)) {
    throw new InvalidArgumentError(
      'url',
      `Expected postgresBackend to be given either \`url\` or \`pool\`, got ${options.url === undefined ? 'neither' : 'both'}.`,
    )
  }
  if (options.pool === undefined) checkUrl(options.url)
  else checkPool(options.pool)
  const { schema, claimMs, commandTimeoutMs } = options
  if (schema !== undefined) checkSchema(schema)
  if (claimMs !== undefined) checkDurationMs('claimMs', claimMs, { min: 200, max: 60_000 })
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
}
