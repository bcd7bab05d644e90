import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { checkDurationMs, checkGivenKeys } from '../options.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import type { ZooKeeperAcl, ZooKeeperAuth } from './acl.ts'
import { OPEN_ACL, checkAcl, checkAuth, encodeAcl, encodeAuth } from './acl.ts'
import type { ConnectTarget } from './connect-string.ts'
import { parseConnectString } from './connect-string.ts'
import type { ContenderNaming } from './naming.ts'
import { checkRoot } from './paths.ts'

/** How a backend on ZooKeeper is made. */
export interface ZooKeeperBackendOptions {
  /**
   * The servers, and where to begin: `host:port,host:port/chroot`. A port left out is 2181; an IPv6 address stands in brackets.
   * The driver has neither TLS nor SASL.
   */
  readonly connect: string
  /** The node that everything of this backend stands under; made when it is missing. Tenants differ in it. @default '/holdfast' */
  readonly root?: string
  /**
   * The session's timeout to ask for, in milliseconds, 100 to 3,600,000. The server grants between 2 and 20 of its ticks (4 s to
   * 40 s by default). It is the TTL of every lease: leases live and die with their session.
   *
   * @default 10000
   */
  readonly sessionTimeoutMs?: number
  /**
   * Whose locks these are to be shared with. One path must not have both.
   *
   * - `curator`: Apache Curator's InterProcessMutex, InterProcessReadWriteLock and InterProcessSemaphoreV2 at `<root>/<name>`.
   * - `kazoo`: kazoo's Lock, ReadLock, WriteLock and Semaphore. A Lock is a WriteLock there, so a mutex and the writers of the same name
   *   are in each other's way (and a mutex takes no notice of readers, and leaves them no token). A semaphore has the number of permits
   *   with which it was made: another is refused (`HF_REFUSED`). The nodes of locks stay, empty, since kazoo relies on it. And kazoo's
   *   ReadLock (2.8) waits for all writers, also for those behind it: where it queues together with writers, each may wait for the
   *   other until one gives up.
   *
   * @default 'curator'
   */
  readonly naming?: ContenderNaming
  /** Who we are, told on each new connection. Without it we are who we are by our address. @default nobody */
  readonly auth?: ZooKeeperAuth
  /** Who may do what with the nodes that this backend makes. @default everybody everything */
  readonly acl?: readonly ZooKeeperAcl[]
  /**
   * The same for the nodes below which directories of records keep their ephemeral ones, where this backend makes the directory. Who
   * joins needs `cdrw` there, and nothing but `r` elsewhere.
   *
   * @default `acl`
   */
  readonly ephemeralsAcl?: readonly ZooKeeperAcl[]
  /** How long an operation may wait for its answer, in milliseconds, 50 to 60,000. @default 5000 */
  readonly operationTimeoutMs?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** What options are left out mean. */
const DEFAULTS = Object.freeze({
  root: '/holdfast',
  sessionTimeoutMs: 10_000,
  naming: 'curator' as ContenderNaming,
  operationTimeoutMs: 5_000,
})

/** Checked options. */
export interface Settings {
  readonly target: ConnectTarget
  /** Chroot and root. */
  readonly base: string
  readonly sessionTimeoutMs: number
  readonly naming: ContenderNaming
  /** The frame that presents our credentials. */
  readonly auth: Buffer | undefined
  /** Encoded. */
  readonly acl: Uint8Array
  /** Encoded. */
  readonly ephemeralsAcl: Uint8Array
  readonly operationTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

const KNOWN: ReadonlySet<string> = new Set([
  'connect',
  'root',
  'sessionTimeoutMs',
  'naming',
  'auth',
  'acl',
  'ephemeralsAcl',
  'operationTimeoutMs',
  'clock',
  'random',
])

/**
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkOptions(options: ZooKeeperBackendOptions): Settings {
  checkGivenKeys('zookeeperBackend', options, KNOWN)
  const {
    root = DEFAULTS.root,
    sessionTimeoutMs = DEFAULTS.sessionTimeoutMs,
    naming = DEFAULTS.naming,
    operationTimeoutMs = DEFAULTS.operationTimeoutMs,
    clock = systemClock,
    random = systemRandom,
  } = options
  const target = parseConnectString(options.connect)
  checkRoot(root)
  checkDurationMs('sessionTimeoutMs', sessionTimeoutMs, { min: 100, max: 3_600_000 })
  checkDurationMs('operationTimeoutMs', operationTimeoutMs, { min: 50, max: 60_000 })
  if (naming !== 'curator' && naming !== 'kazoo') {
    throw new InvalidArgumentError('naming', `Expected \`naming\` to be 'curator' or 'kazoo', got ${show(naming)}.`)
  }
  const { auth, acl, ephemeralsAcl } = options
  if (auth !== undefined) checkAuth(auth)
  if (acl !== undefined) checkAcl('acl', acl)
  if (ephemeralsAcl !== undefined) checkAcl('ephemeralsAcl', ephemeralsAcl)
  const encodedAcl = acl === undefined ? OPEN_ACL : encodeAcl(acl)
  const base = target.chroot + (root === '/' ? '' : root)
  return {
    target,
    base,
    sessionTimeoutMs,
    naming,
    auth: auth === undefined ? undefined : encodeAuth(auth),
    acl: encodedAcl,
    ephemeralsAcl: ephemeralsAcl === undefined ? encodedAcl : encodeAcl(ephemeralsAcl),
    operationTimeoutMs,
    clock,
    random,
  }
}
