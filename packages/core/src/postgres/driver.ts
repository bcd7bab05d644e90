import { Socket } from 'node:net'
import type { Client, Pool, PoolConfig } from 'pg'
import { DriverError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

const CONNECTIONS_MAX = 4
const KEEP_ALIVE_MS = 10_000

/** How connections of ours are set. */
export interface OwnSettings {
  readonly connectTimeoutMs: number
  /** Where their sockets are kept while they are open: the driver's polite end waits for ever on a silent link. */
  readonly sockets: Set<Socket>
}

/** @throws {DriverError} `HF_DRIVER` when pg is not installed. */
export async function poolFor(url: string, settings: OwnSettings): Promise<Pool> {
  const driver = await import('pg').catch((cause: unknown) => {
    throw new DriverError('postgresBackend({ url }) needs the package pg (^8): npm install pg', { cause })
  })
  return new driver.default.Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    allowExitOnIdle: true,
    ...oursWith(settings),
  })
}

/** A connection to the same server, with the same credentials, that is no part of the pool. */
export function connectBeside(pool: Pool, settings: OwnSettings): Client {
  // The pool hides the password from whoever prints it, and so from the spread.
  const { password } = pool.options
  const Constructor = (pool as unknown as { readonly Client: new (config: PoolConfig) => Client }).Client
  return new Constructor({ ...pool.options, password, ...oursWith(settings) })
}

function oursWith({ connectTimeoutMs, sockets }: OwnSettings): PoolConfig {
  return {
    application_name: 'holdfast',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    stream: () => {
      const socket = new Socket()
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      return socket
    },
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything but a postgres: address. */
export function checkUrl(url: unknown): asserts url is string {
  if (typeof url === 'string' && /^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return
  // Of a text only the protocol is shown: the rest may hold a password, anywhere.
  const seen = typeof url === 'string' ? `${/^\w+:\/\//.exec(url)?.[0] ?? ''}…` : url
  throw new InvalidArgumentError(
    'url',
    `Expected \`url\` to be like postgres://user:password@127.0.0.1:5432/database, got ${show(seen)}.`,
  )
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything but a pool of pg. */
export function checkPool(pool: unknown): asserts pool is Pool {
  const candidate = pool as Partial<Pool> | undefined
  if (typeof candidate?.connect === 'function' && typeof candidate.options === 'object' && 'Client' in candidate) return
  throw new InvalidArgumentError('pool', `Expected \`pool\` to be a Pool of pg, got ${show(pool)}.`)
}

/** Where a pool connects to, as an error message shows it. */
export function addressOf({ options }: Pool): string {
  const { connectionString } = options
  const { hostname, port } =
    connectionString !== undefined && URL.canParse(connectionString)
      ? new URL(connectionString)
      : { hostname: options.host ?? '', port: options.port ?? '' }
  return `${hostname === '' ? 'localhost' : hostname}:${port === '' ? 5432 : port}`
}
