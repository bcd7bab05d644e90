import type { Clock } from './clock.ts'
import { ClosedError } from './errors.ts'
import type { Live } from './live.ts'
import { LiveValue } from './live.ts'
import type { BarrierStore } from './ports/barriers.ts'
import type { IdempotencyStore } from './ports/idempotency.ts'
import type { LeaseStore } from './ports/leases.ts'
import type { RateStore } from './ports/rates.ts'
import type { RecordStore } from './ports/records.ts'

/**
 * How a backend's link is.
 *
 * - `connecting`: never connected yet, or being connected again; requests wait for it within their deadline.
 * - `ready`: the last thing heard of it was good.
 * - `suspended`: the link is down or silent; what is held may end.
 * - `closed`: by its user.
 */
export type BackendHealth =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'suspended'; readonly cause: unknown }
  | { readonly kind: 'closed' }

/** How long `ready` waits. */
export interface ReadyOptions {
  /** @default 5000 */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Where coordination state lives. Made by `memoryBackend`, `redisBackend`, `zookeeperBackend`, `postgresBackend`. */
export interface Backend extends AsyncDisposable {
  /** `memory`, `redis`, `zookeeper`, `postgres`. */
  readonly kind: string
  readonly clock: Clock
  readonly leases: LeaseStore
  readonly records: RecordStore
  readonly rates: RateStore
  readonly idempotency: IdempotencyStore
  /** Only where others meet at the same barriers in a layout of their own (ZooKeeper); elsewhere records make them: see `barriersOf`. */
  readonly barriers?: BarrierStore
  readonly health: Live<BackendHealth>
  /**
   * Resolves once the backend answers. Never needed: the first request waits as well.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` when it does not within `timeoutMs`.
   */
  ready(options?: ReadyOptions): Promise<void>
  /** Runs `hook` when the backend closes, before its connection goes. For packages that hold things through it. */
  onClose(hook: () => Promise<void>): void
  /**
   * Gives back what is held through it, then leaves no socket, timer or listener. A store that was reached and does not answer now has
   * 1.5 s to hear of what is given back, for it may return, and then 0.5 s to part: 2 s at most. What it did not hear of ends with its
   * TTL or session. Idempotent.
   */
  close(): Promise<void>
}

/** How long giving back what is held may take at close, and then leaving the store: 2 s together. */
const GIVE_BACK_MS = 1_500
const DISCONNECT_MS = 500

/** The part of a backend that all adapters share: its health, and closing once, in order, within a bound. */
export class BackendLifecycle {
  readonly #name: string
  readonly #clock: Clock
  readonly #health = new LiveValue<BackendHealth>({ kind: 'connecting' })
  readonly #hooks = new Set<() => Promise<void>>()
  #closing: Promise<void> | undefined

  constructor(name: string, clock: Clock) {
    this.#name = name
    this.#clock = clock
  }

  get health(): Live<BackendHealth> {
    return this.#health
  }

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  setHealth(health: BackendHealth): void {
    if (this.isClosing) return
    if (health.kind === this.#health.current.kind && health.kind !== 'suspended') return
    this.#health.set(health)
  }

  /** @throws {ClosedError} `HF_CLOSED` once `close` was called. */
  checkOpen(): void {
    if (this.isClosing) throw new ClosedError(this.#name)
  }

  /**
   * For what `close` itself needs: renewals and releases.
   *
   * @throws {ClosedError} `HF_CLOSED` once closing is done.
   */
  checkUsable(): void {
    if (this.#health.current.kind === 'closed') throw new ClosedError(this.#name)
  }

  onClose(hook: () => Promise<void>): void {
    this.checkOpen()
    this.#hooks.add(hook)
  }

  /** Runs the hooks, then `disconnect`; both settle within 2 s together or are left behind. */
  close(disconnect: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#close(disconnect)
    return this.#closing
  }

  async #close(disconnect: () => Promise<void>): Promise<void> {
    // Hooks release leases through the port, so it must still be usable: `isClosing` is only looked at by new requests.
    await this.#atMost(GIVE_BACK_MS, Promise.allSettled([...this.#hooks].map(hook => hook())))
    await this.#atMost(
      DISCONNECT_MS,
      disconnect().catch(() => undefined),
    )
    this.#health.set({ kind: 'closed' })
    this.#health.close()
  }

  #atMost(limitMs: number, work: Promise<unknown>): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#clock.setTimer(resolve, limitMs, { background: false })
      void work.finally(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}
