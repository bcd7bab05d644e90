import { orAborted } from '../../abort.ts'
import type { Backend, BackendHealth, ReadyOptions } from '../../backend.ts'
import { BackendLifecycle } from '../../backend.ts'
import { systemClock } from '../../clock.ts'
import type { Timer } from '../../clock.ts'
import { UnavailableError } from '../../errors.ts'
import { TakeBacks } from '../../lease/take-backs.ts'
import { withinWait } from '../../lease/wait-limit.ts'
import { WAIT_MS, checkDurationMs, checkKeys, checkSignal, givenOptions } from '../../options.ts'
import { defaultTtlMs } from '../../ports/leases.ts'
import { unsupportedIdempotency, unsupportedRates, unsupportedRecords } from '../../ports/unsupported.ts'
import { QuorumLeaseStore } from '../../quorum/leases.ts'
import { majorityOf } from '../../quorum/poll.ts'
import { quarantine } from '../../quorum/shortfall.ts'
import { systemRandom } from '../../random.ts'
import { RequestIds } from '../../request-ids.ts'
import type { RedisQuorumOptions } from './options.ts'
import { REDIS_QUORUM_DEFAULTS, checkQuorumOptions } from './options.ts'
import type { RedisQuorumNode } from './redis-node.ts'
import type { QuorumSettings } from './servers.ts'
import { serversOf } from './servers.ts'

const KIND = 'redis-quorum'
const READY_KEYS: ReadonlySet<string> = new Set(['timeoutMs', 'signal'])
const READY_MS_DEFAULT = 5_000
const LOOK_MS = 100

/**
 * A backend on 3, 5 or 7 independent Redis servers: a lease is a majority of their votes. No I/O: the first request connects. It has
 * exclusive leases and nothing else; waiters are served in no order, by asking again.
 *
 * A server whose votes or tokens may be lost (it was started, emptied, restored, or took over another's data) votes for nobody until
 * max(`maxTtlMs`, `maxClockSkewMs`) have passed: by then every lease that it could have forgotten has ended. So a new set of servers
 * serves nobody for as long; `ready` waits for it, and `admitRedisQuorum` says that there is nothing to wait for.
 *
 * **What it promises**: `guarantee` is `lease` while no server that we have reached may evict keys (`maxmemory-policy noeviction`, or no
 * `maxmemory`), else `advisory`. That two leases are never valid at once then holds through the crash, loss, wipe or restore from an old
 * snapshot of any server, since nobody relies on what a server has on disk. It rests on clocks: while a lease lasts, those of client and
 * servers run at speeds that differ by less than 1 %, and no server's is set forward; Redis ends keys by its wall clock. Tokens rest on
 * the clocks of servers differing by less than `maxClockSkewMs`. And it rests on nobody deleting or restoring single keys, setting a
 * running server back together with its memory (a snapshot of its virtual machine: nothing shows that it forgot something), or giving
 * the servers other limits than other clients give. Where that is too much to ask for, let a guard check the token.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {UnsupportedError} `HF_UNSUPPORTED` for a client of a Cluster or of sentinels
 */
