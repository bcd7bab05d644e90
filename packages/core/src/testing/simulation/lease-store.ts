import type { Backend } from '../../backend.ts'
import { BackendLifecycle } from '../../backend.ts'
import type { Clock } from '../../clock.ts'
import { ClosedError } from '../../errors.ts'
import { leaseInfo } from '../../lease/info.ts'
import { decodeMeta } from '../../lease/options.ts'
import { Waiters } from '../../lease/waiters.ts'
import type { WaitingCommands, WaitingInbox } from '../../lease/waiting.ts'
import { FencingToken } from '../../fencing/token.ts'
import type {
  Grant,
  LeaseInfo,
  LeaseKind,
  LeaseMode,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../../ports/leases.ts'
import { unsupportedIdempotency, unsupportedRates, unsupportedRecords } from '../../ports/unsupported.ts'
import { Calls } from './calls.ts'
import { SimulatedCommands } from './lease-commands.ts'
import { SimulatedInbox } from './lease-inbox.ts'
import type { LeaseServer } from './lease-server.ts'
import type { Claim, Holding } from './lease-table.ts'
import type { Machine } from './machine.ts'
import type { Network } from './network.ts'
import type { Recorder } from './recorder.ts'
import type { Requests } from './requests.ts'

/** Stands between the client's code and its link: for tests that break it, to see that the break is found. */
export interface Interposed {
  (link: { readonly commands: WaitingCommands; readonly inbox: WaitingInbox; readonly clock: Clock }): {
    readonly commands: WaitingCommands
    readonly inbox: WaitingInbox
  }
}

/** What a simulated client is made of. */
export interface SimulatedStoreParts {
  readonly machine: Machine
  readonly network: Network
  readonly server: LeaseServer
  readonly recorder: Recorder
  readonly requests: Requests
  readonly guarantee: 'advisory' | 'lease'
  readonly interposed: Interposed | undefined
}

/** Leases of one simulated process: the code that waits is that of the stores with a queue, and only the wire is simulated. */
export class SimulatedLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'all'
  readonly guarantee: 'advisory' | 'lease'
  readonly #parts: SimulatedStoreParts
  readonly #lifecycle: BackendLifecycle
  readonly #calls: Calls
  readonly #commands: SimulatedCommands
  readonly #steps: WaitingCommands
  readonly #inbox: SimulatedInbox
  readonly #waiters: Waiters
  #requests = 0

  constructor(parts: SimulatedStoreParts, lifecycle: BackendLifecycle) {
    this.#parts = parts
    this.#lifecycle = lifecycle
    this.guarantee = parts.guarantee
    const { machine, network, server, interposed } = parts
    const calls = new Calls(network, machine, () => commands.reconnect())
    const commands = new SimulatedCommands({ server, machine, calls })
    const inbox = new SimulatedInbox({ server, machine, calls })
    this.#calls = calls
    this.#commands = commands
    this.#inbox = inbox
    const link = interposed?.({ commands, inbox, clock: machine.clock }) ?? { commands, inbox }
    this.#steps = link.commands
    this.#waiters = new Waiters({
      clock: machine.clock,
      ...link,
      isListening: () => inbox.isListening,
      listen: () => inbox.listen(),
      checkOpen: () => lifecycle.checkOpen(),
    })
    lifecycle.onClose(() => commands.idle())
  }

  newRequestId(): string {
    return `${this.#parts.machine.name}#${(this.#requests += 1)}`
  }

  async tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    const outcome = await this.#waiting(request, () => this.#waiters.tryGrant(request, signal))
    if (outcome.kind === 'granted') this.#parts.recorder.granted(this.#parts.machine, outcome.grant)
    return outcome
  }

  async grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    const grant = await this.#waiting(request, () => this.#waiters.grant(request, signal, queued))
    this.#parts.recorder.granted(this.#parts.machine, grant)
    return grant
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.#lifecycle.checkUsable()
    const { recorder, requests, machine } = this.#parts
    const sent = renewals.map(({ grant, ttlMs }) => {
      requests.renewing(grant, ttlMs, this.#commands.ttlMsOf(grant.request))
      return recorder.renewing(machine, grant.request.requestId, ttlMs)
    })
    const outcomes = await this.#steps.renew(renewals)
    for (const [index, outcome] of outcomes.entries()) {
      const { requestId } = (renewals[index] as Renewal).grant.request
      if (outcome.kind === 'renewed') recorder.renewed(requestId, sent[index] as number, outcome.deadline)
      else recorder.ended(requestId, 'lost')
    }
    return outcomes
  }

  async release(grant: Grant): Promise<'released' | 'lost'> {
    this.#parts.recorder.ended(grant.request.requestId, 'released')
    this.#parts.requests.releasing(grant)
    this.#lifecycle.checkUsable()
    return await this.#commands.release(grant.request)
  }

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    this.#lifecycle.checkOpen()
    this.#parts.recorder.ended(from.request.requestId, 'released')
    const grant = await this.#waiting(to, () => this.#commands.downgrade(from, to))
    if (grant !== undefined) this.#parts.recorder.granted(this.#parts.machine, grant)
    return grant
  }

  async inspect(resource: string, kind: LeaseKind = 'exclusive'): Promise<LeaseInfo> {
    this.#lifecycle.checkOpen()
    const { server } = this.#parts
    return await this.#calls.ask(server, () => {
      const nowUs = server.nowUs()
      const { holders, queue } = server.table({ mayGrant: false }).look({ resource, mode: MODE_OF[kind] }, nowUs)
      const shown = holders.map(holding => ({ ...holderOf(holding, nowUs), ...partyOf(holding) }))
      return leaseInfo(resource, shown, queue.map(partyOf))
    })
  }

  /** The server says nothing of its own accord. */
  onLost(): () => void {
    return () => {}
  }

  /** The connection broke, and is made anew. */
  reconnect(): void {
    this.#commands.reconnect()
    this.#inbox.broke()
  }

  /** Rejects everybody who waits. */
  stop(): void {
    this.#waiters.close(() => new ClosedError('simulated backend'))
  }

  close(): void {
    this.#commands.close()
    this.#inbox.close()
  }

  async #waiting<T>(request: LeaseRequest, ask: () => Promise<T>): Promise<T> {
    const { requests, machine } = this.#parts
    requests.asked(machine.name, request, this.#commands.ttlMsOf(request))
    try {
      return await ask()
    } finally {
      requests.settled(request)
    }
  }
}

