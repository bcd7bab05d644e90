import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { DriverError } from '../errors.ts'
import type { DriverRequest } from './jute.ts'
import type { ServerAddress } from './connect-string.ts'

/** A request in the driver's queues. `frame` is the whole reply, with its length and header. */
export interface DriverPacket {
  readonly request: DriverRequest
  readonly callback: (error: unknown, frame?: Buffer) => void
}

/**
 * What the adapter touches of node-zookeeper-client: its connection manager, which makes connections, shakes hands, sends pings
 * and keeps the session's id. Most of it is private there; `loadDriver` checks that it is as it was when this was written.
 */
export interface ConnectionManager {
  state: number
  xid: number
  zxid: Buffer
  sessionId: Buffer
  sessionTimeout: number
  servers: readonly ServerAddress[]
  socket?: Socket
  connectTimeoutHandler: NodeJS.Timeout | null
  readonly packetQueue: { readonly queue: DriverPacket[] }
  readonly pendingQueue: DriverPacket[]
  connect(): void
  close(): void
  queue(request: DriverRequest, callback: DriverPacket['callback']): void
  findNextServer(use: (server: ServerAddress) => void): void
  onSocketData(chunk: Buffer): void
  onSocketClosed(hasError: boolean): void
  onSocketError(error: Error): void
  on(event: 'state', listener: (state: number) => void): void
}

/** The states of a connection manager. */
export const STATE = {
  disconnected: 0,
  connecting: 1,
  connected: 2,
  closing: -1,
  closed: -2,
  expired: -3,
} as const

/** Makes connection managers; no I/O until one is told to connect. */
export interface Driver {
  createManager(sessionTimeoutMs: number): ConnectionManager
}

interface DriverModule {
  createClient(connectString: string, options: object): { readonly connectionManager: ConnectionManager }
}

/** How the driver is found; tests give another. */
export type Require = (id: string) => unknown

const VERSION = /^1\.1\.(\d+)$/
const PATCH_MIN = 3
const NEEDS = 'zookeeperBackend needs the package node-zookeeper-client (~1.1.3)'

const METHODS = ['connect', 'close', 'queue', 'findNextServer', 'onSocketData', 'onSocketClosed', 'onSocketError', 'on']
const BUFFERS = ['zxid', 'sessionId', 'sessionPassword']
const NUMBERS = ['state', 'xid', 'sessionTimeout']
const LISTS = ['servers', 'pendingQueue']
const STATES: Readonly<Record<string, number>> = {
  DISCONNECTED: STATE.disconnected,
  CONNECTING: STATE.connecting,
  CONNECTED: STATE.connected,
  CLOSING: STATE.closing,
  CLOSED: STATE.closed,
  SESSION_EXPIRED: STATE.expired,
}

/**
 * Loads node-zookeeper-client and checks that it is the one that the adapter knows.
 *
 * @throws {DriverError} `HF_DRIVER`
 */
export function loadDriver(require: Require = createRequire(import.meta.url)): Driver {
  const module = requireDriver(require)
  checkVersion(require)
  // A client that never connects, to look at. Our own code reads connect strings, so it gets a harmless one.
  const createManager = (sessionTimeoutMs: number): ConnectionManager =>
    module.createClient('127.0.0.1:1', { sessionTimeout: sessionTimeoutMs, retries: 0 }).connectionManager
  checkPrivateFields(createManager(10_000))
  return { createManager }
}

function requireDriver(require: Require): DriverModule {
  try {
    return require('node-zookeeper-client') as DriverModule
  } catch (cause) {
    throw new DriverError(`${NEEDS}: npm install node-zookeeper-client`, { cause })
  }
}

function checkVersion(require: Require): void {
  const { version } = require('node-zookeeper-client/package.json') as { readonly version: string }
  if (Number(VERSION.exec(version)?.[1] ?? -1) >= PATCH_MIN) return
  throw new DriverError(`${NEEDS}, whose private fields it touches, got version ${version}.`)
}

function checkPrivateFields(manager: unknown): void {
  const fields = Object(manager) as Record<string, unknown>
  const states = Object((fields['constructor'] as { STATES?: unknown } | undefined)?.STATES) as Record<string, unknown>
  const queue = (fields['packetQueue'] as { queue?: unknown } | undefined)?.queue
  const unlike = [
    ...METHODS.filter(name => typeof fields[name] !== 'function'),
    ...BUFFERS.filter(name => !Buffer.isBuffer(fields[name])),
    ...NUMBERS.filter(name => typeof fields[name] !== 'number'),
    ...LISTS.filter(name => !Array.isArray(fields[name])),
    ...Object.keys(STATES).filter(name => states[name] !== STATES[name]),
    ...(Array.isArray(queue) ? [] : ['packetQueue']),
    ...('connectTimeoutHandler' in fields ? [] : ['connectTimeoutHandler']),
  ]
  if (unlike.length === 0) return
  throw new DriverError(
    `${NEEDS}, whose private fields it touches; in the one installed these differ: ${unlike.join(', ')}.`,
  )
}