export function redisQuorumBackend(options: RedisQuorumOptions): Backend {
  checkQuorumOptions('redisQuorumBackend', options)
  const settings = settingsOf(options)
  const { clock } = settings
  const lifecycle = new BackendLifecycle('redis quorum backend', clock)
  const health = new QuorumHealth(settings, changed => lifecycle.setHealth(changed))
  const nodes = serversOf(settings, () => health.look(nodes))
  const leases = storeOf(settings, lifecycle, nodes)
  const close = (): Promise<void> => {
    leases.close()
    return lifecycle.close(async () => {
      health.close()
      for (const node of nodes) node.close()
    })
  }
  return {
    kind: KIND,
    clock,
    leases,
    records: unsupportedRecords(KIND),
    rates: unsupportedRates(KIND),
    idempotency: unsupportedIdempotency(KIND),
    health: lifecycle.health,
    ready: (readyOptions = {}) => untilReady(settings, readyOptions, { nodes, lifecycle }),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What options mean, with what was left out. */
export function settingsOf(options: RedisQuorumOptions): QuorumSettings {
  return { ...REDIS_QUORUM_DEFAULTS, clock: systemClock, random: systemRandom, ...givenOptions(options) }
}

function storeOf(
  settings: QuorumSettings,
  lifecycle: BackendLifecycle,
  nodes: readonly RedisQuorumNode[],
): QuorumLeaseStore {
  const { clock, commandTimeoutMs, maxTtlMs } = settings
  const takeBacks = nodes.map(
    node =>
      new TakeBacks({
        clock,
        release: request => node.withdraw(request),
        patienceMsOf: request => (request.ttlMs ?? defaultTtlMs(maxTtlMs)) + commandTimeoutMs,
        isClosed: () => lifecycle.health.current.kind === 'closed',
      }),
  )
  lifecycle.onClose(async () => {
    await Promise.all(takeBacks.map(takeBack => takeBack.idle()))
  })
  const misused = (): void => {
    for (const { misuse } of nodes) if (misuse !== undefined) throw misuse
  }
  return new QuorumLeaseStore({
    ...settings,
    isFenced: settings.fencing,
    nodes,
    takeBacks,
    lifecycle,
    ids: new RequestIds(),
    checkNodes: misused,
    guarantee: () => guaranteeOf(nodes),
  })
}

function guaranteeOf(nodes: readonly RedisQuorumNode[]): 'advisory' | 'lease' {
  let known = 0
  for (const { facts } of nodes) {
    if (facts?.evicts === true) return 'advisory'
    if (facts !== undefined) known += 1
  }
  return known >= majorityOf(nodes.length) ? 'lease' : 'advisory'
}

/** Ready with a majority that may vote. */
class QuorumHealth {
  readonly #settings: QuorumSettings
  readonly #tell: (health: BackendHealth) => void
  #timer: Timer | undefined

  constructor(settings: QuorumSettings, tell: (health: BackendHealth) => void) {
    this.#settings = settings
    this.#tell = tell
  }

  look(nodes: readonly RedisQuorumNode[]): void {
    this.close()
    const nowMs = this.#settings.clock.monotonicMs()
    const majority = majorityOf(nodes.length)
    if (nodes.filter(node => mayVote(node, nowMs)).length >= majority) return this.#tell({ kind: 'ready' })
    // Those that may come still decide.
    const waits = nodes.flatMap(({ status }) => (status.kind === 'up' ? [status.votesAtMs - nowMs] : []))
    const isOpen = nodes.some(({ status }) => status.kind === 'new')
    if (!isOpen) this.#tell({ kind: 'suspended', cause: new UnavailableError(whyNotReady(nodes, nowMs)) })
    const nextMs = Math.min(...waits.filter(waitMs => waitMs > 0))
    if (nextMs < Infinity) this.#timer = this.#settings.clock.setTimer(() => this.look(nodes), nextMs)
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

function mayVote({ status }: RedisQuorumNode, nowMs: number): boolean {
  return status.kind === 'up' && status.votesAtMs <= nowMs
}

function whyNotReady(nodes: readonly RedisQuorumNode[], nowMs: number): string {
  const why = nodes.flatMap(({ name, status }) => {
    if (status.kind === 'new') return [`Redis at ${name} did not answer.`]
    if (status.kind === 'up') return status.votesAtMs > nowMs ? [quarantine(name, status.votesAtMs - nowMs)] : []
    const message =
      status.cause instanceof Error ? status.cause.message.replace(/\.$/, '') : 'the connection was closed'
    return [`Redis at ${name} cannot be reached: ${message}.`]
  })
  return `Fewer than ${majorityOf(nodes.length)} of the ${nodes.length} servers of the quorum can vote. ${why.join(' ')}`
}

async function untilReady(
  { clock }: QuorumSettings,
  options: ReadyOptions,
  { nodes, lifecycle }: { readonly nodes: readonly RedisQuorumNode[]; readonly lifecycle: BackendLifecycle },
): Promise<void> {
  checkKeys('ready', options, READY_KEYS)
  const { timeoutMs = READY_MS_DEFAULT, signal } = options
  checkDurationMs('timeoutMs', timeoutMs, WAIT_MS)
  checkSignal(signal)
  const isReady = await withinWait(clock, { waitMs: timeoutMs, signal }, async within => {
    for (;;) {
      lifecycle.checkOpen()
      const looks = await orAborted(Promise.allSettled(nodes.map(node => node.look())), within)
      lifecycle.checkOpen()
      for (const { misuse } of nodes) if (misuse !== undefined) throw misuse
      const refused = looks.flatMap(look => (look.status === 'rejected' ? [look.reason as unknown] : []))
      const forGood = refused.filter(error => !(error instanceof UnavailableError))
      if (forGood.length > nodes.length - majorityOf(nodes.length)) throw forGood[0]
      const nowMs = clock.monotonicMs()
      if (nodes.filter(node => mayVote(node, nowMs)).length >= majorityOf(nodes.length)) return true
      const pause = new Promise<void>(resolve => clock.setTimer(resolve, LOOK_MS, { background: false }))
      await orAborted(pause, within)
    }
  })
  if (isReady !== undefined) return
  throw new UnavailableError(`${whyNotReady(nodes, clock.monotonicMs())} It was waited for ${timeoutMs} ms.`)
}
