import type { Backend, ReadyOptions } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { WAIT_MS, checkDurationMs, checkKeys, checkSignal } from '../options.ts'
import { Crowds } from './crowds.ts'
import { ZooKeeperLeaseStore } from './leases.ts'
import { namingOf } from './naming.ts'
import type { ZooKeeperBackendOptions } from './options.ts'
import { checkOptions } from './options.ts'
import type { Layout } from './paths.ts'
import { ZooKeeperBarrierStore } from './barriers.ts'
import { MODE } from './operations.ts'
import { unsupportedIdempotency, unsupportedRates } from '../ports/unsupported.ts'
import { ZooKeeperRecordStore } from './records.ts'
import { Sessions } from './sessions.ts'
import { WaitingRoom } from './waiting-room.ts'

/** A backend on ZooKeeper. */
export interface ZooKeeperBackend extends Backend {
  readonly kind: 'zookeeper'
}

/** What a guard needs of a backend. */
export interface BackendInternals {
  readonly sessions: Sessions
  readonly leases: ZooKeeperLeaseStore
  readonly layout: Layout
  readonly chroot: string
}

const READY_MS = 5_000
const READY_OPTIONS: ReadonlySet<string> = new Set(['timeoutMs', 'signal'])
const internals = new WeakMap<object, BackendInternals>()

/**
 * A backend on a ZooKeeper ensemble, 3.5 or later, over `node-zookeeper-client`. No I/O: the first request connects.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function zookeeperBackend(options: ZooKeeperBackendOptions): ZooKeeperBackend {
  const settings = checkOptions(options)
  const { clock, random, naming, ephemeralsAcl, operationTimeoutMs } = settings
  const lifecycle = new BackendLifecycle('zookeeper backend', clock)
  const sessions = new Sessions(settings, lifecycle)
  const layout: Layout = { base: settings.base }
  const waitingRoom = new WaitingRoom(clock)
  const crowds = new Crowds()
  const leases = new ZooKeeperLeaseStore({
    clock,
    lifecycle,
    sessions,
    naming: namingOf(naming, random),
    layout,
    waitingRoom,
    crowds,
    operationTimeoutMs,
  })
  const records = new ZooKeeperRecordStore({
    clock,
    random,
    lifecycle,
    sessions,
    layout,
    ephemeralsAcl,
    operationTimeoutMs,
  })
  const barriers = new ZooKeeperBarrierStore({
    clock,
    random,
    lifecycle,
    sessions,
    layout,
    newName: () => leases.newRequestId(),
    parentMode: naming === 'kazoo' ? MODE.persistent : MODE.container,
    operationTimeoutMs,
  })
  const close = (): Promise<void> => {
    const closing = lifecycle.close(() => sessions.close())
    waitingRoom.wakeAll()
    records.close()
    barriers.close()
    return closing
  }
  const backend: ZooKeeperBackend = {
    kind: 'zookeeper',
    clock,
    leases,
    records,
    barriers,
    rates: unsupportedRates('zookeeper'),
    idempotency: unsupportedIdempotency('zookeeper'),
    health: lifecycle.health,
    async ready(readyOptions: ReadyOptions = {}) {
      checkKeys('ready', readyOptions, READY_OPTIONS)
      const { timeoutMs = READY_MS, signal } = readyOptions
      checkDurationMs('timeoutMs', timeoutMs, WAIT_MS)
      checkSignal(signal)
      lifecycle.checkOpen()
      signal?.throwIfAborted()
      await sessions.connected(timeoutMs, signal)
    },
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
  internals.set(backend, { sessions, leases, layout, chroot: settings.target.chroot })
  return backend
}

/**
 * What is inside a backend that `zookeeperBackend` made.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for any other
 */
export function internalsOf(backend: unknown): BackendInternals {
  const known = typeof backend === 'object' && backend !== null ? internals.get(backend) : undefined
  if (known !== undefined) return known
  throw new InvalidArgumentError('backend', `Expected a backend that \`zookeeperBackend\` made, got ${show(backend)}.`)
}