/** A backend for one simulated process. It has leases only. */
export interface SimulatedBackend {
  readonly backend: Backend
  readonly store: SimulatedLeaseStore
}

export function simulatedBackend(parts: SimulatedStoreParts): SimulatedBackend {
  const { clock } = parts.machine
  const lifecycle = new BackendLifecycle('simulated backend', clock)
  const store = new SimulatedLeaseStore(parts, lifecycle)
  lifecycle.setHealth({ kind: 'ready' })
  const close = (): Promise<void> => {
    store.stop()
    return lifecycle.close(async () => store.close())
  }
  const backend: Backend = {
    kind: 'simulated',
    clock,
    leases: store,
    records: unsupportedRecords('simulated'),
    rates: unsupportedRates('simulated'),
    idempotency: unsupportedIdempotency('simulated'),
    health: lifecycle.health,
    ready: async () => lifecycle.checkOpen(),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
  return { backend, store }
}

const MODE_OF: Readonly<Record<LeaseKind, LeaseMode | undefined>> = {
  exclusive: undefined,
  'read-write': { kind: 'write' },
  permits: { kind: 'permit', limit: 1 },
}

function partyOf({ id, mode, meta }: Claim): LeaseInfo['waiters'][number] {
  return { requestId: id, mode: mode?.kind ?? 'exclusive', meta: decodeMeta(meta) }
}

function holderOf(
  { token, slot, sinceUs, endsUs }: Holding,
  nowUs: number,
): Pick<LeaseInfo['holders'][number], 'token' | 'slot' | 'heldMs' | 'remainingMs'> {
  const heldMs = (nowUs - sinceUs) / 1_000
  return { token: new FencingToken(BigInt(token)), slot, heldMs, remainingMs: (endsUs - nowUs) / 1_000 }
}
