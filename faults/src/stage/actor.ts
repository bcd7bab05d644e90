import type {
  ChurnReport,
  Ending,
  FinishReport,
  HoldReport,
  LockKind,
  Place,
  StallReport,
  StormReport,
  WriteOutcome,
} from '../worker/protocol.ts'
import type { WorkerProcess } from './worker-process.ts'

/** How an actor takes the lock. */
export interface TakeOptions {
  /** @default 20000 */
  readonly waitMs?: number
  /** Whether the guard is raised before the grant counts. @default false */
  readonly isGuarded?: boolean
  /** Gives it back by itself after so long. @default never */
  readonly holdMs?: number
  /** For a second one. @default 'lease' */
  readonly lease?: string
  /** @default 'main' */
  readonly client?: string
}

/** A worker process in its role: one that contends for the run's resource. */
export class Actor {
  readonly name: string
  readonly worker: WorkerProcess
  readonly lock: LockKind
  readonly #resource: string
  readonly #ttlMs: number | undefined
  #isUnharmed = true

  constructor(
    name: string,
    worker: WorkerProcess,
    role: { readonly resource: string; readonly ttlMs: number | undefined; readonly lock: LockKind },
  ) {
    this.name = name
    this.worker = worker
    this.lock = role.lock
    this.#resource = role.resource
    this.#ttlMs = role.ttlMs
  }

  /** Whether it can be used again. */
  get isUnharmed(): boolean {
    return this.#isUnharmed && !this.worker.hasExited
  }

  async open(place: Place, lock: LockKind, options: { client?: string; isReady?: boolean } = {}): Promise<void> {
    const { client = 'main', isReady = true } = options
    await this.worker.order('open', { client, place, lock, isReady })
  }

  take({ waitMs = 20_000, isGuarded = false, holdMs, lease = 'lease', client = 'main' }: TakeOptions = {}): Promise<
    HoldReport | undefined
  > {
    const [resource, ttlMs] = [this.#resource, this.#ttlMs]
    return this.worker.order('acquire', { client, lease, resource, ttlMs, waitMs, isGuarded, holdMs })
  }

  /** For a lock that must be free. */
  async takeAtOnce(options: TakeOptions = {}): Promise<HoldReport> {
    const report = await this.take({ waitMs: 0, ...options })
    if (report === undefined) throw new Error(`The lock was not free for ${this.name}.`)
    return report
  }

  report(lease = 'lease'): Promise<HoldReport> {
    return this.worker.order('report', { lease })
  }

  write(isGuarded: boolean, lease = 'lease'): Promise<WriteOutcome> {
    return this.worker.order('write', { lease, isGuarded })
  }

  /** Changes a row in a transaction that stays open for so long; PostgreSQL only. */
  sell({ isGuarded, stayMs = 0 }: { readonly isGuarded: boolean; readonly stayMs?: number }): Promise<WriteOutcome> {
    return this.worker.order('sell', { lease: 'lease', isGuarded, stayMs })
  }

  /** Whether the transaction of `sell` has changed its row. */
  get hasEntered(): boolean {
    return this.worker.entered.has('lease')
  }

  release(lease = 'lease'): Promise<HoldReport> {
    return this.worker.order('release', { lease })
  }

  stall(stallMs: number, lease = 'lease'): Promise<StallReport> {
    return this.worker.order('stall', { lease, stallMs })
  }

  churn(grants: number): Promise<ChurnReport> {
    return this.worker.order('churn', { client: 'main', resource: this.#resource, ttlMs: this.#ttlMs, grants })
  }

  storm(options: {
    readonly acquires: number
    readonly delayMsMax: number
    readonly isTold: boolean
    readonly ttlMs: number | undefined
  }): Promise<StormReport> {
    return this.worker.order('storm', { client: 'main', resource: this.#resource, ...options })
  }

  leftovers(): Promise<readonly string[]> {
    return this.worker.order('leftovers', { resource: this.#resource })
  }

  async finish(ending: Ending): Promise<FinishReport> {
    this.#isUnharmed = false
    return await this.worker.order('finish', { client: 'main', resource: this.#resource, ttlMs: this.#ttlMs, ending })
  }

  /** When the lease's signal has told of its loss. */
  lostReport(lease = 'lease'): HoldReport | undefined {
    return this.worker.lost.get(lease)
  }

  async kill(): Promise<void> {
    this.#isUnharmed = false
    await this.worker.signal('SIGKILL')
  }

  async stop(): Promise<void> {
    this.#isUnharmed = false
    await this.worker.signal('SIGSTOP')
  }

  async resume(): Promise<void> {
    await this.worker.signal('SIGCONT')
    this.#isUnharmed = true
  }
}
