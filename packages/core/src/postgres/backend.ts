import type { Socket } from 'node:net'
import type { Pool } from 'pg'
import { untilAnswered } from '../answering.ts'
import type { Backend } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import { checkDurationMs, checkKeys, givenOptions } from '../options.ts'
import { unsupportedLeases } from '../ports/unsupported.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import { PostgresConnection } from './connection.ts'
import { checkPool, checkUrl, connectBeside, poolFor } from './driver.ts'
import { unavailable } from './errors.ts'
import { PostgresIdempotencyStore } from './idempotency.ts'
import { Notices } from './notices.ts'
import { PostgresRateStore } from './rates.ts'
import { PostgresRecordStore } from './records.ts'
import { checkSchema, schemaOf } from './schema.ts'
import { prepare } from './server.ts'

/** How a backend on PostgreSQL is made: with `url`, or with `pool`. */
export interface PostgresBackendOptions {
  /** `postgres://[user:password@]host[:port]/database`, with the parameters that pg knows, such as `?sslmode=verify-full`. */
  readonly url?: string
  /**
   * A pool of pg (8). It stays yours: it is never ended. A connection beside it, with the same settings, is opened to listen on
   * once somebody follows a directory.
   */
  readonly pool?: Pool
  /**
   * Where the tables are, at most 63 bytes; tenants differ in it. What is missing of it is made on first use, by whoever may.
   *
   * @default 'holdfast'
   */
  readonly schema?: string
  /** How long a command may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

const KNOWN: ReadonlySet<string> = new Set(['url', 'pool', 'schema', 'commandTimeoutMs', 'clock', 'random'])

/** What options are left out mean. */
export const POSTGRES_DEFAULTS: Readonly<{ schema: string; commandTimeoutMs: number }> = Object.freeze({
  schema: 'holdfast',
  commandTimeoutMs: 2_000,
})

const POLITE_MS = 250

/**
 * A backend on a PostgreSQL server, 13 or later. No I/O: the first request connects. It has records, and no leases yet.
 *
 * `records.guarantee` is `lease` when the server writes what it acknowledges to disk (`fsync`, `synchronous_commit`), is a
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
  const connection: PostgresConnection = new PostgresConnection({
    clock,
    commandTimeoutMs,
    isOurs: pool === undefined,
    open: async () => pool ?? (await opened(url ?? '', error => connection.lost(error))),
    prepare: client => prepare(client, schema),
    onHealth: health => {
      lifecycle.setHealth(health)
      if (health.kind === 'suspended') notices.suspect()
    },
  })
  const opened = async (address: string, onError: (error: unknown) => void): Promise<Pool> => {
    const made = await poolFor(address, ours)
    // Of a connection that nobody uses just now; nobody would hear of it otherwise, and that ends the process.
    return made.on('error', onError)
  }
  const notices = new Notices({ clock, random, open: async () => connectBeside(await connection.pool(), ours) })
  const records = new PostgresRecordStore({ clock, random, lifecycle, connection, notices, schema })
  const close = (): Promise<void> => {
    records.close()
    return lifecycle.close(async () => {
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
    leases: unsupportedLeases('postgres'),
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

function destroyAll(sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) socket.destroy()
}

function checkOptions(options: PostgresBackendOptions): void {
  checkKeys('postgresBackend', options ?? null, KNOWN)
  if ((options.url === undefined) === (options.pool === undefined)) {
    throw new InvalidArgumentError(
      'url',
      `Expected postgresBackend to be given either \`url\` or \`pool\`, got ${options.url === undefined ? 'neither' : 'both'}.`,
    )
  }
  if (options.pool === undefined) checkUrl(options.url)
  else checkPool(options.pool)
  const { schema, commandTimeoutMs } = options
  if (schema !== undefined) checkSchema(schema)
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
}
