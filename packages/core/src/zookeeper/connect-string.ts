import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

/** One server of an ensemble. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** What a connect string says. */
export interface ConnectTarget {
  readonly servers: readonly ServerAddress[]
  /** What every path stands under: empty, or like `/apps`. */
  readonly chroot: string
  /** For messages: the servers without the chroot. */
  readonly text: string
}

const PORT_DEFAULT = 2181
const BRACKETED = /^\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?::(\d+))?$/
const PLAIN = /^([A-Za-z0-9._-]+)(?::(\d+))?$/
const SERVERS_MAX = 100

/**
 * Reads `host:port,host:port/chroot`. A port left out is 2181; an IPv6 address stands in brackets.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function parseConnectString(connect: unknown): ConnectTarget {
  if (typeof connect !== 'string' || connect.trim() === '') throw refused('host:port[,host:port…][/chroot]', connect)
  const slash = connect.indexOf('/')
  const text = slash === -1 ? connect : connect.slice(0, slash)
  const servers = text.split(',').map(server => parseServer(server.trim(), connect))
  if (servers.length > SERVERS_MAX) throw refused(`at most ${SERVERS_MAX} servers`, connect)
  return { servers, chroot: slash === -1 ? '' : parseChroot(connect.slice(slash), connect), text }
}

function parseServer(server: string, connect: string): ServerAddress {
  const match = BRACKETED.exec(server) ?? PLAIN.exec(server)
  const host = match?.[1]
  if (host === undefined) {
    const hint = server.split(':').length > 2 ? ' (an IPv6 address stands in brackets: [::1]:2181)' : ''
    throw refused(`host:port[,host:port…][/chroot]${hint}`, connect)
  }
  const port = match?.[2] === undefined ? PORT_DEFAULT : Number(match[2])
  if (port < 1 || port > 65_535) throw refused('ports from 1 to 65535', connect)
  return { host, port }
}

function parseChroot(chroot: string, connect: string): string {
  if (chroot === '/') return ''
  if (isNodePath(chroot)) return chroot
  throw refused('a chroot without empty or relative steps and without a slash at its end', connect)
}

/** Whether ZooKeeper takes this as the path of a node other than the root. */
export function isNodePath(path: unknown): path is string {
  if (typeof path !== 'string' || !path.startsWith('/')) return false
  if (/[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/.test(path)) return false
  return path
    .slice(1)
    .split('/')
    .every(step => step !== '' && step !== '.' && step !== '..')
}

function refused(expected: string, seen: unknown): InvalidArgumentError {
  return new InvalidArgumentError('connect', `Expected \`connect\` to be ${expected}, got ${show(seen)}.`)
}
